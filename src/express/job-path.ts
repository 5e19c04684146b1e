/** Reads `/:id` and `/:id/events` as they come from the wire: hostile until shown otherwise. */

/** What a path asks for. */
export interface JobPath {
  readonly part: 'status' | 'events'
  /** Decoded; `undefined` when malformed, which no job's id is. */
  readonly id: string | undefined
}

/** A request to a proxy names the whole URL, and a server must take it too (RFC 9112 §3.2.2). */
const authority = /^https?:\/\/[^/?]*/i

/** The parts of a path relative to the mount point, or `undefined` when it is none of the router's. */
export function matchJobPath(url: string): JobPath | undefined {
  const [path = ''] = url.replace(authority, '').split('?', 1)
  const [, id, events, ...more] = path.split('/')
  if (id === undefined || path === '/' || more.length > 0) return undefined
  if (events === undefined || events === '') return { part: 'status', id: decodeId(id) }
  return events === 'events' ? { part: 'events', id: decodeId(id) } : undefined
}

function decodeId(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined // not UTF-8, as in %ff
  }
}
