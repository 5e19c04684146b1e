/**
 * Responses that wait for a job: event streams, and `Prefer: wait`. Closing does not wait for them, as they wait for its end.
 */
import type { ServerResponse } from 'node:http'

const followers = new WeakSet<ServerResponse>()
/** Who wants to know when a response becomes one. */
const watchers = new WeakMap<ServerResponse, () => void>()

/** From here on the response waits for a job. */
export function nowFollows(res: ServerResponse): void {
  followers.add(res)
  watchers.get(res)?.()
}

export function isFollower(res: ServerResponse): boolean {
  return followers.has(res)
}

/** Calls back when the response becomes a follower. */
export function whenFollows(res: ServerResponse, run: () => void): void {
  watchers.set(res, run)
}
