/** sidework/cron: closures on the main lane, as the peers call functions. */
import { createScheduler } from 'sidework'
import { createCron } from 'sidework/cron'

export function start() {
  const scheduler = createScheduler({ logger: false })
  const cron = createCron(scheduler)
  return {
    schedule: (name, expression, run) => cron.schedule(name, expression, run),
    stop: () => scheduler.close(),
  }
}
