/**
 * Every error the package throws or rejects with. A message says what happened, with the values, and then what
 * to do; programs compare `code`, never the class (two copies of the package may be loaded). reference.md holds the
 * table of codes.
 */

/** The stable codes. The table in reference.md ("Errors") says what each means and what to do. */
export type SideworkErrorCode = `ERR_SIDEWORK_${
  | 'OPTION'
  | 'KEY'
  | 'ID_TAKEN'
  | 'TASK_NAME'
  | 'TASK_DUPLICATE'
  | 'UNKNOWN_TASK'
  | 'UNKNOWN_LIMIT'
  | 'CRON_EXPRESSION'
  | 'UNKNOWN_SCHEDULE'
  | 'PAYLOAD'
  | 'PAYLOAD_TOO_LARGE'
  | 'SCHEMA_ASYNC'
  | 'QUEUE_FULL'
  | 'CLOSED'
  | 'CLOSING'
  | 'NESTED_SCHEDULER'
  | 'THREAD_START'
  | 'THREAD_EXITED'
  | 'OUT_OF_MEMORY'
  | 'TIMEOUT'
  | 'VISIBILITY_TIMEOUT'
  | 'RESULT'
  | 'RESULT_TIMEOUT'
  | 'FAILED'
  | 'CANCELLED'
  | 'EXPIRED'
  | 'DEDUPLICATED'
  | 'PERMANENT'
  | 'RETRY_LATER'
  | 'SNOOZE'
  | 'TEST'}`

/** Base of all errors of this package. */
export class SideworkError extends Error {
  override name = 'SideworkError'
  readonly code: SideworkErrorCode
  /** HTTP status to answer with, where a response follows; Express reads it. */
  declare readonly status?: number
  /** Response headers that Express's error handling sends with `status`. */
  declare readonly headers?: Readonly<Record<string, string>>

  constructor(code: SideworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Has the stack of a refusal begin at the line that called `method`: it is that line which has to be changed, and ten
 * frames would often not reach it.
 */
export function fromCallerOf(method: (...args: never) => unknown, error: unknown): unknown {
  if (error instanceof SideworkError) Error.captureStackTrace(error, method)
  return error
}

/** The same where a full queue is refused in floods: that is no mistake in a line, and costs no second stack. */
export function fromCallerUnlessFull(method: (...args: never) => unknown, error: unknown): unknown {
  const isFull = error instanceof SideworkError && error.code === 'ERR_SIDEWORK_QUEUE_FULL'
  return isFull ? error : fromCallerOf(method, error)
}

/** Does `work`; the stack of a refusal begins at the line that called `method`. */
export function fromLineOf<T>(method: (...args: never) => unknown, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw fromCallerUnlessFull(method, error)
  }
}

/** Does `work`; a refusal says first which of several things it is about. */
export function saying<T>(which: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof SideworkError) error.message = `${which}: ${error.message}`
    throw error
  }
}

/** An option, duration, key or name that is not what it must be. Thrown at the call. */
export class OptionError extends SideworkError {
  override name = 'OptionError'
  constructor(message: string, code: SideworkErrorCode = 'ERR_SIDEWORK_OPTION') {
    super(code, message)
  }
}

/** A task that this scheduler (or its threads) does not know. */
export class UnknownTaskError extends SideworkError {
  override name = 'UnknownTaskError'
  constructor(message: string) {
    super('ERR_SIDEWORK_UNKNOWN_TASK', message)
  }
}

/** One reason why a schema refused a payload (Standard Schema's issue, path as text). */
export interface PayloadIssue {
  readonly message: string
  readonly path: string
}

/** The payload is not JSON (plus `Uint8Array` leaves), or the task's `input` schema refused it. Status 422. */
export class PayloadError extends SideworkError {
  override name = 'PayloadError'
  override readonly status = 422
  /** Where in the payload, e.g. `payload.a[2]`. */
  readonly path: string
  /** The schema's issues; empty when no schema was involved. */
  readonly issues: readonly PayloadIssue[]
  constructor(message: string, path: string, issues: readonly PayloadIssue[] = [], options?: ErrorOptions) {
    super('ERR_SIDEWORK_PAYLOAD', message, options)
    this.path = path
    this.issues = issues
  }
}

/** The payload has more JSON than `maxPayloadBytes`, or more bytes in leaves than `maxQueuedBytes`. Status 413. */
export class PayloadTooLargeError extends SideworkError {
  override name = 'PayloadTooLargeError'
  override readonly status = 413
  constructor(message: string) {
    super('ERR_SIDEWORK_PAYLOAD_TOO_LARGE', message)
  }
}

/** `maxQueued` or `maxQueuedBytes` is reached; nothing was stored. Status 503 with `Retry-After`. */
export class QueueFullError extends SideworkError {
  override name = 'QueueFullError'
  override readonly status = 503
  override readonly headers: Readonly<Record<string, string>>
  /** When to try again, in milliseconds, from the measured drain rate. */
  readonly retryAfterMs: number
  constructor(message: string, retryAfterMs: number) {
    super('ERR_SIDEWORK_QUEUE_FULL', message)
    this.retryAfterMs = retryAfterMs
    this.headers = { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
  }
}

/** The scheduler is closing or closed and accepts nothing. Status 503 with `Retry-After: 5`. */
export class ClosedError extends SideworkError {
  override name = 'ClosedError'
  override readonly status = 503
  override readonly headers: Readonly<Record<string, string>> = { 'Retry-After': '5' }
  constructor(message = 'The scheduler is closed and accepts no jobs. Answer 503, or defer before close().') {
    super('ERR_SIDEWORK_CLOSED', message)
  }
}

/** The attempt ran longer than its `timeout`. Recorded with the attempt; `signal.reason` has its code. */
export class TimeoutError extends SideworkError {
  override name = 'TimeoutError'
  constructor(message: string) {
    super('ERR_SIDEWORK_TIMEOUT', message)
  }
}

/** The attempt was silent for longer than its `visibilityTimeout`. Recorded; `signal.reason` has its code. */
export class VisibilityTimeoutError extends SideworkError {
  override name = 'VisibilityTimeoutError'
  constructor(message: string) {
    super('ERR_SIDEWORK_VISIBILITY_TIMEOUT', message)
  }
}

/** The attempt ended its thread. Recorded with the attempt; `cause` is what was thrown, if anything. */
export class ThreadExitedError extends SideworkError {
  override name = 'ThreadExitedError'
  constructor(exitCode: number, cause?: { readonly message: string }) {
    const message =
      cause === undefined
        ? `The thread exited with code ${exitCode} during this attempt.`
        : `The thread exited after an error nobody caught during this attempt: ${cause.message}`
    super('ERR_SIDEWORK_THREAD_EXITED', message, { cause })
  }
}

/** The attempt used more memory than its thread may. Recorded with the attempt; retried once at most. */
export class OutOfMemoryError extends SideworkError {
  override name = 'OutOfMemoryError'
  constructor(cause?: unknown) {
    super(
      'ERR_SIDEWORK_OUT_OF_MEMORY',
      'The thread ran out of memory during this attempt. Raise threads.resourceLimits or let the task hold less.',
      { cause },
    )
  }
}

/** How a job can end other than completed, as `job.result()` tells it. */
export type JobErrorCode = Extract<
  SideworkErrorCode,
  'ERR_SIDEWORK_FAILED' | 'ERR_SIDEWORK_CANCELLED' | 'ERR_SIDEWORK_EXPIRED' | 'ERR_SIDEWORK_CLOSED'
>

/** What `job.result()` rejects with when the job did not complete; `cause` is the recorded error data. */
export class JobError extends SideworkError {
  override name = 'JobError'
  declare readonly code: JobErrorCode
  /** Id of the job; of a flow that ended as a whole, the flow's; from `context.result()`, the step's ref. */
  readonly job: string
  constructor(code: JobErrorCode, message: string, job: string, cause?: unknown) {
    super(code, message, cause === undefined ? undefined : { cause })
    this.job = job
  }
}

/** The job completed, but its result could not be kept (not JSON, or too large). */
export class ResultError extends SideworkError {
  override name = 'ResultError'
  constructor(message: string) {
    super('ERR_SIDEWORK_RESULT', message)
  }
}

/** `job.result({ timeout })` waited long enough; the job goes on. */
export class ResultTimeoutError extends SideworkError {
  override name = 'ResultTimeoutError'
  constructor(message: string) {
    super('ERR_SIDEWORK_RESULT_TIMEOUT', message)
  }
}

/** A thread could not be started, or its task modules could not be imported; `cause` is the real error. */
export class ThreadStartError extends SideworkError {
  override name = 'ThreadStartError'
  constructor(message: string, cause?: unknown) {
    super('ERR_SIDEWORK_THREAD_START', message, cause === undefined ? undefined : { cause })
  }
}

/** The test kit cannot do what a test asks of it: an attempt that never ends, jobs left at the end of a strict test. */
export class TestError extends SideworkError {
  override name = 'TestError'
  constructor(message: string) {
    super('ERR_SIDEWORK_TEST', message)
  }
}
