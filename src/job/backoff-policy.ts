import type { SerializedError } from './serialized-error.js'

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

/** A `backoff` option after validation, durations in milliseconds. */
export type BackoffPolicy = ExponentialBackoff | FixedBackoff | BackoffFunction

/** 1, 2, 4, 8 … minutes, at most an hour, ± 10 %. */
export const defaultBackoff: ExponentialBackoff = Object.freeze({
  type: 'exponential',
  delayMs: 60_000,
  factor: 2,
  maxMs: 3_600_000,
  jitter: 0.1,
})
