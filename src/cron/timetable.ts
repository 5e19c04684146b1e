/** The instants of a schedule, and the clock they are read on. */
import type { Clock } from '../world.js'
import { Fields, type DayMatch } from './fields.js'
import { next } from './next.js'
import type { Zone } from './zone.js'
import { LRUCache } from 'lru-cache'

/**
 * `wall`: ms since the epoch, for expressions. `steady`: the scheduler's monotonic clock, for intervals, so that a clock
 * that is set moves nothing.
 */
export type Scale = 'wall' | 'steady'

/** How the user said when it runs. */
export type Pattern =
  { readonly expression: string; readonly timezone: string } | { readonly intervalMs: number }

/** Instants in strictly increasing order. */
export interface Timetable {
  readonly scale: Scale
  readonly pattern: Pattern
  /** The latest instant there may be, on its scale; Infinity for no bound. */
  readonly end: number
  /** The first instant after `after`, on its scale, or undefined when there is none. */
  next(after: number): number | undefined
}

/**
 * An expression in a zone. One object, its fields included, for all schedules that say the same; see `cronTimetable`.
 */
export class CronTimetable extends Fields implements Timetable {
  readonly expression: string
  readonly zone: Zone

  /** @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION) */
  constructor(expression: unknown, dayMatch: DayMatch, zone: Zone) {
    super(expression, dayMatch)
    this.expression = String(expression).trim() // it was parsed: a string
    this.zone = zone
  }

  get scale(): 'wall' {
    return 'wall'
  }

  get pattern(): Pattern {
    return { expression: this.expression, timezone: this.zone.name }
  }

  get end(): number {
    return Infinity
  }

  next(after: number): number | undefined {
    if (last.timetable !== this || last.after !== after) {
      last = { timetable: this, after, next: next(this, after, this.zone) }
    }
    return last.next
  }
}

/** The last question and its answer: schedules that are due together often ask the same. */
let last: { timetable: CronTimetable | undefined; after: number; next: number | undefined } = {
  timetable: undefined,
  after: 0,
  next: undefined,
}

const mostShared = 256
const shared = new LRUCache<string, CronTimetable>({ max: mostShared })

/** @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION) */
export function cronTimetable(expression: unknown, zone: Zone, dayMatch: DayMatch): CronTimetable {
  const known = typeof expression === 'string' ? shared.get(sharedKey(expression, zone, dayMatch)) : undefined
  if (known !== undefined) return known
  const timetable = new CronTimetable(expression, dayMatch, zone)
  shared.set(sharedKey(String(expression), zone, dayMatch), timetable) // a string, as it was parsed
  return timetable
}

function sharedKey(expression: string, zone: Zone, dayMatch: DayMatch): string {
  return `${dayMatch} ${zone.name} ${expression}`
}

/** Every `intervalMs`, `anchor` excluded. */
export class IntervalTimetable implements Timetable {
  readonly intervalMs: number
  readonly #anchor: number

  /** @param anchor on the steady scale; the first instant is one interval later */
  constructor(intervalMs: number, anchor: number) {
    this.intervalMs = intervalMs
    this.#anchor = anchor
  }

  get scale(): 'steady' {
    return 'steady'
  }

  get pattern(): Pattern {
    return { intervalMs: this.intervalMs }
  }

  get end(): number {
    return Infinity
  }

  next(after: number): number {
    const passed = Math.max(0, Math.floor((after - this.#anchor) / this.intervalMs))
    return this.#anchor + (passed + 1) * this.intervalMs
  }
}

/**
 * A timetable from one instant to another, both included. They are instants of the wall clock, so on the steady scale they
 * move when it is set.
 */
export class BoundedTimetable implements Timetable {
  readonly #timetable: Timetable
  readonly #from: number
  readonly #end: number
  readonly #clock: Clock
  /** Ms since the epoch at the beginning of the steady scale, as the clocks stood when it was made. */
  readonly #epochMs: number

  /** @param from and `end` on the timetable's scale, as the clocks stand now */
  constructor(timetable: Timetable, from: number, end: number, clock: Clock) {
    this.#timetable = timetable
    this.#from = from
    this.#end = end
    this.#clock = clock
    this.#epochMs = clock.wallAt(0)
  }

  get scale(): Scale {
    return this.#timetable.scale
  }

  get pattern(): Pattern {
    return this.#timetable.pattern
  }

  get end(): number {
    return this.#end - this.#setAheadMs
  }

  next(after: number): number | undefined {
    const instant = this.#timetable.next(Math.max(after, this.#from - this.#setAheadMs - 1))
    return instant === undefined || instant > this.end ? undefined : instant
  }

  /** By how much the wall clock was set ahead since then; below 0 when it was set back. */
  get #setAheadMs(): number {
    return this.scale === 'wall' ? 0 : this.#clock.wallAt(0) - this.#epochMs
  }
}

/** What the clock of a scale shows. A steady reading is floored, so what it shows has surely passed a resolution later. */
export function reading(clock: Clock, scale: Scale): number {
  return scale === 'wall' ? clock.wall() : clock.now() - clock.resolutionMs
}
