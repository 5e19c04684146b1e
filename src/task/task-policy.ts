/** Reads a task's options into the numbers the scheduler works with, defaults applied. */
import { OptionError } from '../errors.js'
import type { TaskPolicy } from '../job/task-record.js'
import { durationMs, integer, ownOptions, priorityLevel, show } from '../options.js'
import { readBackoff } from './backoff-options.js'

const taskOptionNames = [
  'lane',
  'attempts',
  'backoff',
  'timeout',
  'killAfter',
  'priority',
  'orderingKey',
  'onExhausted',
  'expiresIn',
  'sensitive',
] as const
const knownTaskOptions: ReadonlySet<string> = new Set([...taskOptionNames, 'input'])
/** A default payload key or schema for every task makes no sense. */
const knownDefaults: ReadonlySet<string> = new Set(taskOptionNames.filter((name) => name !== 'orderingKey'))

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
  const own = ownOptions('defaults', defaults, knownDefaults)
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
    priority: priorityLevel(options['priority']),
    orderingKey: keyFunction(`${where}: orderingKey`, options['orderingKey']),
    onExhausted: oneOf(`${where}: onExhausted`, options['onExhausted'], ['skip', 'halt']),
    expiresInMs:
      options['expiresIn'] === undefined ? Infinity : durationMs(`${where}: expiresIn`, options['expiresIn']),
    describesJobs: options['orderingKey'] !== undefined || options['expiresIn'] !== undefined,
    sensitive: flag(`${where}: sensitive`, options['sensitive']),
    input: schema(`${where}: input`, options['input']),
  }
}

/** Ms of a timeout; Infinity for `false`. @throws OptionError */
export function timeoutMs(name: string, value: unknown): number {
  return value === false ? Infinity : durationMs(name, value)
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  throw new OptionError(
    `${name} is ${show(value)}. Give one of ${allowed.map((one) => `'${one}'`).join(', ')}.`,
  )
}

function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new OptionError(`${name} is ${show(value)}. Give true or false.`)
}

function keyFunction(name: string, value: unknown): TaskPolicy['orderingKey'] {
  if (value === undefined) return undefined
  if (typeof value === 'function') return value as (payload: never) => unknown // called with this task's payloads only
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
