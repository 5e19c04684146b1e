/**
 * Reads options: durations, priorities, keys, names. Whatever is not what it must be is refused here, at the call,
 * with the name of the option, the value it had and what is allowed.
 */
import { types } from 'node:util'
import ms from 'ms'
import { OptionError } from './errors.js'

/** Milliseconds, or a number with a unit: `'90s'`, `'5m'`, `'1.5h'`. At most 10 years. */
export type Duration = number | `${number}${string}`

/** 0–9, higher first; `'low'` is 2, `'normal'` 5, `'high'` 8. */
export type Priority = number | 'low' | 'normal' | 'high'

/** The longest duration: 3,652.5 days. */
export const maxDurationMs = 3652.5 * 24 * 60 * 60 * 1000

/** Shows a value in a message, short and on one line, never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}…'` : `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return kindOf(value) ?? 'an object'
  return String(value)
}

/** What an object is that has no options of its own, however it is looked at; undefined for any other. */
function kindOf(value: object): string | undefined {
  if (Array.isArray(value)) return 'an array'
  if (types.isPromise(value)) return 'a promise'
  if (types.isMap(value)) return 'a Map'
  if (types.isSet(value)) return 'a Set'
  if (types.isDate(value)) return 'a Date'
  if (types.isNativeError(value)) return 'an Error'
  return undefined
}

/**
 * Milliseconds of a duration.
 * @throws OptionError for NaN, negative, infinite, unit-less or unparsable values, over 10 years, and 0 unless allowed
 */
export function durationMs(name: string, value: unknown, { zero = false } = {}): number {
  const parsed = typeof value === 'string' ? parseDuration(value) : value
  if (typeof parsed !== 'number' || !Number.isFinite(parsed) || parsed < 0 || parsed > maxDurationMs) {
    const least = zero ? '0 or more' : 'above 0'
    throw new OptionError(
      `${name} is ${show(value)}. Give milliseconds, or a number with a unit such as '90s' or '5m'; ${least}, at most 10 years.`,
    )
  }
  if (parsed === 0 && !zero) throw new OptionError(`${name} is 0. Give a duration above 0.`)
  return parsed
}

function parseDuration(text: string): number | undefined {
  if (text.length > 40 || !/[a-z]\s*$/i.test(text)) return undefined
  const parsed: unknown = ms(text as ms.StringValue) // any string may be given: ms answers undefined for a bad one
  return typeof parsed === 'number' ? parsed : undefined
}

/** At most so many names are listed in a message. */
const mostListed = 10

/** 'Known are: …', for a name that nobody knows: those that begin alike first. One pass, as whoever guesses names asks often. */
export function knownAre(names: Iterable<string>, asked: unknown): string {
  const like = typeof asked === 'string' ? asked : ''
  const known = new Set(names)
  const best: { name: string; score: number }[] = []
  for (const name of known) {
    const score = alike(name, like)
    if (best.length === mostListed && score <= (best.at(-1)?.score ?? 0)) continue
    const at = best.findIndex((other) => other.score < score)
    best.splice(at < 0 ? best.length : at, 0, { name, score })
    best.length = Math.min(best.length, mostListed)
  }
  const listed = best.map(({ name }) => `'${name}'`).join(', ')
  const more = known.size > mostListed ? ` and ${known.size - mostListed} more` : ''
  return `Known are: ${listed || 'none'}${more}.`
}

/** How many characters both begin with. */
function alike(one: string, other: string): number {
  let count = 0
  while (count < one.length && one[count] === other[count]) count++
  return count
}

/** What was given, or the default. `null` was given. */
export function orDefault(value: unknown, fallback: unknown): unknown {
  return value === undefined ? fallback : value
}

/** @throws OptionError unless one of those */
export function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  throw new OptionError(
    `${name} is ${show(value)}. Give one of ${allowed.map((one) => `'${one}'`).join(', ')}.`,
  )
}

/** @throws OptionError unless true or false */
export function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new OptionError(`${name} is ${show(value)}. Give true or false.`)
}

/** @throws OptionError unless an integer from `min` to `max` */
export function integer(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new OptionError(`${name} is ${show(value)}. Give an integer ${range}.`)
}

/** @throws OptionError unless 0–9, 'low', 'normal' or 'high' */
export function priorityLevel(value: unknown, name = 'priority'): number {
  if (value === 'normal') return 5
  if (value === 'high') return 8
  if (value === 'low') return 2
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 9) return value
  throw new OptionError(`${name} is ${show(value)}. Give 'low', 'normal', 'high' or an integer from 0 to 9.`)
}

// eslint-disable-next-line no-control-regex -- control characters are exactly what is looked for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

/**
 * A key or id: a well-formed string of 1–256 UTF-8 bytes without control characters.
 * @throws OptionError (code ERR_SIDEWORK_KEY)
 */
export function key(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && value.length <= 256 && !controlCharacter.test(value)) {
    if (value.isWellFormed() && (value.length <= 85 || Buffer.byteLength(value) <= 256)) return value
  }
  throw new OptionError(
    `${name} is ${typeof value === 'string' ? quoted(value) : show(value)}. Give a well-formed string of 1 to 256 bytes without control characters.`,
    'ERR_SIDEWORK_KEY',
  )
}

/** With control characters and lone surrogates made visible, and how long it is where that is what is wrong. */
function quoted(text: string): string {
  const bytes = Buffer.byteLength(text)
  return text.length > 60
    ? `${JSON.stringify(`${text.slice(0, 60)}…`)} (${bytes} bytes)`
    : JSON.stringify(text)
}

/** A lone number or string was mostly meant for the option that is known first. */
function exampleOf(value: unknown, [first]: Iterable<string>): string {
  const isLone = typeof value === 'number' || typeof value === 'string'
  return isLone ? `an object such as { ${first}: ${show(value)} }` : 'an object with options'
}

/** @throws OptionError for what holds no properties to be read: lists, promises and other built-in kinds */
export function ownRecord(what: string, value: unknown, allowed: string, verb = 'is'): object {
  if (typeof value === 'object' && value !== null && kindOf(value) === undefined) return value
  const remedy = types.isPromise(value) ? 'Await it first' : `Give ${allowed}`
  throw new OptionError(`${what} ${verb} ${show(value)}. ${remedy}.`)
}

/**
 * The own properties of an options object, after checking that each is known.
 * @param where what the message calls it; for options of a call, the call
 * @param allowed what may be given, in words; left out for options of a call
 * @throws OptionError for anything but a plain object, and for unknown options
 */
export function ownOptions(
  where: string,
  value: unknown,
  known: ReadonlySet<string>,
  allowed?: string,
): Record<string, unknown> {
  if (value === undefined) return {}
  const record =
    allowed === undefined
      ? ownRecord(`The options of ${where}`, value, exampleOf(value, known), 'are')
      : ownRecord(where, value, allowed)
  const own: Record<string, unknown> = Object.create(null) as Record<string, unknown> // a bare object has no properties
  for (const [name, option] of Object.entries(record)) {
    if (!known.has(name)) {
      throw new OptionError(
        `${where} has an unknown option ${show(name)}. Known are: ${[...known].join(', ')}.`,
      )
    }
    if (option !== undefined) own[name] = option
  }
  return own
}
