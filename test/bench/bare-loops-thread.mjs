/** One endless loop for a while. */
import { parentPort, workerData } from 'node:worker_threads'
import { burn } from './tasks/burn.mjs'

const { rounds, durationMs } = workerData
const payload = { rounds }
const jobsPerReading = 100_000 / rounds + 1

loop(durationMs / 4)
parentPort.once('message', () => parentPort.postMessage(loop(durationMs)))
parentPort.postMessage('warm')

/** Jobs per second. */
function loop(forMs) {
  const startedAt = performance.now()
  let jobs = 0
  let elapsedMs = 0
  while (elapsedMs < forMs) {
    for (let n = 0; n < jobsPerReading; n++, jobs++) burn(payload)
    elapsedMs = performance.now() - startedAt
  }
  return (jobs / elapsedMs) * 1_000
}
