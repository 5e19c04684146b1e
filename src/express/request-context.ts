/** Reads what travels with a job from its HTTP request: the request's id and its W3C trace context. */
import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../job/snapshot.js'

/** Printable ASCII without spaces, at most 128: safe in logs and headers. */
const wellFormedId = /^[\x21-\x7e]{1,128}$/

/** W3C Trace Context, level 1, §3.2: version (not ff), trace id and parent id (not all zero), flags. */
const wellFormedTraceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * The id is `req.id` (pino-http and others: a string or number), else the `x-request-id` header; whatever is not
 * well-formed is left out. `undefined` when nothing is there.
 */
export function requestContext(req: IncomingMessage): RequestContext | undefined {
  const id = requestId(req)
  const traceparent = matching(req.headers['traceparent'], wellFormedTraceparent)
  if (id === undefined && traceparent === undefined) return undefined
  return Object.freeze({
    ...(id !== undefined && { id }),
    ...(traceparent !== undefined && { traceparent }),
  })
}

function requestId(req: IncomingMessage & { id?: unknown }): string | undefined {
  const own = typeof req.id === 'number' && Number.isFinite(req.id) ? String(req.id) : req.id
  return matching(own, wellFormedId) ?? matching(req.headers['x-request-id'], wellFormedId)
}

function matching(value: unknown, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}
