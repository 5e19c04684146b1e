/**
 * The codec of payloads and results: a value becomes JSON text once, and every attempt decodes a fresh value from it.
 *
 * `Uint8Array` leaves do not stand in the JSON. Each is copied once into shared memory and listed beside the text
 * with its path, and the text holds `null` in its place. So nothing that a user writes can pass for bytes, small
 * payloads are just a string, and threads share the bytes without copying until an attempt makes its own.
 */
import { JsonWriter, type ByteLeaf } from './json-writer.js'
import { payloadLimits, resultLimits, type PayloadLimits } from './payload-limits.js'
import { serializeError } from './serialized-error.js'

/** A value with `Uint8Array` leaves. Plain data: it can be posted to a thread, and the leaves' memory is shared. */
export interface EncodedBytes {
  /** The JSON, with `null` where a leaf was. */
  readonly json: string
  readonly leaves: readonly ByteLeaf[]
  /** UTF-8 bytes of the JSON plus bytes of the leaves. */
  readonly sizeBytes: number
}

/** A serialised value: `undefined` for none, its JSON text, or text plus bytes. */
export type EncodedPayload = undefined | string | EncodedBytes

/** Why a result could not be kept. The job is completed all the same. */
export interface ResultRefusal {
  readonly refused: string
}

const defaultLimits = payloadLimits()

/** The writer that waits for the next value. None while a getter of the value being encoded encodes another. */
let idleWriter: JsonWriter | undefined

/**
 * Serialises a payload. `undefined` (a task without payload) stays `undefined`.
 * @param task the task's name, with which messages begin
 * @throws PayloadError naming the path of what is not JSON; PayloadTooLargeError
 */
export function encodePayload(
  value: unknown,
  limits: PayloadLimits = defaultLimits,
  task?: string,
): EncodedPayload {
  if (value === undefined) return undefined
  const writer = idleWriter ?? new JsonWriter(limits)
  idleWriter = undefined
  const json = writer.write(value, limits, task)
  const leaves = writer.leaves
  const encoded = leaves === undefined ? json : { json, leaves, sizeBytes: writer.sizeBytes }
  idleWriter = writer
  return encoded
}

/** Serialises a result by the rules of payloads, with the limits of results. Never throws, whatever the value does. */
export function encodeResult(value: unknown): EncodedPayload | ResultRefusal {
  try {
    return encodePayload(value, resultLimits)
  } catch (error) {
    return { refused: serializeError(error).message }
  }
}

/** Tells a refused result from an encoded one. */
export function isResultRefusal(result: EncodedPayload | ResultRefusal): result is ResultRefusal {
  return typeof result === 'object' && 'refused' in result
}

/** What an encoded value counts against `maxQueuedBytes`: UTF-8 bytes of its JSON plus bytes of its leaves. */
export function encodedSizeBytes(encoded: EncodedPayload): number {
  if (encoded === undefined) return 0
  return typeof encoded === 'string' ? Buffer.byteLength(encoded) : encoded.sizeBytes
}

/** UTF-8 bytes of the JSON alone. */
export function encodedJsonBytes(encoded: EncodedPayload): number {
  if (encoded === undefined) return 0
  return Buffer.byteLength(typeof encoded === 'string' ? encoded : encoded.json)
}

/**
 * A fresh value, for one attempt: nothing in it is shared with another attempt. A leaf that was a `Buffer` or another
 * subclass comes out as a plain `Uint8Array`: `Buffer.from(leaf.buffer)` gives the methods of `Buffer` back.
 */
export function decodePayload(encoded: EncodedPayload): unknown {
  if (encoded === undefined) return undefined
  if (typeof encoded === 'string') return JSON.parse(encoded) as unknown
  return decodeWith(encoded, copyOf)
}

/** A fresh value for a snapshot: frozen throughout, except for the bytes of leaves, which are copies. */
export function toPlain(encoded: EncodedPayload): unknown {
  return deepFreeze(decodePayload(encoded))
}

/** Decodes, putting what `replace` makes of each leaf in its place. */
export function decodeWith(encoded: EncodedBytes, replace: (bytes: Uint8Array) => unknown): unknown {
  const holder: { value: unknown } = { value: JSON.parse(encoded.json) as unknown }
  for (const { path, bytes } of encoded.leaves) {
    let parent = holder as unknown as Record<string | number, unknown>
    let last: string | number = 'value'
    for (const key of path) {
      // The writer recorded this path, so on the way to a leaf stands a container.
      parent = parent[last] as Record<string | number, unknown>
      last = key
    }
    parent[last] = replace(bytes)
  }
  return holder.value
}

function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(bytes)
  return copy
}

/** Decoded values are trees of at most 64 levels, so the recursion is bounded. */
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  for (const child of Object.values(value)) deepFreeze(child)
  return Object.freeze(value)
}
