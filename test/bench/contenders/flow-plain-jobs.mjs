/** The same number of jobs that wait for nothing. */
import { startScheduler } from './flow-scheduler.mjs'

export async function start(steps) {
  const { scheduler, task } = await startScheduler(steps)
  const fill = (_shape, count) => {
    let last
    for (let n = 0; n < count; n++) last = scheduler.defer(task, { userId: 'user_123', n })
    return last
  }
  return { scheduler, fill }
}
