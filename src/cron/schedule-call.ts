/** What one call of `cron.schedule` or `cron.every` says: whatever can be refused by looking at it is refused here. */
import { OptionError } from '../errors.js'
import { show, type Duration } from '../options.js'
import type { Clock } from '../world.js'
import { badExpression, isExpression } from './guard.js'
import {
  isInterval,
  optionsInPayload,
  readInterval,
  readScheduleOptions,
  type ReadOptions,
} from './schedule-options.js'
import { BoundedTimetable, cronTimetable, IntervalTimetable, type Timetable } from './timetable.js'
import { systemZone, zoneOf } from './zone.js'

type Method = 'schedule' | 'every'

/** One call, read. Name, task and payload are as they were given. */
export interface ScheduleCall {
  readonly method: Method
  readonly name: string
  readonly timetable: Timetable
  readonly task: unknown
  readonly payload: unknown
  readonly read: ReadOptions
  readonly hasOptions: boolean
}

/**
 * @param rest `payload?, options?`, of a closure `options?`
 * @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION), OptionError
 */
export function readSchedule(
  name: string,
  expression: string,
  task: unknown,
  rest: readonly unknown[],
  clock: Clock,
): ScheduleCall {
  if (isExpression(name) && !isExpression(expression)) throw nameExpected('schedule', name, expression)
  const [payload, options] = split('schedule', task, rest)
  const read = readScheduleOptions('schedule', options)
  const zone = read.timezone === undefined ? systemZone() : zoneOf(read.timezone)
  const unbounded = cronTimetable(expression, zone, read.dayMatch)
  if (unbounded.next(clock.wall()) === undefined) throw badExpression(expression, 'Such a day never comes.')
  const { startAt, endAt } = read.policy
  const timetable = bounded(unbounded, startAt, endAt, clock)
  return { method: 'schedule', name, timetable, task, payload, read, hasOptions: options !== undefined }
}

/** @param rest as of `readSchedule` @throws OptionError */
export function readEvery(
  name: string,
  interval: Duration,
  task: unknown,
  rest: readonly unknown[],
  clock: Clock,
): ScheduleCall {
  if (!isInterval(interval) && isInterval(name)) throw nameExpected('every', name, interval)
  const [payload, options] = split('every', task, rest)
  const read = readScheduleOptions('every', options)
  const intervalMs = readInterval(interval)
  const { startAt, endAt } = read.policy
  const first = steady(startAt, clock)
  const anchor = startAt === -Infinity ? clock.now() : first - intervalMs
  const timetable = bounded(new IntervalTimetable(intervalMs, anchor), first, steady(endAt, clock), clock)
  return { method: 'every', name, timetable, task, payload, read, hasOptions: options !== undefined }
}

/** For the log: of a payload that was meant for the options. */
export function warningOf({ method, name, payload, hasOptions }: ScheduleCall): string | undefined {
  const names = hasOptions ? [] : optionsInPayload(method, payload)
  if (names.length === 0) return undefined
  return (
    `the payload of schedule '${name}' has only names of options (${names.join(', ')}): options come after the payload, ` +
    `cron.${method}(name, ${whens[method].noun}, task, payload, options)`
  )
}

/** `(task, payload?, options?)` or `(fn, options?)`, as `defer` has them. */
function split(method: string, task: unknown, rest: readonly unknown[]): readonly [unknown, unknown] {
  if (typeof task !== 'function') return [rest[0], rest[1]]
  if (rest.length > 1)
    throw new OptionError(
      `cron.${method} got a payload for a closure. Give cron.${method}(name, when, fn, options).`,
    )
  return [undefined, rest[0]]
}

const whens = { schedule: { noun: 'expression', example: 'nightly' }, every: { noun: 'interval', example: 'tidy' } } // prettier-ignore

/** For `schedule('0 3 * * *', task)`, and the two in the wrong order. */
function nameExpected(method: Method, name: unknown, when: unknown): OptionError {
  const { noun, example } = whens[method]
  return new OptionError(
    `cron.${method} got ${show(name)} as the name of the schedule and ${show(when)} as its ${noun}. ` +
      `The first argument is the name: cron.${method}('${example}', ${show(name)}, task).`,
  )
}

function bounded(timetable: Timetable, from: number, to: number, clock: Clock): Timetable {
  return from === -Infinity && to === Infinity ? timetable : new BoundedTimetable(timetable, from, to, clock)
}

/** Ms since the epoch on the steady scale, as the clocks stand now. */
function steady(wall: number, clock: Clock): number {
  return Math.ceil(wall - clock.wall() + clock.now())
}
