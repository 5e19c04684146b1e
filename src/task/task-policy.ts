/** Reads a task's options into the numbers the scheduler works with, defaults applied. */
import { OptionError } from '../errors.js'
import type { DedupeRule, RateRule, TaskLimits, TaskPolicy } from '../job/task-record.js'
import { durationMs, flag, integer, oneOf, ownOptions, priorityLevel, show } from '../options.js'
import { readBackoff } from './backoff-options.js'

const taskOptionNames = [
  'lane',
  'attempts',
  'backoff',
  'timeout',
  'killAfter',
  'visibilityTimeout',
  'priority',
  'concurrency',
  'rateLimit',
  'limits',
  'dedupe',
  'orderingKey',
  'onExhausted',
  'expiresIn',
  'sensitive',
] as const
const knownTaskOptions: ReadonlySet<string> = new Set([...taskOptionNames, 'input'])
/** A default key or limit for every task makes no sense. */
const ofOneTask: ReadonlySet<string> = new Set([
  'orderingKey',
  'dedupe',
  'concurrency',
  'rateLimit',
  'limits',
])
const knownDefaults: ReadonlySet<string> = new Set(taskOptionNames.filter((name) => !ofOneTask.has(name)))

const builtIn = {
  lane: 'cpu',
  attempts: 5,
  backoff: { type: 'exponential' },
  timeout: '5m',
  killAfter: '5s',
  priority: 'normal',
  onExhausted: 'skip',
  sensitive: false,
} as const

/** Checks `createScheduler({ defaults })`. @throws OptionError */
export function readDefaults(defaults: unknown): Record<string, unknown> {
  const own = ownOptions('defaults', defaults, knownDefaults, 'an object with options of tasks')
  readPolicy('defaults', own)
  return own
}

/** A task's policy: its own options, else the scheduler's defaults, else the built-in ones. @throws OptionError */
export function readTaskPolicy(
  name: string,
  options: unknown,
  defaults: Record<string, unknown>,
): TaskPolicy {
  const own = ownOptions(`Task '${name}'`, options, knownTaskOptions)
  return readPolicy(`Task '${name}'`, { ...defaults, ...own })
}

function readPolicy(where: string, given: Record<string, unknown>): TaskPolicy {
  const options: Record<string, unknown> = { ...builtIn, ...given }
  return {
    lane: oneOf(`${where}: lane`, options['lane'], ['cpu', 'io', 'main']),
    maxAttempts: integer(`${where}: attempts`, options['attempts'], 1, 100),
    backoff: readBackoff(options['backoff'], `${where}: backoff`),
    timeoutMs: timeoutMs(`${where}: timeout`, options['timeout']),
    killAfterMs: durationMs(`${where}: killAfter`, options['killAfter'], { zero: true }),
    visibilityTimeoutMs: optionalMs(`${where}: visibilityTimeout`, options['visibilityTimeout']),
    priority: priorityLevel(options['priority'], `${where}: priority`),
    orderingKey: keyFunction(`${where}: orderingKey`, options['orderingKey']),
    limits: readLimits(where, options),
    dedupe: readDedupe(`${where}: dedupe`, options['dedupe']),
    onExhausted: oneOf(`${where}: onExhausted`, options['onExhausted'], ['skip', 'halt']),
    expiresInMs: optionalMs(`${where}: expiresIn`, options['expiresIn']),
    describesJobs: ['orderingKey', 'expiresIn', 'dedupe', 'concurrency', 'rateLimit'].some(
      (name) => options[name] !== undefined,
    ),
    sensitive: flag(`${where}: sensitive`, options['sensitive']),
    input: schema(`${where}: input`, options['input']),
  }
}

/** Ms of a timeout; Infinity for `false`. @throws OptionError */
export function timeoutMs(name: string, value: unknown): number {
  return value === false ? Infinity : durationMs(name, value)
}

/** Ms; Infinity when it is not given. */
function optionalMs(name: string, value: unknown): number {
  return value === undefined ? Infinity : durationMs(name, value)
}

function readLimits(where: string, options: Record<string, unknown>): TaskLimits | undefined {
  const { concurrency, rateLimit, limits } = options
  if (concurrency === undefined && rateLimit === undefined && limits === undefined) return undefined
  return {
    concurrency:
      concurrency === undefined ? undefined : readConcurrency(`${where}: concurrency`, concurrency),
    rate: rateLimit === undefined ? undefined : readRate(`${where}: rateLimit`, rateLimit, true),
    shared: limits === undefined ? [] : readNames(`${where}: limits`, limits),
  }
}

function readConcurrency(name: string, value: unknown): NonNullable<TaskLimits['concurrency']> {
  if (typeof value === 'number') return { limit: integer(name, value, 1), key: undefined }
  const own = ownOptions(
    name,
    value,
    new Set(['limit', 'key']),
    'a number from 1, or { limit, key: (payload) => string }',
  )
  return { limit: integer(`${name}.limit`, own['limit'], 1), key: keyFunction(`${name}.key`, own['key']) }
}

/** Reads `{ limit, per }`, with a key function where that is allowed. @throws OptionError */
export function readRate(name: string, value: unknown, mayHaveKey: boolean): RateRule & { key: KeyFunction } {
  const own = mayHaveKey
    ? ownOptions(name, value, new Set(['limit', 'per', 'key']), '{ limit, per, key?: (payload) => string }')
    : ownOptions(name, value, new Set(['limit', 'per']), '{ limit, per }')
  return {
    limit: integer(`${name}.limit`, own['limit'], 1, 1_000_000),
    perMs: Math.ceil(durationMs(`${name}.per`, own['per'])),
    key: keyFunction(`${name}.key`, own['key']),
  }
}

function readNames(name: string, value: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (names.length > 0 && names.every((one) => typeof one === 'string')) return [...new Set(names)]
  throw new OptionError(
    `${name} is ${show(value)}. Give the name, or names, of limits from createScheduler({ limits }).`,
  )
}

function readDedupe(name: string, value: unknown): DedupeRule | undefined {
  if (value === undefined) return undefined
  const allowed = 'a function (payload) => string, or { key: (payload) => string, mode, ttl }'
  const own = typeof value === 'function' ? { key: value } : ownOptions(name, value, dedupeNames, allowed)
  const key = keyFunction(`${name}.key`, own['key'])
  if (key === undefined) throw new OptionError(`${name} has no key. Give a function (payload) => string.`)
  return { key, ...readDedupeOptions(name, own) }
}

const dedupeNames: ReadonlySet<string> = new Set(['key', 'mode', 'ttl'])

/** Mode and ttl of a dedupe option. @throws OptionError */
export function readDedupeOptions(
  name: string,
  own: Readonly<Record<string, unknown>>,
): Pick<DedupeRule, 'mode' | 'ttlMs'> {
  return {
    mode: own['mode'] === undefined ? 'first' : oneOf(`${name}.mode`, own['mode'], ['first', 'last']),
    ttlMs: own['ttl'] === undefined ? undefined : durationMs(`${name}.ttl`, own['ttl']),
  }
}

type KeyFunction = TaskPolicy['orderingKey']

function keyFunction(name: string, value: unknown): KeyFunction {
  if (value === undefined) return undefined
  if (typeof value === 'function') return value as KeyFunction // called with this task's payloads only
  throw new OptionError(`${name} is ${show(value)}. Give a function (payload) => string | undefined.`)
}

function schema(name: string, value: unknown): TaskPolicy['input'] {
  if (value === undefined) return undefined
  if (isStandardSchema(value)) return value
  throw new OptionError(`${name} is ${show(value)}. Give a Standard Schema (zod, valibot, arktype …).`)
}

/** What the Standard Schema specification asks for. Some libraries' schemas are functions. */
function isStandardSchema(value: unknown): value is NonNullable<TaskPolicy['input']> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard: unknown = '~standard' in value ? value['~standard'] : undefined
  return typeof standard === 'object' && standard !== null && 'validate' in standard
}
