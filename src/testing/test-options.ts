import { OptionError } from '../errors.js'
import { durationMs, flag, integer, orDefault, ownOptions, show, type Duration } from '../options.js'
import { readSettings, schedulerOptionNames, type Settings } from '../read-settings.js'
import type { SchedulerOptions, ThreadOptions } from '../scheduler-options.js'

/** Options of `createTestScheduler`: those of `createScheduler`, and what makes a test. */
export interface TestSchedulerOptions extends Omit<SchedulerOptions, 'threads'> {
  /** The virtual wall clock at the start: ISO 8601 with a zone, a `Date`, or ms since the epoch. Default 2026-01-01T00:00:00Z. */
  now?: string | number | Date | undefined
  /** Decides ids and jitter: the same seed gives the same trace. An integer, default 1. */
  seed?: number | undefined
  /**
   * `true`: real worker threads, which need `tasks`. Else handlers run on the main thread, and this says how many places
   * there are. Default `{ cpu: 4, io: 1 }`, whatever the machine.
   */
  threads?: true | number | ThreadOptions | undefined
  /**
   * Real time for which attempts may say nothing. Then `run()` rejects, and `advance()` takes them for waiting for virtual
   * time. Default '2s'.
   */
  patience?: Duration | undefined
  /** `close()` runs nothing more, and rejects when jobs are left. Default false. */
  strict?: boolean | undefined
}

/** The options with every default applied. */
export interface TestSettings {
  readonly settings: Settings
  readonly hasRealThreads: boolean
  readonly wall: number
  readonly seed: number
  readonly patienceMs: number
  readonly isStrict: boolean
}

const optionNames: ReadonlySet<string> = new Set([
  ...schedulerOptionNames,
  'now',
  'seed',
  'patience',
  'strict',
])

/** @throws OptionError naming what is wrong */
export function readTestSettings(options: unknown): TestSettings {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new OptionError(`createTestScheduler got ${show(options)}. Give an object with options.`)
  }
  const own = ownOptions('createTestScheduler', options, optionNames)
  const { now, seed, patience, strict, threads, ...others } = own
  const hasRealThreads = threads === true
  const settings = readSettings({
    logger: false,
    ...others,
    ...(hasRealThreads ? undefined : { threads: places(threads) }),
  })
  if (hasRealThreads && !settings.hasTaskModules) {
    throw new OptionError(
      "threads: true needs the modules that the threads import. Give tasks: new URL('./tasks.js', import.meta.url).",
    )
  }
  return {
    settings: {
      ...settings,
      hasTaskModules: true,
      lanes: hasRealThreads ? settings.lanes : lasting(settings.lanes),
    },
    hasRealThreads,
    wall: readInstant(orDefault(now, '2026-01-01T00:00:00Z')),
    seed: integer('seed', orDefault(seed, 1), 0),
    patienceMs: durationMs('patience', orDefault(patience, '2s')),
    isStrict: flag('strict', orDefault(strict, false)),
  }
}

function places(threads: unknown): unknown {
  if (typeof threads !== 'object' || threads === null || Array.isArray(threads)) return threads ?? { cpu: 4 }
  return { cpu: 4, ...threads }
}

/** What is no thread costs nothing while it idles. */
function lasting(lanes: Settings['lanes']): Settings['lanes'] {
  const { cpu, io, main } = lanes
  return { cpu: { ...cpu, idleTimeoutMs: Infinity }, io: { ...io, idleTimeoutMs: Infinity }, main }
}

/** ISO 8601, as a time without a zone means another instant on each machine. A date alone is UTC (ECMA-262, 21.4.1.32). */
const instantText = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/

function readInstant(now: unknown): number {
  const isText = typeof now === 'string' && instantText.test(now)
  const wall = isText || typeof now === 'number' || now instanceof Date ? new Date(now).getTime() : Number.NaN
  if (Number.isInteger(wall)) return wall
  throw new OptionError(
    `now is ${show(now)}. Give an instant such as '2026-03-08T00:00:00Z', a Date, or ms since the epoch.`,
  )
}
