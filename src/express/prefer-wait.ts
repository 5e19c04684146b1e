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
  // Of several the first counts (§2).
  const wait = preferences.find((one) => /^\s*wait\s*(?:[=;]|$)/i.test(one))
  const found = /^\s*wait\s*=\s*(?:"(\d+)"|(\d+))\s*(?:;.*)?$/is.exec(wait ?? '')
  const seconds = Number(found?.[1] ?? found?.[2] ?? 0)
  return seconds > 0 ? Math.min(seconds, longestWaitS) : undefined
}

/** What became of a job that somebody waited for. 'lost': the scheduler closed, so it goes on where it is restored. */
export type Waited = 'settled' | 'unsettled' | 'lost'

/** Waits so long at most. A held job waits for this very response, so nobody waits for it. */
export async function waitFor(job: Pick<Job, 'state' | 'result'>, seconds: number): Promise<Waited> {
  if (job.state === 'held') return 'unsettled'
  try {
    await job.result({ timeout: seconds * 1000 })
    return 'settled'
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === 'ERR_SIDEWORK_CLOSED') return 'lost'
    return code === 'ERR_SIDEWORK_RESULT_TIMEOUT' ? 'unsettled' : 'settled' // any other end is an end
  }
}
