/**
 * Time zones: how far the wall clock is ahead of UTC, and when that changes. Asked of `Intl` (the system's tz data) once
 * per zone and day, at both ends; a day on which they differ holds one transition, which is searched for.
 */
import { OptionError } from '../errors.js'
import { show } from '../options.js'

const dayMs = 24 * 60 * 60 * 1_000
/** Days remembered per zone: 30 years. Beyond that it begins anew. */
const mostDays = 10_958

/** A change of the offset. */
export interface Transition {
  /** The first instant of the offset `after`. */
  readonly at: number
  readonly before: number
  readonly after: number
}

export class Zone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  /** By days since the epoch: the offset of that whole day, or its transition. */
  readonly #days = new Map<number, number | Transition>()

  constructor(name: string) {
    this.name = name
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /** Ms by which the wall clock is ahead of UTC at an instant. */
  offsetAt(instant: number): number {
    const day = this.#day(Math.floor(instant / dayMs))
    if (typeof day === 'number') return day
    return instant < day.at ? day.before : day.after
  }

  /** The first change of the offset after `after`, at the latest at `until`. */
  transition(after: number, until: number): Transition | undefined {
    const last = Math.floor(until / dayMs)
    for (let number = Math.floor(after / dayMs); number <= last; number++) {
      const day = this.#day(number)
      if (typeof day !== 'number' && day.at > after && day.at <= until) return day
    }
    return undefined
  }

  #day(number: number): number | Transition {
    const known = this.#days.get(number)
    if (known !== undefined) return known
    if (this.#days.size >= mostDays) this.#days.clear()
    const day = this.#read(number * dayMs)
    this.#days.set(number, day)
    return day
  }

  /** Transitions at midnight UTC belong to the day that they begin, so a day is looked at from the ms before it. */
  #read(start: number): number | Transition {
    const before = this.#ask(start - 1)
    const after = this.#ask(start + dayMs - 1)
    if (before === after) return before
    let [low, high] = [start - 1, start + dayMs - 1]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.#ask(middle) === before) low = middle
      else high = middle
    }
    return { at: high, before, after }
  }

  #ask(instant: number): number {
    const [month, day, year, hour, minute, second] = (this.#format.format(instant).match(/\d+/g) ?? []).map(
      Number,
    )
    const wall = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
    return wall - Math.floor(instant / 1_000) * 1_000
  }
}

/** By lower-case name, as zones are costly and few. */
const zones = new Map<string, Zone>()
const zoneName = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/

/**
 * The zone of a name.
 * @throws OptionError when the system knows no such zone
 */
export function zoneOf(name: unknown): Zone {
  if (typeof name !== 'string' || name.length > 64 || !zoneName.test(name)) throw noZone(name)
  const known = zones.get(name.toLowerCase())
  if (known !== undefined) return known
  const zone = make(name)
  zones.set(name.toLowerCase(), zone)
  return zone
}

function make(name: string): Zone {
  try {
    return new Zone(name)
  } catch {
    // A RangeError that says no more than that.
    throw noZone(name)
  }
}

function noZone(name: unknown): OptionError {
  return new OptionError(
    `timezone is ${show(name)}, which this system does not know. Give an IANA name such as 'Europe/Berlin' or 'UTC'.`,
  )
}

let system: { readonly variable: string | undefined; readonly zone: Zone } | undefined

/** The zone of this system; within a process only the environment variable TZ can change it. */
export function systemZone(): Zone {
  const variable = process.env['TZ']
  if (system === undefined || system.variable !== variable) {
    system = { variable, zone: readSystemZone(variable) }
  }
  return system.zone
}

/**
 * `Intl` has no name, or none that it takes itself, for what it cannot read: TZ set to '', ':/etc/localtime', 'UTC0', 'GMT+5'.
 * The clock of the process has a fixed distance to UTC then.
 */
function readSystemZone(variable: string | undefined): Zone {
  const named: unknown = new Intl.DateTimeFormat().resolvedOptions().timeZone // its type knows no undefined
  const offsetMinutes = new Date(0).getTimezoneOffset()
  const name = [named, fixedZone(offsetMinutes)].find(isZone)
  if (name !== undefined) return zoneOf(name)
  throw new OptionError(
    `The system's time zone has no name that Node knows: TZ is ${show(variable)}. ` +
      "Set TZ to one such as 'Europe/Berlin', or give timezone.",
  )
}

/** @param offsetMinutes by which UTC is ahead, whose sign the names have too */
function fixedZone(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'UTC'
  return `Etc/GMT${offsetMinutes < 0 ? '-' : '+'}${Math.abs(offsetMinutes) / 60}`
}

function isZone(name: unknown): boolean {
  try {
    return zoneOf(name) instanceof Zone
  } catch {
    return false // What is wrong with it does not matter here.
  }
}
