/**
 * The rule of daylight saving, walked minute by minute: an oracle that shares no code and no idea with src/cron.
 *
 * A clock shows a wall minute at every minute of real time. A schedule whose hour field starts with `*` fires whenever
 * the clock shows a matching minute. Any other fires when the clock first reaches or passes a matching minute that it
 * has not reached before.
 */
import { parse } from 'node-cron'

const minuteMs = 60_000
const sampleMs = 15 * minuteMs

/** A zone's wall clock, sampled every quarter of an hour: in these years no zone changes at another time. */
export class WallClock {
  readonly #format: Intl.DateTimeFormat
  readonly #offsets = new Map<number, number>()

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-GB', {
      timeZone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
    }) // prettier-ignore
  }

  /** What the clock shows at an instant of whole minutes, as if it were UTC. */
  at(instant: number): number {
    const sample = Math.floor(instant / sampleMs)
    let offset = this.#offsets.get(sample)
    if (offset === undefined) {
      offset = this.#read(sample * sampleMs)
      this.#offsets.set(sample, offset)
    }
    return instant + offset
  }

  #read(instant: number): number {
    const parts = Object.fromEntries(
      this.#format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]),
    )
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute) - instant
  }

  /** The quarters of an hour in a span at which the offset differs from the one before. */
  changes(from: number, to: number): number[] {
    const changes: number[] = []
    for (let day = from; day < to; day += 24 * 60 * minuteMs) {
      if (this.at(day) - day === this.at(day + 24 * 60 * minuteMs) - day - 24 * 60 * minuteMs) continue
      for (let at = day; at < day + 24 * 60 * minuteMs; at += sampleMs) {
        if (this.at(at) - at !== this.at(at + sampleMs) - at - sampleMs) changes.push(at + sampleMs)
      }
    }
    return changes
  }
}

/** Minutes only, numbers only, and at most one of the day fields restricted: what `randomExpression` calls dense. */
export class Walker {
  readonly #minutes: ReadonlySet<number>
  readonly #hours: ReadonlySet<number>
  readonly #weekdays: ReadonlySet<number | string>
  readonly #isEveryHour: boolean

  constructor(expression: string) {
    const { minute, hour, dayOfWeek } = parse(expression)
    this.#minutes = new Set(minute)
    this.#hours = new Set(hour)
    this.#weekdays = new Set(dayOfWeek)
    this.#isEveryHour = expression.split(' ')[1]?.startsWith('*') === true
  }

  /** The first instant after `after` and up to `until`, or undefined. */
  next(after: number, until: number, clock: WallClock): number | undefined {
    const start = Math.floor(after / minuteMs) * minuteMs
    // Between two quarters of an hour the clock only goes on, so the last minute of each is the highest.
    let reached = clock.at(start)
    for (let quarter = start - (start % sampleMs); quarter > start - 30 * 60 * minuteMs; quarter -= sampleMs)
      reached = Math.max(reached, clock.at(quarter - minuteMs))
    for (let at = start + minuteMs; at <= until; at += minuteMs) {
      const shown = clock.at(at)
      if (this.#isEveryHour ? this.#matches(shown) : this.#matchesAny(reached + minuteMs, shown)) return at
      reached = Math.max(reached, shown)
    }
    return undefined
  }

  #matchesAny(from: number, to: number): boolean {
    for (let wall = from; wall <= to; wall += minuteMs) if (this.#matches(wall)) return true
    return false
  }

  #matches(wall: number): boolean {
    const date = new Date(wall)
    return (
      this.#minutes.has(date.getUTCMinutes()) &&
      this.#hours.has(date.getUTCHours()) &&
      this.#weekdays.has(date.getUTCDay())
    )
  }
}
