/** One thread that does nothing, and room for all steps. */
import { createScheduler } from 'sidework'
import { noop } from '../tasks/noop.mjs'

export async function startScheduler(steps) {
  const scheduler = createScheduler({
    tasks: new URL('../tasks/noop.mjs', import.meta.url),
    threads: { cpu: 1, nice: 0 },
    maxQueued: 2 * steps + 10,
    keep: { completed: 1_000, failed: 1_000 },
    logger: false,
  })
  await scheduler.ready()
  return { scheduler, task: noop }
}
