/**
 * A bound for what jobs on every core leave to the requests: threads of sidework's default niceness that compute without end. No
 * queue, no messages, nothing on the main thread but reading a count.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { roundsPerMicrosecond } from '../burn-rate.mjs'

const niceness = 10
const jobUs = 10_000

export async function start(threads) {
  const done = new Int32Array(new SharedArrayBuffer(4))
  const workerData = { done, niceness, rounds: Math.round(jobUs * roundsPerMicrosecond()) }
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./loops-nice-thread.mjs', import.meta.url), { workerData }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  return { offer: () => {}, done: () => Atomics.load(done, 0) }
}
