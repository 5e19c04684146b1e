/**
 * Looks at an expression before node-cron does: `1-99999999` would keep its parser busy for 25 s. What passes is short,
 * of known characters, and expands to little.
 */
import { SideworkError } from '../errors.js'
import { show } from '../options.js'

/** The fields of an expression, as node-cron names them, with their ranges. `second` may be left out. */
export const fieldRanges = {
  second: [0, 59],
  minute: [0, 59],
  hour: [0, 23],
  dayOfMonth: [1, 31],
  month: [1, 12],
  dayOfWeek: [0, 7],
} as const

export type FieldName = keyof typeof fieldRanges

/** How people call the fields. */
export const fieldTitles: Readonly<Record<FieldName, string>> = {
  second: 'second',
  minute: 'minute',
  hour: 'hour',
  dayOfMonth: 'day of month',
  month: 'month',
  dayOfWeek: 'day of week',
}

const mostCharacters = 1_024
const mostItems = 100
/** Two are enough for every value and every useful step. */
const tooManyDigits = /\d{3,}/

const fieldNames = Object.keys(fieldRanges) as readonly FieldName[] // the table's keys

/** What an expression is made of: one word for a nickname such as '@daily', else its fields by name. */
export type Guarded =
  | { readonly kind: 'nickname'; readonly text: string }
  | { readonly kind: 'fields'; readonly text: string; readonly fields: Readonly<Record<FieldName, string>> }

/** An expression that cannot be one, whatever node-cron thinks. */
export function badExpression(expression: unknown, why: string): SideworkError {
  return new SideworkError(
    'ERR_SIDEWORK_CRON_EXPRESSION',
    `The cron expression ${show(expression)} is not valid. ${why}`,
  )
}

/** @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION), in time that grows with `mostCharacters` only */
export function guard(expression: unknown): Guarded {
  if (typeof expression !== 'string') {
    throw new SideworkError(
      'ERR_SIDEWORK_CRON_EXPRESSION',
      `The cron expression is ${show(expression)}. Give cron.schedule(name, expression, task), ` +
        "the expression as a string such as '0 2 * * *': minute hour day month weekday.",
    )
  }
  if (expression.length > mostCharacters) {
    throw badExpression(
      expression,
      `It has ${expression.length} characters; at most ${mostCharacters} are read.`,
    )
  }
  const text = expression.trim()
  if (text.startsWith('@')) return { kind: 'nickname', text: nickname(expression, text) }
  const strange = /[^\w*,\-/#?\s]|_/.exec(text)?.[0]
  if (strange !== undefined)
    throw badExpression(expression, `${show(strange)} has no meaning in a cron expression.`)
  const words = text === '' ? [] : text.split(/\s+/)
  if (words.length !== 5 && words.length !== 6)
    throw badExpression(expression, wrongCount(text, words.length))
  const all = words.length === 5 ? ['0', ...words] : words
  const fields = {
    second: all[0] ?? '',
    minute: all[1] ?? '',
    hour: all[2] ?? '',
    dayOfMonth: all[3] ?? '',
    month: all[4] ?? '',
    dayOfWeek: all[5] ?? '',
  }
  for (const name of fieldNames) guardField(expression, name, fields[name])
  return { kind: 'fields', text: words.join(' '), fields }
}

/** A nickname, or five words. */
const shapeOfOne = /^\s*(?:@|\S+(?:\s+\S+){4})/

/** Whether it looks like one. */
export function isExpression(value: unknown): boolean {
  if (typeof value !== 'string' || !shapeOfOne.test(value)) return false // as most names, without the cost of an error
  try {
    guard(value)
    return true
  } catch {
    return false // What is wrong with it is for those to say who need one.
  }
}

function wrongCount(text: string, count: number): string {
  if (/^\d+(\.\d+)?\s*[a-z]+$/i.test(text)) return everyInstead(text)
  const fields = count === 1 ? '1 field' : `${count} fields`
  return `It has ${fields}. Give 5 (minute hour day month weekday), or 6 with the second first; years are for startAt and endAt.`
}

function everyInstead(interval: string): string {
  return `For a fixed interval use cron.every(name, '${interval}', task).`
}

function guardField(expression: string, name: FieldName, field: string): void {
  const items = field.length > mostItems ? field.split(',').length : 1
  if (items > mostItems)
    throw badExpression(expression, `${fieldTitles[name]}: a list of ${items}; at most ${mostItems}.`)
  const long = tooManyDigits.exec(field)?.[0]
  if (long !== undefined) throw badExpression(expression, outOfRange(name, long))
}

/** '75 is not in 0–59', and what may have been meant. */
export function outOfRange(name: FieldName, value: string): string {
  const [least, most] = fieldRanges[name]
  const shown = value.length > 12 ? `${value.slice(0, 12)}…` : value
  return `${fieldTitles[name]}: ${shown} is not in ${least}–${most}${hint(name, value)}.`
}

function hint(name: FieldName, value: string): string {
  if (name === 'hour' && value === '24') return '; midnight is 0'
  if ((name === 'minute' || name === 'second') && value === '60') return `; the full ${name} is 0`
  if (name === 'dayOfMonth' && value === '0') return '; the last day of a month is L'
  if (name === 'month' && value === '0') return '; January is 1'
  if (name === 'dayOfWeek' && /^(19|20)\d\d$/.test(value)) return '; years are for startAt and endAt'
  return ''
}

const nicknames = ['yearly', 'annually', 'monthly', 'weekly', 'daily', 'midnight', 'hourly']

function nickname(expression: string, text: string): string {
  const name = text.slice(1).toLowerCase()
  if (nicknames.includes(name)) return text
  if (/^every\b/.test(name)) {
    const interval = /^every\s+(\w{1,10})$/.exec(name)?.[1] ?? '5m'
    throw badExpression(expression, everyInstead(interval))
  }
  if (name === 'reboot')
    throw badExpression(expression, 'For a job at the start of the process call scheduler.defer there.')
  throw badExpression(expression, `Known are: ${nicknames.map((known) => `@${known}`).join(', ')}.`)
}
