/** Tells requests that another site made a browser send, so that they change nothing here. */
import type { IncomingMessage } from 'node:http'

/**
 * Whether a browser sent this on behalf of another origin, whatever the content type: by `Sec-Fetch-Site` (W3C Fetch
 * Metadata; only 'same-origin' and 'none' are ours), else by comparing `Origin` with `Host`. Requests with neither
 * header come from no browser. The rule is that of Go's net/http CrossOriginProtection.
 */
export function isCrossSite(req: IncomingMessage): boolean {
  const site = req.headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const { origin, host } = req.headers
  return origin !== undefined && hostOf(origin) !== (host ?? '').toLowerCase()
}

/** `undefined`, hence nobody's host, for 'null' and what is no URL. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
