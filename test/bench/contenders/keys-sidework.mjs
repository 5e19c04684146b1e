/** The whole way of keyed jobs: accepted, run on one thread, one at a time per key. */
import { createScheduler } from 'sidework'
import { payloadOf } from '../load.mjs'
import { noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)

export async function start(count, keyOf) {
  const scheduler = createScheduler({
    tasks,
    threads: { cpu: 1, nice: 0 },
    logger: false,
    maxQueued: count,
    maxQueuedBytes: 2 ** 30,
  })
  await scheduler.ready()
  return async (onRun) => {
    const before = scheduler.stats().completed
    for (let n = 0; n < count; n++) scheduler.defer(noop, payloadOf(n), { orderingKey: keyOf(n) })
    await scheduler.idle()
    // Order is not seen from here; that all ran is.
    const ran = scheduler.stats().completed - before
    for (let n = 0; n < ran; n++) onRun(n)
  }
}
