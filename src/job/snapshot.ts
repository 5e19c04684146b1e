import type { FlowPlace } from './flow-step.js'
import type { JobState } from './lifecycle.js'
import type { SerializedError } from './serialized-error.js'

/** Where a task runs: a thread to itself, a shared thread, or cooperatively on the main thread. */
export type Lane = 'cpu' | 'io' | 'main'

/** What travels with a job from the HTTP request that deferred it: plain data. */
export interface RequestContext {
  /** `req.id`, else its `X-Request-Id`: 1–128 printable ASCII characters. */
  readonly id?: string
  /** W3C Trace Context. */
  readonly traceparent?: string
  /** What the request's own pino logger adds to each of its lines; the lines of the job bear it too. */
  readonly bindings?: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

/** What a recurring job knows of its schedule. */
export interface ScheduleContext {
  /** The schedule's name. */
  readonly name: string
  /** The instant of the schedule that this job stands for, in ms since the epoch. */
  readonly firedFor: number
  /** Ms from that instant (and its jitter) to the moment at which the job was deferred. */
  readonly lateBy: number
}

/** What a handler reported with `progress()`: a ratio 0–1, or JSON with an optional `ratio` and `message`. */
export type Progress =
  number | { readonly ratio?: number; readonly message?: string; readonly [field: string]: unknown }

/** One failed attempt. */
export interface AttemptError {
  /** The attempt, 1 for the first. */
  readonly attempt: number
  /** Ms since the epoch. */
  readonly at: number
  readonly error: SerializedError
}

/**
 * What only the process knew in which a job waited, as plain JSON. A snapshot that has it says all there was: a job with an
 * ordering key and no `linePosition` stood in no line.
 */
export interface JobRemains {
  /** When it became ready, in ms since the epoch, for one that was ready or running. */
  readonly readyAt?: number
  /** Its place among those that stood in its key's line, 0 for the head. */
  readonly linePosition?: number
  /** Its key was halted: the id of the job because of which. */
  readonly haltedBy?: string
  /** Ms of the delay that begins when it is let go, for a step that waits for others. */
  readonly delayMs?: number
  /** Ms of its own `expiresIn`, if it has one that is not its task's: it begins anew when the job is let go, debounced or retried. */
  readonly expiresInMs?: number
}

/** A job at one moment: frozen plain data, JSON but for `Uint8Array` leaves (instants are ms since the epoch). */
export interface JobSnapshot {
  readonly id: string
  readonly task: string
  /** Where its task runs. */
  readonly lane: Lane
  readonly state: JobState
  /** 0–9, higher first. */
  readonly priority: number
  /** The attempt that runs or ran last; 0 before the first. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly orderingKey?: string
  readonly dedupeKey?: string
  /** Neither it nor `result` is there of a `sensitive` task, but in a CloseReport. */
  readonly payload: unknown
  readonly progress?: Progress
  readonly result?: unknown
  /** Of a completed job whose result was not kept: why. Its `result()` rejects with `ResultError`. */
  readonly resultDropped?: string
  /**
   * How it ended, for a failed, cancelled or expired job; the last failure of one that is retried; why no thread of its
   * lane can be started, for one that waits.
   */
  readonly error?: SerializedError
  /** Failures of this generation's attempts and those before, oldest first; the last 20 are kept. */
  readonly errors: readonly AttemptError[]
  /** When it was accepted, a restored one when it was taken back. Never changes. */
  readonly acceptedAt: number
  /** When it is due, or was last: at its acceptance, after its delay, at its next attempt or after a snooze. */
  readonly runAt: number
  /** No attempt starts after it. */
  readonly expiresAt?: number
  /** When its last attempt started, in this generation. */
  readonly startedAt?: number
  /** When it settled, in this generation. */
  readonly settledAt?: number
  /** 1, and one more after each `retry(id)`. */
  readonly generation: number
  /** The HTTP request that deferred it. */
  readonly request?: RequestContext
  /** Which step of which flow it is. */
  readonly flow?: FlowPlace
  /** Of a recurring job. */
  readonly schedule?: ScheduleContext
  /** What `restore` needs to go on as this process would have. In the snapshots of a CloseReport only. */
  readonly remains?: JobRemains
}
