/** Says what is wrong with an expression that node-cron refused, and what may have been meant. */
import type { CronFieldError } from 'node-cron'
import { fieldRanges, fieldTitles, outOfRange, type FieldName, type Guarded } from './guard.js'

const months = [
  'january', 'february', 'march', 'april', 'may', 'june',
  'july', 'august', 'september', 'october', 'november', 'december',
] as const // prettier-ignore
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

/** @param errors at least one, as node-cron reported them */
export function explain(guarded: Guarded, errors: readonly CronFieldError[]): string {
  const [first] = errors
  if (first === undefined || guarded.kind === 'nickname' || !isFieldName(first.field)) {
    return `${first?.message ?? 'It cannot be read'}.`
  }
  if (/impossible/.test(first.message)) {
    return `day of month: ${guarded.fields.dayOfMonth} never comes in month ${guarded.fields.month}.`
  }
  return explainField(first.field, guarded.fields[first.field])
}

function isFieldName(name: string): name is FieldName {
  return Object.hasOwn(fieldRanges, name)
}

function explainField(name: FieldName, field: string): string {
  const title = fieldTitles[name]
  const bad = field.split(',').find((item) => wrongWith(name, item) !== undefined)
  return bad === undefined
    ? `${title}: '${field}' cannot be read.`
    : (wrongWith(name, bad) ?? `${title}: '${bad}' cannot be read.`)
}

/** What is wrong with one item of a list, or undefined when no rule of this page tells. */
function wrongWith(name: FieldName, item: string): string | undefined {
  const title = fieldTitles[name]
  const [least, most] = fieldRanges[name]
  if (item === '') return `${title}: the list has an empty item.`
  const [range = '', step] = item.split('/')
  if (step !== undefined) {
    if (!/^\d+$/.test(step) || Number(step) === 0)
      return `${title}: the step of '${item}' must be a number from 1.`
    if (/^\d+$/.test(range) && Number(range) >= least && Number(range) <= most)
      return `${title}: the step of '${item}' needs a range. Did you mean '${range}-${most}/${step}'?`
  }
  for (const [, value = ''] of range.matchAll(/(?:^|-)(\d+)/g)) {
    if (Number(value) < least || Number(value) > most) return outOfRange(name, value)
  }
  const word = /[a-z]{2,}/i.exec(range)?.[0]
  if (word !== undefined && word.toUpperCase() !== 'LW') return unknownWord(name, word)
  if (/^-/.test(range)) return `${title}: '${item}' is negative.`
  return undefined
}

function unknownWord(name: FieldName, word: string): string | undefined {
  const names: readonly string[] = name === 'month' ? months : name === 'dayOfWeek' ? weekdays : []
  const title = fieldTitles[name]
  if (names.length === 0) return `${title}: '${word}' is not a number.`
  const lower = word.toLowerCase()
  if (names.some((known) => known === lower || known.slice(0, 3) === lower)) return undefined
  const meant = names.find((known) => known.startsWith(lower.slice(0, 2)))
  const suggestion = meant === undefined ? '' : ` Did you mean '${meant.slice(0, 3)}'?`
  return `${title}: '${word}' is not a name of a ${name === 'month' ? 'month' : 'day'}.${suggestion}`
}
