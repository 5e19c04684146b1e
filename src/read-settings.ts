/** Reads `createScheduler`'s options: every default in one place. */
import os from 'node:os'
import type { ResourceLimits } from 'node:worker_threads'
import { pino, type Logger } from 'pino'
import type { LaneSettings } from './dispatch/lane-room.js'
import { OptionError } from './errors.js'
import type { KeepSettings } from './shelf.js'
import type { Lane } from './job/snapshot.js'
import type { MainLanePace } from './main-lane/turn.js'
import { payloadLimits } from './job/payload-limits.js'
import type { LimitRule } from './job/task-record.js'
import { durationMs, integer, key, orDefault, ownOptions, ownRecord, show } from './options.js'
import type { SchedulerOptions } from './scheduler-options.js'
import { readDefaults, readRate, timeoutMs } from './task/task-policy.js'
import { taskModuleUrls } from './threads/task-modules.js'
import type { ThreadSettings } from './threads/thread.js'

/** The options with every default applied. */
export interface Settings {
  readonly threads: ThreadSettings
  /** Whether threads have modules to import. */
  readonly hasTaskModules: boolean
  readonly lanes: Readonly<Record<Lane, LaneSettings>>
  readonly mainPace: MainLanePace
  /** Ms after which a main-lane handler that holds the main thread is told; Infinity for never. */
  readonly blockedAfterMs: number
  readonly maxRssBytes: number
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  readonly agingMs: number | false
  readonly keep: KeepSettings
  readonly limits: ReadonlyMap<string, LimitRule>
  readonly defaults: Record<string, unknown>
  readonly logger: Logger | undefined
}

const known = {
  scheduler: new Set([
    'tasks',
    'threads',
    'main',
    'maxQueued',
    'maxQueuedBytes',
    'maxPayloadBytes',
    'aging',
    'keep',
    'limits',
    'defaults',
    'logger',
  ]),
  threads: new Set([
    'cpu',
    'io',
    'ioConcurrency',
    'minIdle',
    'idleTimeout',
    'startTimeout',
    'nice',
    'resourceLimits',
    'maxRssBytes',
    'execArgv',
    'entry',
  ]),
  resourceLimits: new Set([
    'maxYoungGenerationSizeMb',
    'maxOldGenerationSizeMb',
    'codeRangeSizeMb',
    'stackSizeMb',
  ]),
  main: new Set(['concurrency', 'budget', 'maxDelay', 'blockedAfter']),
  keep: new Set(['completed', 'failed', 'bytes', 'for']),
} as const

const anObject = 'an object with options'
const mostThreads = 256
/** What waits and both kinds of what is kept are in one table, which numbers 2^24 jobs: see job-ids.ts. */
const mostQueued = 5_000_000

/** The options of `createScheduler`. */
export const schedulerOptionNames: ReadonlySet<string> = known.scheduler

/** @throws OptionError naming what is wrong */
export function readSettings(options: unknown): Settings {
  const own = ownOptions('createScheduler', options, known.scheduler)
  const threads = readThreads(own['threads'])
  const tasks = taskModuleUrls(readTasks(own['tasks']))
  const main = ownOptions('main', own['main'], known.main, anObject)
  const maxQueuedBytes = integer('maxQueuedBytes', orDefault(own['maxQueuedBytes'], 256 * 2 ** 20), 1)
  const maxPayloadBytes = integer(
    'maxPayloadBytes',
    orDefault(own['maxPayloadBytes'], 256 * 2 ** 10),
    1,
    2 ** 29,
  )
  const defaults = readDefaults(own['defaults'])
  return {
    threads: {
      tasks,
      nice: integer('threads.nice', orDefault(threads['nice'], 10), 0, 19),
      resourceLimits: readResourceLimits(threads['resourceLimits']),
      execArgv: readExecArgv(threads['execArgv']),
      entry: readEntry(threads['entry']),
      payloadLimits: payloadLimits(maxPayloadBytes, maxQueuedBytes),
      sensitiveByDefault: defaults['sensitive'] === true,
    },
    maxRssBytes: integer(
      'threads.maxRssBytes',
      threads['maxRssBytes'] === undefined ? systemShare() : threads['maxRssBytes'],
      1,
    ),
    blockedAfterMs: timeoutMs('main.blockedAfter', orDefault(main['blockedAfter'], '1s')),
    hasTaskModules: tasks.length > 0,
    lanes: readLanes(threads, main),
    mainPace: {
      budgetMs: durationMs('main.budget', orDefault(main['budget'], '5ms')),
      maxDelayMs: durationMs('main.maxDelay', orDefault(main['maxDelay'], '20ms')),
    },
    maxQueued: integer('maxQueued', orDefault(own['maxQueued'], 100_000), 1, mostQueued),
    maxQueuedBytes,
    agingMs: own['aging'] === false ? false : durationMs('aging', orDefault(own['aging'], '30s')),
    keep: readKeep(ownOptions('keep', own['keep'], known.keep, anObject)),
    limits: readLimits(own['limits']),
    defaults,
    logger: readLogger(own['logger']),
  }
}

/** 80 % of the memory there is. A container without a limit reports none, or more than the system has. */
function systemShare(): number {
  const limit = process.constrainedMemory()
  return Math.floor(0.8 * (limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem()))
}

function readThreads(threads: unknown): Record<string, unknown> {
  return typeof threads === 'number'
    ? { cpu: threads }
    : ownOptions('threads', threads, known.threads, `a number or ${anObject}`)
}

function readLanes(threads: Record<string, unknown>, main: Record<string, unknown>): Settings['lanes'] {
  const minIdle = integer('threads.minIdle', orDefault(threads['minIdle'], 0), 0, mostThreads)
  const idleTimeoutMs = durationMs('threads.idleTimeout', orDefault(threads['idleTimeout'], '30s'))
  const startTimeoutMs = durationMs('threads.startTimeout', orDefault(threads['startTimeout'], '9s'))
  const cpu = orDefault(threads['cpu'], Math.max(1, os.availableParallelism() - 1))
  return {
    cpu: {
      maxThreads: integer('threads.cpu', cpu, 1, mostThreads),
      placesPerThread: 1,
      minIdle,
      idleTimeoutMs,
      startTimeoutMs,
    },
    io: {
      maxThreads: integer('threads.io', orDefault(threads['io'], 1), 1, mostThreads),
      placesPerThread: integer('threads.ioConcurrency', orDefault(threads['ioConcurrency'], 32), 1, 10_000),
      minIdle,
      idleTimeoutMs,
      startTimeoutMs,
    },
    main: {
      maxThreads: 1,
      placesPerThread: integer('main.concurrency', orDefault(main['concurrency'], 8), 1, 10_000),
      minIdle: 1,
      idleTimeoutMs: Infinity,
      startTimeoutMs,
    },
  }
}

function readKeep(keep: Record<string, unknown>): KeepSettings {
  return {
    completed: integer('keep.completed', orDefault(keep['completed'], 1_000), 0, mostQueued),
    failed: integer('keep.failed', orDefault(keep['failed'], 10_000), 0, mostQueued),
    bytes: integer('keep.bytes', orDefault(keep['bytes'], 64 * 2 ** 20), 0),
    forMs: Math.ceil(durationMs('keep.for', orDefault(keep['for'], '24h'))),
  }
}

function readLimits(limits: unknown): ReadonlyMap<string, LimitRule> {
  if (limits === undefined) return new Map()
  const own = ownRecord('limits', limits, 'an object { name: { concurrency, rateLimit } }')
  return new Map(
    Object.entries(own).map(([name, rule]) => [key('A limit name', name), readLimit(name, rule)]),
  )
}

function readLimit(name: string, rule: unknown): LimitRule {
  const own = ownOptions(
    `limits.${name}`,
    rule,
    new Set(['concurrency', 'rateLimit']),
    'an object { concurrency, rateLimit }',
  )
  const { concurrency, rateLimit } = own
  return {
    concurrency:
      concurrency === undefined ? undefined : integer(`limits.${name}.concurrency`, concurrency, 1),
    rate: rateLimit === undefined ? undefined : readRate(`limits.${name}.rateLimit`, rateLimit, false),
  }
}

function readTasks(tasks: unknown): SchedulerOptions['tasks'] {
  const isModule = (one: unknown): one is URL | string => typeof one === 'string' || one instanceof URL
  if (tasks === undefined || isModule(tasks)) return tasks
  if (Array.isArray(tasks) && tasks.every(isModule)) return tasks
  const given: readonly unknown[] = Array.isArray(tasks) ? tasks : [tasks]
  const index = given.findIndex((one) => !isModule(one))
  const name = Array.isArray(tasks) ? `tasks[${index}]` : 'tasks'
  throw new OptionError(
    `${name} is ${shownTask(given[index])}. Give the module that defines them: new URL('./tasks.js', import.meta.url), a path, or an array.`,
  )
}

/** Tasks themselves are what is given by mistake: a thread cannot get them. */
function shownTask(value: unknown): string {
  const name: unknown = (value as { name?: unknown } | null)?.name
  return typeof value === 'object' && typeof name === 'string' ? `the task ${show(name)}` : show(value)
}

function readResourceLimits(given: unknown): ResourceLimits | undefined {
  if (given === undefined) return undefined
  const own = ownOptions('threads.resourceLimits', given, known.resourceLimits, anObject)
  for (const [name, value] of Object.entries(own)) {
    if (typeof value === 'number' && value > 0) continue
    throw new OptionError(`threads.resourceLimits.${name} is ${show(value)}. Give a number above 0.`)
  }
  return own
}

/** Node looks at the flags themselves when a thread starts. */
function readExecArgv(flags: unknown): readonly string[] | undefined {
  if (flags === undefined) return undefined
  if (Array.isArray(flags) && flags.every((one) => typeof one === 'string')) return flags
  throw new OptionError(`threads.execArgv is ${show(flags)}. Give an array of Node flags.`)
}

function readEntry(entry: unknown): URL | undefined {
  if (entry === undefined || entry instanceof URL) return entry
  throw new OptionError(`threads.entry is ${show(entry)}. Give a URL.`)
}

function readLogger(logger: unknown): Logger | undefined {
  if (logger === false) return undefined
  if (logger === undefined) return pino({ name: 'sidework', level: 'info' })
  const has = (name: string): boolean =>
    typeof (logger as Record<string, unknown> | null)?.[name] === 'function'
  const missing = loggerMethods.find((name) => !has(name))
  if (missing === undefined) return logger as Logger // it has whatever is used of one
  const shown =
    typeof logger === 'object' && logger !== null ? `an object without ${missing}()` : show(logger)
  throw new OptionError(`logger is ${shown}. Give a pino logger, or false for silence.`)
}

/** What is used of a pino logger. */
const loggerMethods = ['debug', 'info', 'warn', 'error', 'isLevelEnabled'] as const
