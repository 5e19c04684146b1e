/** Reads what travels with a job from its HTTP request: its id, its W3C trace context and its logger's bindings. */
import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../job/snapshot.js'

/** Printable ASCII without spaces, at most 128: safe in logs and headers. */
const wellFormedId = /^[\x21-\x7e]{1,128}$/

/** W3C Trace Context, level 1, §3.2: version (not ff), trace id and parent id (not all zero), flags. */
const wellFormedTraceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** Most characters of the bindings as JSON; larger ones are left out. */
const maxBindings = 4096

/** Of the process or of HTTP messages with all their headers: not for lines of jobs, nor to be kept with them. */
const foreignBindings: ReadonlySet<string> = new Set(['pid', 'hostname', 'name', 'req', 'res'])

/** What other middleware may have put on a request. */
type AnyRequest = IncomingMessage & { id?: unknown; log?: unknown }

/**
 * The id is `req.id` (pino-http and others: a string or number), else the `x-request-id` header; the bindings are those
 * of the pino logger `req.log`, less `req`, `res` and what names the process. Whatever is not well-formed is left out.
 * `undefined` when nothing is there.
 */
export function requestContext(req: AnyRequest): RequestContext | undefined {
  const id = requestId(req)
  const traceparent = matching(req.headers['traceparent'], wellFormedTraceparent)
  const bindings = bindingsOf(req.log)
  if (id === undefined && traceparent === undefined && bindings === undefined) return undefined
  return Object.freeze({
    ...(id !== undefined && { id }),
    ...(traceparent !== undefined && { traceparent }),
    ...(bindings !== undefined && { bindings }),
  })
}

function bindingsOf(log: unknown): RequestContext['bindings'] {
  if (typeof log !== 'object' || log === null || !('bindings' in log)) return undefined
  const { bindings } = log
  if (typeof bindings !== 'function') return undefined
  try {
    const all = Object.entries(bindings.call(log) as object) // pino's answers an object, another's may throw here
    const own = all.filter(([name]) => !foreignBindings.has(name))
    const json = JSON.stringify(Object.fromEntries(own))
    if (own.length === 0 || json.length > maxBindings) return undefined
    return Object.freeze(JSON.parse(json) as Record<string, unknown>) // of its own, and JSON throughout
  } catch {
    return undefined // a logger of another kind is no reason to refuse a job
  }
}

function requestId(req: AnyRequest): string | undefined {
  const own = typeof req.id === 'number' && Number.isFinite(req.id) ? String(req.id) : req.id
  return matching(own, wellFormedId) ?? matching(req.headers['x-request-id'], wellFormedId)
}

function matching(value: unknown, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}
