/** Reads an `Idempotency-Key`, and tells whether two requests that bear the same one ask for the same thing. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** A structured-field string (RFC 9651 §3.3.3), as the draft has it, of 1–256 characters. */
const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,256})"$/

/** What many clients send: a bare UUID or token. The comma would join two headers. */
const bare = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,256}$/

/** The key a request bears; 'missing' without the header, 'malformed' when it is no key. */
export type ReadKey = { readonly key: string } | 'missing' | 'malformed'

/** `"k"` and `k` are the same key. */
export function readKey(req: IncomingMessage): ReadKey {
  const header = req.headers['idempotency-key']
  if (header === undefined) return 'missing'
  if (typeof header !== 'string') return 'malformed'
  const text = header.trim()
  const inQuotes = quoted.exec(text)?.[1]
  if (inQuotes !== undefined) return { key: inQuotes.replace(/\\(["\\])/g, '$1') }
  return bare.test(text) ? { key: text } : 'malformed'
}

/** Who sent the request, as far as the headers tell: the default scope of a key. */
export function credentials({ headers }: IncomingMessage): string {
  return JSON.stringify([headers.authorization, headers.cookie])
}

/** A short stand-in for texts of any length, so that they cannot be told from it. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    // Each part with its length, or two ways to part the same text would be one.
    hash.update(`${typeof part}${part.length}:`).update(part)
  }
  return hash.digest('base64url')
}

/**
 * What a request asks for: its method, URL and body. A body that no parser has read is compared by its type and length
 * only.
 * @throws RangeError or TypeError for a parsed body that cannot be written as JSON
 */
export function fingerprint(req: IncomingMessage & { originalUrl?: string; body?: unknown }): string {
  const { method = '', url = '', originalUrl = url, headers, body } = req
  const line = `${method} ${originalUrl}`
  if (body instanceof Uint8Array) return digest(line, body)
  const text = JSON.stringify(body) as string | undefined // of undefined
  // Of the type without parameters: the boundary of a form is another one each time.
  const [type = ''] = (headers['content-type'] ?? '').split(';', 1)
  return digest(line, text ?? '', `${type} ${headers['content-length']}`)
}
