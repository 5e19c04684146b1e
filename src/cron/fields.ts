/**
 * From text to fields, by node-cron's grammar (its public `validateDetailed`): 5 or 6 fields, names, lists, ranges, steps,
 * `L`, `W`, `#`, nicknames. The result is a handful of small integers, shared by all schedules of one expression.
 */
import { validateDetailed } from 'node-cron'
import { explain } from './explain.js'
import { badExpression, guard, type Guarded } from './guard.js'

/** How day of month and day of week go together when both are restricted: either matches (crontab), or both must. */
export type DayMatch = 'or' | 'and'

/** A day of a month that no number names. `day` is 1–31 or, counted from the end, 0 for the last, 1 for the one before. */
export type SpecialDay =
  /** `L`, `L-3`. */
  | { readonly kind: 'from-end'; readonly back: number }
  /** `15W`: the weekday (Monday to Friday) nearest to the day, in the same month. */
  | { readonly kind: 'nearest-weekday'; readonly day: number }
  /** `LW`. */
  | { readonly kind: 'last-weekday' }
  /** `5L`: the last of that day of the week. */
  | { readonly kind: 'last-of'; readonly weekday: number }
  /** `5#2`: the second of that day of the week. */
  | { readonly kind: 'nth-of'; readonly weekday: number; readonly nth: number }

/** An expression, expanded. A set of small numbers is a bit mask; of 60, two: bits 0–29 and 30–59. */
export class Fields {
  readonly secondsLow: number
  readonly secondsHigh: number
  readonly minutesLow: number
  readonly minutesHigh: number
  readonly hours: number
  /** Bits 1–31. */
  readonly daysOfMonth: number
  /** Bits 1–12. */
  readonly months: number
  /** Bits 0–6, Sunday first. */
  readonly daysOfWeek: number
  readonly specialDaysOfMonth: readonly SpecialDay[]
  readonly specialDaysOfWeek: readonly SpecialDay[]
  /** Whether one matching day field is enough. */
  readonly isEitherDay: boolean
  /** Whether the hour field starts with `*`: such a schedule follows real time through changes of the clock. */
  readonly isEveryHour: boolean

  /** @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION) naming the field and what is wrong with it */
  constructor(expression: unknown, dayMatch: DayMatch) {
    const guarded = guard(expression)
    const { fields, errors } = validateDetailed(guarded.text)
    if (fields === undefined || errors.length > 0) throw badExpression(expression, explain(guarded, errors))
    this.secondsLow = half(fields.second, 0)
    this.secondsHigh = half(fields.second, 30)
    this.minutesLow = half(fields.minute, 0)
    this.minutesHigh = half(fields.minute, 30)
    this.hours = mask(fields.hour)
    this.daysOfMonth = mask(fields.dayOfMonth)
    this.months = mask(fields.month)
    this.daysOfWeek = mask(fields.dayOfWeek)
    this.specialDaysOfMonth = specials(fields.dayOfMonth, dayOfMonth)
    this.specialDaysOfWeek = specials(fields.dayOfWeek, dayOfWeek)
    this.isEitherDay = dayMatch === 'or' && areBothDaysRestricted(guarded)
    this.isEveryHour =
      guarded.kind === 'fields' ? guarded.fields.hour.startsWith('*') : isHourly(guarded.text)
  }
}

function isHourly(nickname: string): boolean {
  return nickname.toLowerCase() === '@hourly'
}

/** As in crontab(5): a field that starts with `*` restricts nothing, `*` followed by a step included; nor does `?`. */
function areBothDaysRestricted(guarded: Guarded): boolean {
  if (guarded.kind === 'nickname') return false
  return [guarded.fields.dayOfMonth, guarded.fields.dayOfWeek].every((field) => !/^[*?]/.test(field))
}

type Expanded = readonly (number | string)[]

function mask(values: Expanded): number {
  let bits = 0
  for (const value of values) if (typeof value === 'number') bits |= 1 << value
  return bits
}

/** Of 0–59, the part from `least` to `least` + 29. */
function half(values: readonly number[], least: number): number {
  let bits = 0
  for (const value of values) if (value >= least && value < least + 30) bits |= 1 << (value - least)
  return bits
}

/** One for all, as most expressions have none. */
const none: readonly SpecialDay[] = Object.freeze([])

function specials(values: Expanded, read: (token: string) => SpecialDay): readonly SpecialDay[] {
  if (values.every((value) => typeof value === 'number')) return none
  return values.filter((value) => typeof value === 'string').map(read)
}

/** 'L', 'L-3', 'LW' or '15W', as node-cron writes them. */
function dayOfMonth(token: string): SpecialDay {
  if (token === 'LW') return { kind: 'last-weekday' }
  if (token.endsWith('W')) return { kind: 'nearest-weekday', day: parseInt(token, 10) }
  return { kind: 'from-end', back: token === 'L' ? 0 : Number(token.slice(2)) }
}

/** '5L' or '5#2', as node-cron writes them. */
function dayOfWeek(token: string): SpecialDay {
  const weekday = parseInt(token, 10) % 7
  return token.endsWith('L')
    ? { kind: 'last-of', weekday }
    : { kind: 'nth-of', weekday, nth: Number(token.slice(token.indexOf('#') + 1)) }
}
