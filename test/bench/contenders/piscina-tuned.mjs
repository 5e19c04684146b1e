/** piscina at its best for small jobs: many tasks per thread at a time, no timing of each. */
import { Piscina } from 'piscina'
import { startPool } from './pool.mjs'

export function start(threads, mode) {
  return startPool(Piscina, threads, mode, { concurrentTasksPerWorker: 256, recordTiming: false })
}
