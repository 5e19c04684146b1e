/**
 * Payloads as plain JSON, for `CloseReport.lost` → `restore`: a report can be written to a file and read by the next
 * process. A `Uint8Array` leaf becomes `{ "$sidework.bytes": "<base64>" }`. A user's own key of that name (or one that
 * was escaped before) gets one more `$` in front, and loses it on the way back, so user data never passes for bytes.
 */
import { PayloadError } from '../errors.js'
import { decodePayload, decodeWith, encodePayload, type EncodedPayload } from './payload.js'
import type { PayloadLimits } from './payload-limits.js'

const marker = '$sidework.bytes'
const escapable = /^\$+sidework\.bytes$/

/** A byte leaf on its way through `escapeKeys`, which must leave it alone. */
class PortableBytes {
  readonly base64: string
  constructor(bytes: Uint8Array) {
    this.base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  }
}

/** A payload as plain JSON. */
export function toPortable(encoded: EncodedPayload): unknown {
  const bare = typeof encoded === 'object'
  return escape(bare ? decodeWith(encoded, (bytes) => new PortableBytes(bytes)) : decodePayload(encoded))
}

/**
 * Encodes what `toPortable` made. The limits hold for what comes out, not for the longer base64.
 * @throws PayloadError, also for bytes that are not base64; PayloadTooLargeError
 */
export function fromPortable(portable: unknown, limits: PayloadLimits): EncodedPayload {
  const loose = { ...limits, maxJsonBytes: limits.maxJsonBytes * 2 + limits.maxLeafBytes * 2 }
  // One pass through the codec makes any value a plain tree of bounded depth; then the recursion below is safe.
  return encodePayload(unescape(decodePayload(encodePayload(portable, loose))), limits)
}

function escape(value: unknown): unknown {
  if (value instanceof PortableBytes) return { [marker]: value.base64 }
  return mapTree(value, escape, (key) => (escapable.test(key) ? `$${key}` : key))
}

function unescape(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, marker)) {
    return bytesOf((value as { [marker]: unknown })[marker])
  }
  return mapTree(value, unescape, (key) => (escapable.test(key) ? key.slice(1) : key))
}

function mapTree(value: unknown, child: (value: unknown) => unknown, name: (key: string) => string): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map(child)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [name(key), child(inner)]))
}

function bytesOf(base64: unknown): Uint8Array {
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined
  if (bytes !== undefined && bytes.toString('base64') === base64) return bytes
  throw new PayloadError(
    `payload has a key ${marker} that does not hold base64. Restore what a CloseReport listed, unchanged.`,
    'payload',
  )
}
