/** Work in endless loops on bare Workers, with no queue and no messages: all that the cores can do. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const thread = new URL('./bare-loops-thread.mjs', import.meta.url)

/** Jobs per second of so many loops together, over so many milliseconds. */
export async function loopRate(threads, rounds, durationMs) {
  const workers = Array.from(
    { length: threads },
    () => new Worker(thread, { workerData: { rounds, durationMs } }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (const worker of workers) worker.postMessage('go')
  const rates = await Promise.all(workers.map((worker) => once(worker, 'message')))
  await Promise.all(workers.map((worker) => worker.terminate()))
  return rates.reduce((sum, [rate]) => sum + rate, 0)
}
