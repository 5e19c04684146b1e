/** Has a payload validated by its task's schema, once, synchronously. Standard Schema: https://standardschema.dev */
import { OptionError, PayloadError, SideworkError, type PayloadIssue } from '../errors.js'
import type { TaskPolicy } from '../job/task-record.js'
import { show } from '../options.js'

/** What the specification lets a schema answer; `issues` is falsy where there are none. */
interface Answer {
  readonly value?: unknown
  readonly issues?: readonly { readonly message: string; readonly path?: readonly unknown[] }[] | undefined
}

/**
 * The schema's output; the payload itself for a task without schema.
 * @throws PayloadError with the issues; SideworkError for a schema that answers with a promise; OptionError for one
 *   that answers nothing of what it may
 */
export function validateInput(task: string, input: TaskPolicy['input'], payload: unknown): unknown {
  if (input === undefined) return payload
  const answer: unknown = input['~standard'].validate(payload)
  if (isThenable(answer)) {
    // Nobody waits for it, so its rejection must not be taken for an unhandled one.
    answer.then(undefined, () => undefined)
    throw new SideworkError(
      'ERR_SIDEWORK_SCHEMA_ASYNC',
      `The input schema of task '${task}' answers with a promise, but defer is synchronous. Use a schema without asynchronous checks.`,
    )
  }
  if (!isAnswer(answer)) {
    throw new OptionError(
      `The input schema of task '${task}' answered ${show(answer)}. Give a Standard Schema, which answers { value } or { issues }.`,
    )
  }
  if (!answer.issues) return answer.value
  throw refusal(task, answer.issues)
}

/** A payload from outside may have any number of issues, with any text in them. */
const mostTold = 10
const longestTold = 300

function cut(text: string): string {
  return text.length > longestTold ? `${text.slice(0, longestTold)}…` : text
}

function isThenable(value: unknown): value is { then(met: undefined, failed: () => void): unknown } {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function isAnswer(value: unknown): value is Answer {
  if (typeof value !== 'object' || value === null) return false
  const { issues } = value as { issues?: unknown }
  return !issues || Array.isArray(issues)
}

function refusal(task: string, issues: NonNullable<Answer['issues']>): PayloadError {
  const read: PayloadIssue[] = issues.map(({ message, path = [] }) => ({
    message,
    path: path.map((part) => String((part as { key?: unknown } | null)?.key ?? part)).join('.'),
  }))
  const first = read[0]?.path ?? ''
  const told = read.slice(0, mostTold).map(({ message, path }) => cut(`${path || 'payload'}: ${message}`))
  const more = read.length > mostTold ? `; and ${read.length - mostTold} more` : ''
  return new PayloadError(
    `The payload for task '${task}' is not valid: ${told.join('; ')}${more}.`,
    first === '' ? 'payload' : `payload.${first}`,
    read,
  )
}
