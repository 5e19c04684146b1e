/** What log lines and events show of errors, and of what may hold a payload: nothing of it where the task is sensitive. */
import { serializeError, type SerializedError } from '../job/serialized-error.js'
import type { TaskRecord } from '../job/task-record.js'

const withheld = '(withheld: the task is sensitive)'
const withheldOfThread = '(withheld: a sensitive task ran on this thread)'

/** What may have been made from a payload. */
export function shownText(task: TaskRecord, text: string): string {
  return task.policy.sensitive ? withheld : text
}

/** What a log line shows of an error. */
export function briefError(task: TaskRecord | undefined, error: SerializedError): Error {
  if (task?.policy.sensitive !== true) return errorOf(error)
  return errorOf({ ...error, message: withheld, stack: error.name })
}

/** What an event shows of an error with which an attempt or a job ended. */
export function toldError(isSensitive: boolean, error: SerializedError): SerializedError {
  return isSensitive ? Object.freeze(bareError(error, '(withheld)')) : error
}

/** What is told of an error that nobody caught in a thread where a sensitive task may have thrown it: its name and code. */
export function withoutText(error: SerializedError): SerializedError {
  return { ...bareError(error, withheldOfThread), stack: error.name }
}

function bareError({ name, code }: SerializedError, message: string): SerializedError {
  return { name, message, ...(code === undefined ? undefined : { code }) }
}

/** An error as it came, with the stacks of the causes below its own. */
export function wholeError(error: unknown): Error {
  return errorOf(withCauses(serializeError(error)))
}

/** Fields of a handler's line for the logger: their error, which came as data, is one again. */
export function withError(fields: { readonly err?: unknown } | undefined): object | undefined {
  const err = fields?.err
  return isErrorData(err) ? { ...fields, err: errorOf(withCauses(err)) } : fields
}

const errorFields: ReadonlySet<string> = new Set(['name', 'message', 'code', 'stack', 'cause'])

/** Whether it can be nothing else: whatever else a handler calls `err` is logged as it is. */
function isErrorData(value: unknown): value is SerializedError {
  if (typeof value !== 'object' || value === null) return false
  const { name, message } = value as Partial<SerializedError>
  return (
    typeof name === 'string' &&
    typeof message === 'string' &&
    Object.keys(value).every((field) => errorFields.has(field))
  )
}

function withCauses(error: SerializedError): SerializedError {
  const { cause, message, stack = message } = error
  return cause === undefined
    ? error
    : { ...error, stack: `${stack}\ncaused by: ${withCauses(cause).stack ?? cause.message}` }
}

/** An error as data for the logger. Pino's serializer writes the name of the constructor as its type, and knows errors only. */
export function errorOf({ name, message, code, stack }: SerializedError): Error {
  const error = new Error(message)
  const hidden = (value: unknown) => ({ value, configurable: true, writable: true }) // Error has them on its prototype
  const named = Object.defineProperty(function () {}, 'name', { value: name })
  Object.defineProperties(error, { name: hidden(name), constructor: hidden(named) })
  error.stack = stack ?? `${name}: ${message}`
  return Object.assign(error, code === undefined ? undefined : { code })
}
