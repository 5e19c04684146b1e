import type { Duration } from '../options.js'
import type { BatchCounts } from '../job/flow-step.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Progress, RequestContext, ScheduleContext } from '../job/snapshot.js'
import type {
  AnyTask,
  BatchOptions,
  ChainStepSpec,
  FlowOptions,
  FlowStepSpec,
  PayloadOf,
} from './flow-options.js'
import type { DeferOptions } from './defer-options.js'
import type { Task } from './define-task.js'
import type { Backoff } from './task-options.js'

/** One log method, as pino's: a message with what its placeholders (`%s`, `%d`, `%j`, `%o`) stand for, before it fields or an error. */
export interface LogMethod {
  (message: string, ...args: unknown[]): void
  (fields: object, message?: string, ...args: unknown[]): void
}

/** The levels of pino. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** A pino-shaped logger that adds job id, task, attempt and request id to each line. All functions are bound. */
export interface TaskLog extends Readonly<Record<LogLevel, LogMethod>> {
  /**
   * A logger that adds these fields to its lines; of two fields of one name the line's own counts. Its lines count as this
   * one's, for the bound too.
   * @throws OptionError for what is no object of fields
   */
  child(bindings: object): TaskLog
}

/** What `context.defer` answers: the child's id, and whether it was already there. */
export interface DeferredChild {
  readonly id: string
  readonly deduplicated: boolean
}

/** What `context.defer.flow` and `chain` answer. */
export interface DeferredFlow<Ref extends string = string> {
  readonly id: string
  /** Ids of its jobs by ref; of a batch none. */
  readonly jobs: { readonly [R in Ref]: string }
}

/** How a step before this one ended. `refused`: why its result was dropped, though it completed. */
export type StepResult =
  | { readonly state: 'completed'; readonly result: unknown; readonly refused?: string }
  | { readonly state: 'failed' | 'cancelled' | 'expired'; readonly error: SerializedError }

/** By ref, the steps named in `after`; `batch`, which only the callback of a batch has: how its jobs ended. */
export type StepResults = Readonly<Record<string, StepResult>> & { readonly batch: BatchCounts }

/**
 * `context.defer`: a task with its payload, or a task's name. A signal cannot reach across threads. Whatever is refused
 * rejects, also what is wrong with the call itself.
 */
export interface DeferChild {
  (task: Task<undefined>): Promise<DeferredChild>
  <I>(task: Task<I>, payload: NoInfer<I>, options?: ChildOptions): Promise<DeferredChild>
  (task: string, payload?: unknown, options?: ChildOptions): Promise<DeferredChild>
  /** Like `scheduler.flow`: answers as soon as it is accepted, so that no place is held by waiting for its steps. */
  flow<T extends Record<string, AnyTask>>(
    steps: { [Ref in keyof T]: FlowStepSpec<T[Ref], keyof T & string> },
    options?: FlowOptions,
  ): Promise<DeferredFlow<keyof T & string>>
  /** Like `scheduler.chain`. */
  chain<T extends readonly AnyTask[]>(
    steps: { [Position in keyof T]: ChainStepSpec<T[Position]> },
    options?: FlowOptions,
  ): Promise<DeferredFlow>
  /** Like `scheduler.batch`: its callback is the continuation of the job that fans out. */
  batch<T extends AnyTask, C extends AnyTask = AnyTask>(
    task: T,
    payloads: readonly PayloadOf<T>[],
    options?: BatchOptions<C>,
  ): Promise<Pick<DeferredFlow, 'id'>>
}

/** What a child's `defer` can say for itself: plain data, as functions cannot reach across threads. */
export type ChildOptions = Omit<DeferOptions, 'signal' | 'backoff'> & {
  backoff?: Exclude<Backoff, (...args: never) => unknown>
}

/**
 * What a handler gets beside its payload. Destructure what is needed, all functions are bound, or hand it on as it is: a copy
 * such as `{ ...context }` has none of its getters and methods.
 */
export interface TaskContext {
  /** The job's id: the same on every attempt, hence the key for idempotent handlers. */
  readonly id: string
  readonly task: string
  /** 1 for the first attempt. An execution ended by a snooze or an interruption keeps its number. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Aborted on timeout, cancel and close; `signal.reason.code` says which. Made only when touched. */
  readonly signal: AbortSignal
  /** Writes to the scheduler's logger, naming job, task, attempt and request; at most 1,000 lines of each level in a second. */
  readonly log: TaskLog
  /**
   * Tells how far the job is: a ratio 0–1, or JSON of at most 8 KiB. Coalesced to at most 10 a second per job, the last one
   * kept.
   * @throws OptionError, PayloadError, PayloadTooLargeError
   */
  progress(value: Progress): void
  /** Says that the attempt is alive, without saying how far it is: `visibilityTimeout` begins again. */
  heartbeat(): void
  /**
   * Lets pending I/O, heartbeats and aborts through; on the main lane also requests and more urgent jobs. There it rejects with
   * ClosedError when the scheduler has closed and given the handler up.
   */
  yieldNow(): Promise<void>
  /**
   * Defers a child job. Accepted also while the scheduler closes, until its deadline; rejects when the attempt has ended, was
   * cancelled or took too long.
   */
  readonly defer: DeferChild
  /**
   * Lets nothing that passes this shared limit start for a while: after a 429, say, which is about all jobs and not only
   * this one. An unknown name is logged as an error. One attempt may name 100 limits; further names change nothing.
   * @throws OptionError for what is no name or no duration; 0 is allowed
   */
  pauseLimit(name: string, delay: Duration): void
  /** How the steps named in `after` ended, for a step of a flow; empty for any other job. */
  readonly results: StepResults
  /**
   * The result of the step before this one that is of the task; with a ref, of that step.
   * @throws OptionError when there is none, or several and no ref; JobError when it did not complete; ResultError when
   *   its result was dropped
   */
  result<R>(task: Task<never, R>, ref?: string): R
  result(task: string, ref?: string): unknown
  /** The HTTP request the job came from, as plain data. */
  readonly request: RequestContext | undefined
  /** Which run of which schedule this is, for a recurring job. */
  readonly schedule: ScheduleContext | undefined
}
