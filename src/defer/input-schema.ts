import { PayloadError, SideworkError, type PayloadIssue } from '../errors.js'
import type { TaskRecord } from '../job/task-record.js'

/**
 * The output of the task's input schema for this payload. Standard Schema: https://standardschema.dev
 * @throws PayloadError with the schema's issues; SideworkError when the schema is asynchronous
 */
export function validated(task: TaskRecord, payload: unknown): unknown {
  const answer: unknown = task.policy.input?.['~standard'].validate(payload)
  if (typeof (answer as { then?: unknown } | undefined)?.then === 'function') {
    throw new SideworkError(
      'ERR_SIDEWORK_SCHEMA_ASYNC',
      `The input schema of task '${task.name}' answers with a promise, but defer is synchronous. Use a schema without asynchronous checks.`,
    )
  }
  const { issues, value } = answer as {
    issues?: readonly { message: string; path?: readonly unknown[] }[]
    value?: unknown
  } // as the specification says
  if (issues === undefined) return value
  const read: PayloadIssue[] = issues.map((issue) => ({
    message: issue.message,
    path: (issue.path ?? []).map((part) => String((part as { key?: unknown }).key ?? part)).join('.'),
  }))
  const first = read[0]
  const where = first === undefined || first.path === '' ? 'payload' : `payload.${first.path}`
  throw new PayloadError(
    `The payload for task '${task.name}' is not valid: ${read.map((issue) => `${issue.path || 'payload'}: ${issue.message}`).join('; ')}.`,
    where,
    read,
  )
}
