/** The options of one schedule, and how they are read. */
import { OptionError } from '../errors.js'
import { durationMs, integer, oneOf, orDefault, ownOptions, show, type Duration } from '../options.js'
import type { DeferOptions } from '../task/defer-options.js'
import type { DayMatch } from './fields.js'
import { refuseMisplaced } from './misplaced-options.js'
import type { CatchUp, CatchUpPolicy } from './plan.js'

/** What a run does that finds a job of its schedule unsettled. */
export type Overlap = 'skip' | 'queue' | 'allow' | 'replace'

/** What a recurring job's defer may say for itself. */
export type RecurringDeferOptions = Omit<DeferOptions, 'delay' | 'runAt' | 'id' | 'signal'>

/** Options of `cron.every`, and of `cron.schedule` too. */
export interface EveryOptions {
  /**
   * When a run is due while a job of the schedule is unsettled: `'skip'` (default) leaves it out, `'queue'` lets one wait
   * until that job has settled, `'allow'` runs it beside, `'replace'` cancels that job and takes its place.
   */
  overlap?: Overlap | undefined
  /**
   * Runs whose time passed while the event loop was blocked, the machine slept or the clock was set: `'latest'` (default)
   * makes up for the last, `'none'` for none, `'all'` for the last `maxCatchUp`.
   */
  catchUp?: CatchUp | undefined
  /** Most runs made up for at once with `catchUp: 'all'`. 1–1,000, default 100. */
  maxCatchUp?: number | undefined
  /** Runs that are later than this are not made up for. A duration above 0; without it there is no bound. */
  catchUpWindow?: Duration | undefined
  /** Each run comes later by a random time below this, yet before the next instant. A duration, default 0. */
  jitter?: Duration | undefined
  /** The schedule ends after so many runs. 1 or more; skipped and `runNow` runs do not count. */
  maxRuns?: number | undefined
  /** Nothing runs earlier. A `Date` or ms since the epoch. With `every`, the instant of the first run. */
  startAt?: Date | number | undefined
  /** Nothing runs later, and the schedule ends. A `Date` or ms since the epoch. */
  endAt?: Date | number | undefined
  /** Options of each job's `defer`: priority, attempts, … */
  defer?: RecurringDeferOptions | undefined
}

/** Options of `cron.schedule`. */
export interface ScheduleOptions extends EveryOptions {
  /** An IANA name such as `'Europe/Berlin'`. Default: the zone of the system, as `list()` shows it. */
  timezone?: string | undefined
  /**
   * When both day of month and day of week are restricted: `'or'` (default, as in crontab(5)) runs when either matches,
   * `'and'` when both do.
   */
  dayMatch?: DayMatch | undefined
}

/** The options with defaults applied and durations in ms. */
export interface SchedulePolicy extends CatchUpPolicy {
  readonly overlap: Overlap
  readonly jitterMs: number
  /** Infinity for no bound. */
  readonly maxRuns: number
  /** Ms since the epoch; −Infinity for no bound. */
  readonly startAt: number
  /** Ms since the epoch; Infinity for no bound. */
  readonly endAt: number
}

/** What `cron.schedule` and `cron.every` have in common, read. */
export interface ReadOptions {
  readonly policy: SchedulePolicy
  readonly defer: unknown
  readonly timezone: unknown
  readonly dayMatch: DayMatch
}

const everyNames = ['overlap', 'catchUp', 'maxCatchUp', 'catchUpWindow', 'jitter', 'maxRuns', 'startAt', 'endAt', 'defer'] // prettier-ignore
const known: Readonly<Record<'schedule' | 'every', ReadonlySet<string>>> = {
  every: new Set(everyNames),
  schedule: new Set([...everyNames, 'timezone', 'dayMatch']),
}

const defaults: ReadOptions = Object.freeze({
  policy: Object.freeze({
    overlap: 'skip',
    catchUp: 'latest',
    maxCatchUp: 100,
    catchUpWindowMs: Infinity,
    jitterMs: 0,
    maxRuns: Infinity,
    startAt: -Infinity,
    endAt: Infinity,
  }),
  defer: undefined,
  timezone: undefined,
  dayMatch: 'or',
})

/** @throws OptionError for unknown options and values that are not what they must be */
export function readScheduleOptions(method: 'schedule' | 'every', options: unknown): ReadOptions {
  if (options === undefined) return defaults
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const example = method === 'schedule' ? "{ timezone: 'Europe/Berlin' }" : "{ overlap: 'queue' }"
    throw new OptionError(
      `cron.${method} got ${show(options)} for its options. Give an object such as ${example}.`,
    )
  }
  refuseMisplaced(method, options, known[method])
  const own = ownOptions(`cron.${method}`, options, known[method])
  const { policy } = defaults
  const startAt = instantOf('startAt', own['startAt'], policy.startAt)
  const endAt = instantOf('endAt', own['endAt'], policy.endAt)
  if (endAt < startAt)
    throw new OptionError(`endAt is earlier than startAt: ${show(endAt)} < ${show(startAt)}.`)
  return {
    policy: {
      overlap: oneOf('overlap', orDefault(own['overlap'], policy.overlap), [
        'skip',
        'queue',
        'allow',
        'replace',
      ]),
      catchUp: oneOf('catchUp', orDefault(own['catchUp'], policy.catchUp), ['latest', 'none', 'all']),
      maxCatchUp: integer('maxCatchUp', orDefault(own['maxCatchUp'], policy.maxCatchUp), 1, 1_000),
      catchUpWindowMs:
        own['catchUpWindow'] === undefined
          ? policy.catchUpWindowMs
          : durationMs('catchUpWindow', own['catchUpWindow']),
      jitterMs: durationMs('jitter', orDefault(own['jitter'], 0), { zero: true }),
      maxRuns: own['maxRuns'] === undefined ? policy.maxRuns : integer('maxRuns', own['maxRuns'], 1),
      startAt,
      endAt,
    },
    defer: readDefer(own['defer']),
    timezone: own['timezone'],
    dayMatch: oneOf('dayMatch', orDefault(own['dayMatch'], 'or'), ['or', 'and']),
  }
}

/** The names of its members, when it is a plain object that has nothing but options of a schedule. */
export function optionsInPayload(method: 'schedule' | 'every', payload: unknown): readonly string[] {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return []
  const names = Object.keys(payload)
  return names.every((name) => known[method].has(name)) ? names : []
}

/** Ms of `every`'s interval: at least one, whole. @throws OptionError */
export function readInterval(interval: unknown): number {
  return Math.ceil(durationMs('interval', interval))
}

/** Whether it is one. */
export function isInterval(value: unknown): boolean {
  try {
    readInterval(value)
    return true
  } catch {
    return false // What is wrong with it is for those to say who need one.
  }
}

function readDefer(options: unknown): unknown {
  const refused = ['delay', 'runAt', 'id', 'signal'].find(
    (name) => typeof options === 'object' && options !== null && Object.hasOwn(options, name),
  )
  if (refused === undefined) return options // the scheduler reads it
  throw new OptionError(
    `defer.${refused} cannot be said for a recurring job: the schedule decides when it runs.`,
  )
}

function instantOf(name: string, value: unknown, fallback: number): number {
  return value === undefined ? fallback : readInstant(name, value)
}

/** The end of the year 9999. */
const latestInstant = 253_402_300_799_999

/** @throws OptionError unless a `Date` or ms since the epoch, from 1970 to 9999 */
export function readInstant(name: string, value: unknown): number {
  const instant = value instanceof Date ? value.getTime() : value
  if (typeof instant === 'number' && instant >= 0 && instant <= latestInstant) return instant
  const shown = value instanceof Date ? 'a Date that is invalid or out of range' : show(value)
  throw new OptionError(`${name} is ${shown}. Give a Date or ms since the epoch, from 1970 to 9999.`)
}
