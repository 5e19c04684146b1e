/** Says in words when a schedule runs, for logs and `list()`. What has no short sentence keeps its expression. */
import { fieldRanges, guard, type FieldName } from './guard.js'

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January', 'February', 'March', 'April', 'May', 'June',
  'July', 'August', 'September', 'October', 'November', 'December',
] // prettier-ignore

const nicknames: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** @param expression a valid one */
export function describeExpression(expression: string, timezone: string): string {
  const guarded = guard(nicknames[expression.trim().toLowerCase()] ?? expression)
  const sentence = guarded.kind === 'fields' ? sentenceOf(guarded.fields) : undefined
  return `${sentence ?? `on '${expression.trim()}'`} (${timezone})`
}

export function describeInterval(intervalMs: number): string {
  const [unit, size] = units.find(([, ms]) => intervalMs % ms === 0) ?? ['millisecond', 1]
  const count = intervalMs / size
  return count === 1 ? `every ${unit}` : `every ${count} ${unit}s`
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const

type FieldTexts = Readonly<Record<FieldName, string>>

function sentenceOf(fields: FieldTexts): string | undefined {
  const days = daysOf(fields)
  if (days === undefined) return undefined
  const time = timeOf(fields)
  if (time !== undefined) return `${days} at ${time}`
  const frequency = frequencyOf(fields)
  if (frequency === undefined) return undefined
  return days === 'every day' ? frequency : `${frequency}, ${days}`
}

function daysOf({ dayOfMonth, month, dayOfWeek }: FieldTexts): string | undefined {
  const isEveryDate = isAny(dayOfMonth)
  const isEveryWeekday = isAny(dayOfWeek)
  const inMonth = isAny(month) ? '' : numberIn(month)
  if (inMonth === undefined) return undefined
  const of = inMonth === '' ? '' : ` of ${months[inMonth - 1]}`
  if (isEveryDate && isEveryWeekday) return inMonth === '' ? 'every day' : `every day${of}`
  if (isEveryWeekday) {
    const day = numberIn(dayOfMonth)
    if (day !== undefined) return `on day ${day} ${inMonth === '' ? 'of every month' : of.trim()}`
    return dayOfMonth.toUpperCase() === 'L'
      ? `on the last day ${inMonth === '' ? 'of every month' : of.trim()}`
      : undefined
  }
  if (!isEveryDate || inMonth !== '') return undefined
  if (dayOfWeek === '1-5' || dayOfWeek.toUpperCase() === 'MON-FRI') return 'Monday to Friday'
  const weekday = numberIn(dayOfWeek)
  return weekday === undefined ? undefined : `every ${weekdays[weekday % 7]}`
}

/** '02:00' or '02:00:30', for one time of day. */
function timeOf(fields: FieldTexts): string | undefined {
  const [hour, minute, second] = [numberIn(fields.hour), numberIn(fields.minute), numberIn(fields.second)]
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  const parts = second === 0 ? [hour, minute] : [hour, minute, second]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** 'every 10 minutes', for what goes on all day. */
function frequencyOf({ second, minute, hour }: FieldTexts): string | undefined {
  if (hour === '*' && minute === '*') return second === '0' ? 'every minute' : stepOf('second', second)
  if (hour === '*' && second === '0') {
    const past = numberIn(minute)
    if (past === undefined) return stepOf('minute', minute)
    return past === 0 ? 'every hour' : `every hour at minute ${past}`
  }
  return minute === '0' && second === '0' ? stepOf('hour', hour) : undefined
}

/** A step that divides its range evenly: any other has a short one at the end. */
function stepOf(unit: 'second' | 'minute' | 'hour', field: string): string | undefined {
  if (field === '*') return `every ${unit}`
  const step = Number(/^\*\/(\d+)$/.exec(field)?.[1])
  const size = fieldRanges[unit][1] + 1
  return step > 1 && step < size && size % step === 0 ? `every ${step} ${unit}s` : undefined
}

function isAny(field: string): boolean {
  return field === '*' || field === '?'
}

function numberIn(field: string): number | undefined {
  return /^\d+$/.test(field) ? Number(field) : undefined
}
