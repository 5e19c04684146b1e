/**
 * How an attempt ended, as data: everything a handler or a thread can do becomes one of these first, and only then is
 * anything decided (settle/decide.ts) or written. Outcomes cross threads by structured clone.
 */
import { maxDurationMs } from '../options.js'
import type { EncodedPayload } from './payload.js'
import { serializeError, type SerializedError } from './serialized-error.js'

/** The handler returned. */
export interface Completed {
  readonly kind: 'completed'
  /** `undefined` when the handler returned nothing, or nobody asked for the result. */
  readonly result?: EncodedPayload
  /** Why the result was dropped: it is not JSON, or too large. */
  readonly resultRefused?: string
}

/** The handler threw; `permanent` when it said that a retry would not help. */
export interface Threw {
  readonly kind: 'threw'
  readonly error: SerializedError
  readonly permanent: boolean
}

/** The handler failed and said when to try again; the attempt counts. */
export interface AskedForRetry {
  readonly kind: 'retry-later'
  readonly delayMs: number
  readonly error: SerializedError
}

/** The handler asked to run again later; the attempt does not count. */
export interface Snoozed {
  readonly kind: 'snoozed'
  readonly delayMs: number
}

/** The attempt ran longer than its timeout, or was silent for longer than its visibility timeout. */
export interface TimedOut {
  readonly kind: 'timed-out'
  readonly error: SerializedError
}

/** The thread ended under the attempt, and the attempt is to blame. */
export interface LostThread {
  readonly kind: 'lost-thread'
  /** Code ERR_SIDEWORK_THREAD_EXITED or ERR_SIDEWORK_OUT_OF_MEMORY. */
  readonly error: SerializedError
}

/** The thread ended under the attempt through no fault of its own; the attempt does not count. */
export interface Interrupted {
  readonly kind: 'interrupted'
}

/** The job was cancelled while the attempt ran. */
export interface Cancelled {
  readonly kind: 'cancelled'
  readonly error: SerializedError
}

/** How an attempt ended. */
export type Outcome =
  Completed | Threw | AskedForRetry | Snoozed | TimedOut | LostThread | Interrupted | Cancelled

/**
 * The outcome of whatever a handler threw. PermanentError, RetryLater and Snooze are known by their code, since a
 * handler may have loaded another copy of the package. Never throws.
 */
export function outcomeOfThrown(thrown: unknown): Outcome {
  const error = serializeError(thrown)
  if (error.code === 'ERR_SIDEWORK_RETRY_LATER' || error.code === 'ERR_SIDEWORK_SNOOZE') {
    const delayMs = delayOf(thrown)
    if (delayMs === undefined) return { kind: 'threw', error, permanent: false }
    return error.code === 'ERR_SIDEWORK_SNOOZE'
      ? { kind: 'snoozed', delayMs }
      : { kind: 'retry-later', delayMs, error }
  }
  return { kind: 'threw', error, permanent: error.code === 'ERR_SIDEWORK_PERMANENT' }
}

/** `delayMs` as control.ts validated it; `undefined` when something else carries the code. */
function delayOf(thrown: unknown): number | undefined {
  try {
    const { delayMs } = thrown as { delayMs?: unknown } // guarded: primitives have no code, so this is an object
    return typeof delayMs === 'number' && delayMs >= 0 && delayMs <= maxDurationMs ? delayMs : undefined
  } catch {
    return undefined // A trap that throws: not our class.
  }
}
