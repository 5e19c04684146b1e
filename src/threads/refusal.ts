/**
 * Why the scheduler refused what a handler defers, on its way to the handler's thread. These are errors of this package,
 * so there they are again what they were: their class is found by their code.
 */
import {
  ClosedError,
  OptionError,
  PayloadError,
  PayloadTooLargeError,
  QueueFullError,
  SideworkError,
  UnknownTaskError,
  type PayloadIssue,
  type SideworkErrorCode,
} from '../errors.js'
import { serializeError } from '../job/serialized-error.js'

export interface Refusal {
  readonly code: SideworkErrorCode
  readonly message: string
  /** Of a PayloadError. */
  readonly path?: string
  readonly issues?: readonly PayloadIssue[]
  /** Of a QueueFullError. */
  readonly retryAfterMs?: number
}

/** What a key function or a schema throws is no error of this package: its message is told, under the code of bad options. */
export function refusalOf(error: unknown): Refusal {
  const { message } = serializeError(error)
  if (!(error instanceof SideworkError)) return { code: 'ERR_SIDEWORK_OPTION', message }
  const { code } = error
  if (error instanceof PayloadError) return { code, message, path: error.path, issues: error.issues }
  if (error instanceof QueueFullError) return { code, message, retryAfterMs: error.retryAfterMs }
  return { code, message }
}

/** How the others are made again; the rest are OptionErrors with a code of their own. */
const made: { readonly [Code in SideworkErrorCode]?: (refusal: Refusal) => SideworkError } = {
  ERR_SIDEWORK_UNKNOWN_TASK: ({ message }) => new UnknownTaskError(message),
  ERR_SIDEWORK_PAYLOAD: ({ message, path = '', issues }) => new PayloadError(message, path, issues),
  ERR_SIDEWORK_PAYLOAD_TOO_LARGE: ({ message }) => new PayloadTooLargeError(message),
  ERR_SIDEWORK_QUEUE_FULL: ({ message, retryAfterMs = 0 }) => new QueueFullError(message, retryAfterMs),
  ERR_SIDEWORK_CANCELLED: ({ code, message }) => new SideworkError(code, message),
  ERR_SIDEWORK_CLOSED: ({ message }) => new ClosedError(message),
}

export function errorOfRefusal(refusal: Refusal): SideworkError {
  const make = made[refusal.code] ?? (() => new OptionError(refusal.message, refusal.code))
  return make(refusal)
}
