/**
 * Errors as plain data. Whatever a handler throws (also `undefined`, a Proxy, an error whose getters throw) becomes
 * a small frozen record; nothing of the thrown value's own code can make this fail, and no class is ever rebuilt.
 */

/** An error as plain data, the only form in which errors cross threads and reach snapshots, events and logs. */
export interface SerializedError {
  /** At most 256 bytes; 'NonError' when something other than an error was thrown. */
  readonly name: string
  /** At most 8 KB. */
  readonly message: string
  /** At most 256 bytes. A number becomes its digits. */
  readonly code?: string
  /** At most 16 KB. */
  readonly stack?: string
  /** At most 5 deep. */
  readonly cause?: SerializedError
}

const maxShortBytes = 256
const maxMessageBytes = 8 * 1024
const maxStackBytes = 16 * 1024
const maxCauses = 5

/** The plain data of anything that was thrown. Never throws. */
export function serializeError(thrown: unknown): SerializedError {
  return serialize(thrown, [])
}

/** Whether both say the same. */
export function isSameError(one: SerializedError, other: SerializedError): boolean {
  if (one.stack !== other.stack || one.message !== other.message) return false
  if (one.name !== other.name || one.code !== other.code) return false
  if (one.cause === undefined || other.cause === undefined) return one.cause === other.cause
  return isSameError(one.cause, other.cause)
}

function serialize(thrown: unknown, outer: readonly unknown[]): SerializedError {
  if (typeof thrown !== 'object' || thrown === null) {
    return Object.freeze({ name: 'NonError', message: cut(primitiveText(thrown), maxMessageBytes) })
  }
  const rawMessage = text(read(thrown, 'message'))
  const message = cut(rawMessage ?? 'An object that is not an error was thrown.', maxMessageBytes)
  const code = text(read(thrown, 'code'))
  const stack = stackOf(thrown, rawMessage ?? '', message)
  const cause = causeOf(thrown, outer)
  return Object.freeze({
    name: cut(text(read(thrown, 'name')) ?? (rawMessage === undefined ? 'NonError' : 'Error'), maxShortBytes),
    message,
    ...(code !== undefined && { code: cut(code, maxShortBytes) }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && { cause }),
  })
}

function causeOf(thrown: object, outer: readonly unknown[]): SerializedError | undefined {
  if (outer.length >= maxCauses) return undefined
  const cause = read(thrown, 'cause')
  const chain = [...outer, thrown]
  return cause === undefined || chain.includes(cause) ? undefined : serialize(cause, chain)
}

/** The stack repeats the message: a long one is shortened there too, so that frames are left. */
function stackOf(thrown: object, rawMessage: string, message: string): string | undefined {
  const stack = read(thrown, 'stack')
  if (typeof stack !== 'string') return undefined
  if (rawMessage.length === message.length) return cut(stack, maxStackBytes)
  const at = stack.indexOf(rawMessage)
  const shorter = at < 0 ? stack : stack.slice(0, at) + message + stack.slice(at + rawMessage.length)
  return cut(shorter, maxStackBytes)
}

function primitiveText(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  return typeof thrown === 'function' ? 'A function was thrown.' : `${String(thrown)} was thrown.`
}

function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key]
  } catch {
    return undefined // A getter or trap that throws: as good as not there.
  }
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
}

/** Well-formed text of at most so many UTF-8 bytes; what was cut ends in '…' (three bytes). */
function cut(value: string, maxBytes: number): string {
  if (value.length <= maxBytes && (value.length * 3 <= maxBytes || Buffer.byteLength(value) <= maxBytes)) {
    return value.toWellFormed()
  }
  const bytes = Buffer.from(value.slice(0, maxBytes))
  let end = Math.min(bytes.length, maxBytes - 3)
  while (end > 0 && isContinuation(bytes[end])) end--
  return `${bytes.toString('utf8', 0, end)}…`
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
