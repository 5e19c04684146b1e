/** `Prefer: wait=n` (RFC 7240 §4.3): a client that would rather wait a little than come back. */
import type { IncomingMessage } from 'node:http'
import type { Job } from '../scheduler.js'

/** A client waits this long at most. */
const longestWaitS = 30

/** Seconds the request prefers to wait, 1–30; undefined when it does not say, or says no whole number above 0. */
export function preferredWaitS(req: IncomingMessage): number | undefined {
  const { prefer } = req.headers
  if (prefer === undefined) return undefined
  const preferences = (Array.isArray(prefer) ? prefer.join(',') : prefer).split(',')
  for (const preference of preferences) {
    const found = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(preference)
    const seconds = Number(found?.[1] ?? 0)
    if (seconds > 0) return Math.min(seconds, longestWaitS)
  }
  return undefined
}

/** Whether the job settles within that time. A held job waits for this very response, so nobody waits for it. */
export async function settlesWithin(job: Pick<Job, 'state' | 'result'>, seconds: number): Promise<boolean> {
  if (job.state === 'held') return false
  try {
    await job.result({ timeout: seconds * 1000 })
    return true
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ERR_SIDEWORK_RESULT_TIMEOUT' // any other end is an end
  }
}
