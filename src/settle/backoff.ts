/**
 * When a failed attempt is tried again. The delay lies within [delay·(1−jitter), max·(1+jitter)] and is never NaN,
 * for any attempt and any backoff function (invariant I7).
 */
import { OptionError } from '../errors.js'
import { serializeError, type SerializedError } from '../job/serialized-error.js'
import { durationMs, ownOptions, show } from '../options.js'

/** `delayMs × factor^(attempt−1)`, at most `maxMs`, ± `jitter` as a share of it (0–1). */
export interface ExponentialBackoff {
  readonly type: 'exponential'
  readonly delayMs: number
  readonly factor: number
  readonly maxMs: number
  readonly jitter: number
}

/** Always `delayMs` ± `jitter` as a share of it (0–1). */
export interface FixedBackoff {
  readonly type: 'fixed'
  readonly delayMs: number
  readonly jitter: number
}

/** The user's function. What it answers is read at each failure. */
export interface BackoffFunction {
  readonly type: 'function'
  readonly delay: (attempt: number, error: SerializedError) => unknown
}

/** A `Backoff` after validation, durations in milliseconds. */
export type BackoffPolicy = ExponentialBackoff | FixedBackoff | BackoffFunction

/** The next delay, or `false` for no retry. */
export interface RetryDelay {
  readonly delayMs: number | false
  /** What the user's function did wrong; the default backoff was used in its place. To be logged. */
  readonly fault?: SerializedError
}

/** 1, 2, 4, 8 … minutes, at most an hour, ± 10 %. */
export const defaultBackoff: ExponentialBackoff = Object.freeze({
  type: 'exponential',
  delayMs: 60_000,
  factor: 2,
  maxMs: 3_600_000,
  jitter: 0.1,
})

const exponentialOptions: ReadonlySet<string> = new Set(['type', 'delay', 'factor', 'max', 'jitter'])
const fixedOptions: ReadonlySet<string> = new Set(['type', 'delay', 'jitter'])

/**
 * The validated form of a `backoff` option; `undefined` gives the default.
 * @param name what the option is called in messages
 * @throws OptionError naming the part that is wrong
 */
export function readBackoff(value: unknown, name = 'backoff'): BackoffPolicy {
  if (value === undefined) return defaultBackoff
  if (typeof value === 'function') return { type: 'function', delay: value as BackoffFunction['delay'] } // answers are checked
  const own = ownOptions(name, value, exponentialOptions)
  if (own.type === 'exponential') return readExponential(name, own)
  if (own.type === 'fixed') return readFixed(name, ownOptions(name, own, fixedOptions))
  throw new OptionError(
    `${name}.type is ${show(own.type)}. Give { type: 'exponential' | 'fixed', delay, … } or a function ` +
      '(attempt, error) => delay | false.',
  )
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

function readExponential(name: string, own: Record<string, unknown>): ExponentialBackoff {
  const { delay, factor = defaultBackoff.factor, max, jitter = defaultBackoff.jitter } = own
  const delayMs =
    delay === undefined ? defaultBackoff.delayMs : durationMs(`${name}.delay`, delay, { zero: true })
  if (typeof factor !== 'number' || !Number.isFinite(factor) || factor < 1) {
    throw new OptionError(`${name}.factor is ${show(factor)}. Give a finite number of at least 1.`)
  }
  const maxMs = max === undefined ? Math.max(defaultBackoff.maxMs, delayMs) : durationMs(`${name}.max`, max)
  if (maxMs < delayMs) {
    throw new OptionError(
      `${name}.max (${maxMs} ms) is below ${name}.delay (${delayMs} ms). Raise max or lower delay.`,
    )
  }
  return { type: 'exponential', delayMs, factor, maxMs, jitter: share(`${name}.jitter`, jitter) }
}

function readFixed(name: string, own: Record<string, unknown>): FixedBackoff {
  const delayMs = durationMs(`${name}.delay`, own.delay, { zero: true })
  return { type: 'fixed', delayMs, jitter: share(`${name}.jitter`, own.jitter ?? 0) }
}

function share(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw new OptionError(`${name} is ${show(value)}. Give a number from 0 to 1.`)
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
    if (answer instanceof Promise) answer.catch(() => undefined) // a mistake already: no second one as a rejection
    return { delayMs: durationMs('What the backoff function answered', answer, { zero: true }) }
  } catch (fault) {
    return { delayMs: exponentialMs(defaultBackoff, attempt, random), fault: serializeError(fault) }
  }
}
