/**
 * Everything that crosses the border between the scheduler and its threads. Nothing else does.
 *
 *      scheduler                                   thread (or the main lane)
 *          │                                           │  imports the task modules, runs their setup()
 *          │ ◀──────────────────────────── starting ───│  before each import and each setup()
 *          │ ◀──────────────── ready | start-failed ───│
 *          │── run (a batch of jobs) ─────────────────▶│  takes each job, runs its handler
 *          │ ◀──── 12 (that many ended well, in order) │
 *          │ ◀──── ended (tokens and how each ended) ──│
 *          │ ◀ progress, heartbeat, log, defer, pause ─│
 *          │── abort (one token) ─────────────────────▶│  aborts that attempt's signal
 *          │ ◀───────────────────────────── aborted ───│  when its listeners have returned: its loop turns
 *          │── ping ──────────────────────────────────▶│  answers when its loop turns
 *          │ ◀──────────────────────────────── pong ───│
 *          │ ◀────────────────── uncaught | culprit ───│  exits because of this error, of this execution
 *          │ ◀─────────────────  console, leak, waits ─│
 *          │── deferred (answer to a defer) ──────────▶│
 *          │── close ─────────────────────────────────▶│  runs teardown(), then exits
 *
 * A token names one execution of one attempt of one job within its thread; it is never used twice there. Jobs of a
 * cpu batch have consecutive tokens, so a batch for a cpu thread carries only the first. Outcomes are data: no exception crosses.
 */
import type { SideworkErrorCode } from '../errors.js'
import type { Handed } from '../job/flow-step.js'
import type { Outcome } from '../job/outcome.js'
import type { EncodedBytes, EncodedPayload } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { RequestContext, ScheduleContext } from '../job/snapshot.js'
import type { LogLevel } from '../task/context.js'
import type { FlowPlan } from '../task/flow-plan.js'
import type { Refusal } from './refusal.js'

/** What only some jobs of a batch need beside payload and number. */
export interface RunExtra {
  /** Position in the batch. */
  readonly at: number
  readonly attempt: number
  readonly maxAttempts: number
  /** An id of the user's own. */
  readonly id?: string
  /** A payload with bytes; the batch's own JSON then has `null` at this position. */
  readonly bytes?: EncodedBytes
  readonly request?: RequestContext
  /** How the steps before it ended, for a step of a flow. */
  readonly handed?: Handed
  readonly schedule?: ScheduleContext
}

/** A task as its jobs name it: told to each thread once, before or with the first job of it. */
export type Introduction = readonly [
  task: number,
  name: string,
  /** What its jobs have unless they say otherwise. */
  maxAttempts: number,
  isSensitive: boolean,
]

/** A batch of jobs to run: in order, one after another, on a cpu thread; all at once on a shared one. */
export interface RunMessage {
  readonly kind: 'run'
  /** Token of the first job; the others follow by one, unless `tokens` lists them. */
  readonly first: number
  /** Tokens parallel to the jobs: on shared threads, where places come free out of order. */
  readonly tokens?: readonly number[]
  /** Which generation of claims the batch belongs to (see claims.ts). */
  readonly generation: number
  /** Their priorities, parallel to the jobs: only for the main lane. */
  readonly priorities?: readonly number[]
  /** Tasks this thread has not been told of. */
  readonly introduced?: readonly Introduction[]
  /** The first job's task; that of the others too, unless `tasks` lists each. */
  readonly task: number
  /** Their tasks parallel to the jobs: where they are not all the same. */
  readonly tasks?: readonly number[]
  /** The jobs' acceptance numbers and cells, from which a thread makes the ids that are asked for (job-ids.ts). */
  readonly seqs: readonly number[]
  readonly cells: readonly number[]
  /** All payloads as the elements of a JSON array, without its brackets. */
  readonly payloads: string
  /** Positions of jobs without a payload; the JSON has `null` there. */
  readonly voids?: readonly number[]
  readonly extras?: readonly RunExtra[]
}

export interface AbortMessage {
  readonly kind: 'abort'
  readonly token: number
  /** Becomes `signal.reason.code`. */
  readonly code: string
  readonly message: string
}

/** The answer to a thread's `defer`. */
export interface DeferredMessage {
  readonly kind: 'deferred'
  readonly call: number
  readonly id?: string
  readonly deduplicated?: boolean
  /** Ids of a flow's jobs by ref; not of a batch. */
  readonly jobs?: Readonly<Record<string, string>>
  readonly error?: Refusal
}

export type ToThread =
  RunMessage | AbortMessage | DeferredMessage | { readonly kind: 'ping' } | { readonly kind: 'close' }

/** How one execution ended, briefly: `null` well without a result, a string well with that JSON, else in full. */
export type Ending = null | string | Outcome

export interface EndedMessage {
  readonly kind: 'ended'
  readonly tokens: readonly number[]
  readonly endings: readonly Ending[]
}

export interface ProgressMessage {
  readonly kind: 'progress'
  readonly token: number
  readonly value: EncodedPayload
}

/** Lets nothing that passes the shared limit start for a while. */
export interface PauseLimitMessage {
  readonly kind: 'pause-limit'
  readonly token: number
  readonly name: string
  readonly delayMs: number
}

/** The answer to an abort, also of an attempt that has ended: whoever listens to the signal has been told. */
export interface AbortedMessage {
  readonly kind: 'aborted'
  readonly token: number
}

export interface LogMessage {
  readonly kind: 'log'
  readonly token: number
  readonly level: LogLevel
  /** JSON of the fields, or absent. */
  readonly fields?: string
  readonly message?: string
}

export interface DeferMessage {
  readonly kind: 'defer'
  readonly token: number
  /** Names the answer; 0 where there is none. */
  readonly call: number
  readonly task: string
  /** JSON of the payload, or absent. */
  readonly payload?: string | EncodedBytes
  /** The task's schema has been asked for the payload. */
  readonly isValidated?: boolean
  /** It was refused where the handler runs, and is only to be told. No code: by an error of the user's own. */
  readonly refused?: { readonly code: SideworkErrorCode | undefined }
  readonly options?: object
  /** What tracers of the thread add to the child's request. */
  readonly carrier?: Readonly<Record<string, string>>
}

/** Something was printed in the thread. */
export interface ConsoleMessage {
  readonly kind: 'console'
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly text: string
  /** The execution that printed it; 0 when it is not known. */
  readonly token: number
}

/** A task leaves too much open in this thread. */
export interface LeakMessage {
  readonly kind: 'leak'
  /** The task after whose jobs most was left. */
  readonly task: string
  /** How much more is open than after the start. */
  readonly count: number
  /** What kinds, as Node names them. */
  readonly resources: readonly string[]
}

/** A task of a cpu thread hardly uses it. */
export interface WaitsMessage {
  readonly kind: 'waits'
  readonly task: string
  /** How many attempts were watched, how long they took, and how long of that the thread had nothing to do. */
  readonly attempts: number
  readonly tookMs: number
  readonly waitedMs: number
}

/** The thread's loop turns. */
export interface PongMessage {
  readonly kind: 'pong'
  /** Heap and buffers of this thread alone, in bytes. */
  readonly memoryBytes: number
}

/** What the thread does next on its way to `ready`; told before, since it may never end. */
export interface StartingMessage {
  readonly kind: 'starting'
  readonly step: 'import' | 'setup'
  /** Path of the task module. */
  readonly file: string
}

/** The task modules are imported and set up. */
export interface ReadyMessage {
  readonly kind: 'ready'
  /** Names of the tasks they define. */
  readonly tasks: readonly string[]
  /** Whether one of them exports `teardown()`: the thread is asked to close then, before force. */
  readonly hasTeardown?: boolean
}

/** A flow, chain or batch that a handler defers; the payloads of its steps are encoded. */
export interface DeferFlowMessage {
  readonly kind: 'defer-flow'
  readonly token: number
  readonly call: number
  readonly plan: FlowPlan
  /** What a subscriber of the tracing channel wants to travel with the jobs. */
  readonly carrier?: Readonly<Record<string, string>>
}

/** The thread exits, because of this execution. */
export interface CulpritMessage {
  readonly kind: 'culprit'
  /** 0: on a cpu thread, because of something older than the job at work. */
  readonly token: number
}

/** The thread exits, because nobody caught this. Node's own way of telling it can hang the thread, and end the process. */
export interface UncaughtMessage {
  readonly kind: 'uncaught'
  readonly error: SerializedError
}

export type FromThread =
  | number
  | EndedMessage
  | ProgressMessage
  | LogMessage
  | DeferMessage
  | DeferFlowMessage
  | PauseLimitMessage
  | { readonly kind: 'heartbeat'; readonly token: number }
  | AbortedMessage
  | CulpritMessage
  | PongMessage
  | ConsoleMessage
  | LeakMessage
  | WaitsMessage
  | StartingMessage
  | ReadyMessage
  | { readonly kind: 'start-failed'; readonly error: SerializedError }
