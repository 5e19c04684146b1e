/** sidework's main lane with its defaults, without a logger, which the peers lack. */
import { createScheduler } from 'sidework'

export function start() {
  const scheduler = createScheduler({ logger: false, maxQueued: 1_000_000 })
  return {
    push: (run) => void scheduler.defer(run),
    ask: (run) => scheduler.defer(run).result(),
    close: () => scheduler.close(),
  }
}
