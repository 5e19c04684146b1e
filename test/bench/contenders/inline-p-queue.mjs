/** p-queue, as many at once as sidework's main lane has places. */
import PQueue from 'p-queue'

export function start() {
  const queue = new PQueue({ concurrency: 8 })
  return {
    push: (run) => void queue.add(run),
    ask: (run) => queue.add(run),
    close() {},
  }
}
