/**
 * When a failed attempt is tried again. The delay lies within [delay·(1−jitter), max·(1+jitter)] and is never NaN,
 * for any attempt and any backoff function (I7 in the repository's `test/simulation/README.md`).
 */
import { types } from 'node:util'
import {
  defaultBackoff,
  type BackoffFunction,
  type BackoffPolicy,
  type ExponentialBackoff,
} from '../job/backoff-policy.js'
import { serializeError, type SerializedError } from '../job/serialized-error.js'
import { durationMs } from '../options.js'

/** The next delay, or `false` for no retry. */
export interface RetryDelay {
  readonly delayMs: number | false
  /** What the user's function did wrong; the default backoff was used in its place. To be logged. */
  readonly fault?: SerializedError
}

/**
 * How long to wait after this attempt failed. Never throws.
 * @param attempt the attempt that failed, 1 for the first
 * @param error what the user's function gets
 * @param random 0 ≤ number < 1
 */
export function retryDelayMs(
  policy: BackoffPolicy,
  attempt: number,
  error: SerializedError,
  random: () => number,
): RetryDelay {
  switch (policy.type) {
    case 'exponential':
      return { delayMs: exponentialMs(policy, attempt, random) }
    case 'fixed':
      return { delayMs: jittered(policy.delayMs, policy.jitter, random) }
    case 'function':
      return askFunction(policy, attempt, error, random)
  }
}

function exponentialMs(policy: ExponentialBackoff, attempt: number, random: () => number): number {
  if (policy.delayMs === 0) return 0 // 0 × Infinity would be NaN
  const raised = policy.delayMs * policy.factor ** (Math.max(1, attempt) - 1)
  return jittered(Math.min(policy.maxMs, raised), policy.jitter, random)
}

/** Whole milliseconds where the bounds leave room for that. */
function jittered(delayMs: number, jitter: number, random: () => number): number {
  if (jitter === 0) return delayMs
  const low = delayMs * (1 - jitter)
  const high = delayMs * (1 + jitter)
  return Math.min(high, Math.max(low, Math.round(low + (high - low) * random())))
}

function askFunction(
  policy: BackoffFunction,
  attempt: number,
  error: SerializedError,
  random: () => number,
): RetryDelay {
  try {
    const answer = policy.delay(attempt, error)
    if (answer === false) return { delayMs: false }
    if (types.isPromise(answer)) answer.catch(() => undefined) // a mistake already: no second one as a rejection
    return { delayMs: durationMs('What the backoff function answered', answer, { zero: true }) }
  } catch (fault) {
    return { delayMs: exponentialMs(defaultBackoff, attempt, random), fault: serializeError(fault) }
  }
}
