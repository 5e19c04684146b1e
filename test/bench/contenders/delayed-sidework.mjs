/** The whole of `defer` with a delay, on a paused scheduler: each becomes ready when due, and stays. */
import { createScheduler } from 'sidework'
import { payloadOf } from '../load.mjs'
import { noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)

export function start() {
  const scheduler = createScheduler({
    tasks,
    threads: 1,
    logger: false,
    maxQueued: 2_000_000,
    maxQueuedBytes: 2 ** 30,
  })
  scheduler.pause()
  return {
    add: ({ seq }, delayMs) => void scheduler.defer(noop, payloadOf(seq), { delay: delayMs }),
    due: () => scheduler.stats().ready,
  }
}
