/** Reads a `backoff` option into its normal form. */
import { OptionError } from '../errors.js'
import {
  defaultBackoff,
  type BackoffFunction,
  type BackoffPolicy,
  type ExponentialBackoff,
  type FixedBackoff,
} from '../job/backoff-policy.js'
import { durationMs, orDefault, ownOptions, show } from '../options.js'

const exponentialOptions: ReadonlySet<string> = new Set(['type', 'delay', 'factor', 'max', 'jitter'])
const allowed = "{ type: 'exponential' | 'fixed', delay, … } or a function (attempt, error) => delay | false"
const fixedOptions: ReadonlySet<string> = new Set(['type', 'delay', 'jitter'])

/**
 * The validated form of a `backoff` option; `undefined` gives the default.
 * @param name what the option is called in messages
 * @throws OptionError naming the part that is wrong
 */
export function readBackoff(value: unknown, name = 'backoff'): BackoffPolicy {
  if (value === undefined) return defaultBackoff
  if (typeof value === 'function') return { type: 'function', delay: value as BackoffFunction['delay'] } // answers are checked
  const own = ownOptions(name, value, exponentialOptions, allowed)
  if (own.type === 'exponential') return readExponential(name, own)
  if (own.type === 'fixed') return readFixed(name, ownOptions(name, own, fixedOptions))
  throw new OptionError(`${name}.type is ${show(own.type)}. Give ${allowed}.`)
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
  return { type: 'fixed', delayMs, jitter: share(`${name}.jitter`, orDefault(own.jitter, 0)) }
}

function share(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw new OptionError(`${name} is ${show(value)}. Give a number from 0 to 1.`)
}
