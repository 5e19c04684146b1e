/**
 * The bare round trip of raw-one.mjs with as much work on each side as sidework does: how much of the time a round trip
 * takes more is work, and how much is what an idle processor makes of it.
 */
import { start as startBare } from './raw-one.mjs'

/** CPU of a round trip more than the bare one's, µs, by schedstat. */
const work = { here: 5, there: 3.5 }

export function start(threads, mode) {
  return startBare(threads, mode, work)
}
