/** A good binary heap, keyed by the same rule: the smallest `readyAt − priority × aging`, then the first accepted. */
import { Heap } from 'heap-js'

export function createQueue(agingMs) {
  return new Heap((a, b) => a.readyAt - b.readyAt + (b.priority - a.priority) * agingMs || a.seq - b.seq)
}
