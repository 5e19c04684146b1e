/** sidework's ready queue, which is internal: imported from the built file. */
import { ReadyQueue } from '../../../dist/queue/ready-queue.js'

export function createQueue(agingMs) {
  return new ReadyQueue(agingMs)
}
