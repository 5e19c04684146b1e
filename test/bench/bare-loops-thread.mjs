/** One endless loop for a while. */
import { parentPort, workerData } from 'node:worker_threads'
import { burn } from './tasks/burn.mjs'

const { rounds, durationMs } = workerData
const payload = { rounds }
const jobsPerStretch = Math.ceil(100_000 / rounds)

loop(durationMs / 4)
parentPort.once('message', () => parentPort.postMessage(loop(durationMs)))
parentPort.postMessage('warm')

/** Jobs per second. */
function loop(forMs) {
  const startedAt = performance.now()
  let jobs = 0
  let elapsedMs = 0
  while (elapsedMs < forMs) {
    jobs += stretch()
    elapsedMs = performance.now() - startedAt
  }
  return (jobs / elapsedMs) * 1_000
}

/** A function of its own, called often: one long loop would keep the code that was made in its midst, which varies. */
function stretch() {
  for (let n = 0; n < jobsPerStretch; n++) burn(payload)
  return jobsPerStretch
}
