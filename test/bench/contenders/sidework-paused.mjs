/** A paused scheduler: jobs are accepted and wait. */
import { createScheduler } from 'sidework'
import { NotAvailable } from '../not-available.mjs'
import { noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)
const bounds = { maxQueued: 2_000_000, maxQueuedBytes: 2 ** 30 }

export async function fill() {
  const scheduler = createScheduler({ tasks, threads: 1, logger: false, ...bounds })
  if (scheduler.pause === undefined) throw new NotAvailable('The scheduler has no pause().')
  scheduler.pause()
  return {
    add: (payload) => scheduler.defer(noop, payload),
    size: () => scheduler.stats().ready,
  }
}
