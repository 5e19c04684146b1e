/** One bare Worker, one payload per `postMessage`, one outstanding: the least a round trip can take. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { spin } from '../spin.mjs'

/** @param work how long each side works per round trip, µs */
export async function start(_threads, _mode, work = { here: 0, there: 0 }) {
  const worker = new Worker(new URL('./raw-one-thread.mjs', import.meta.url), { workerData: work.there })
  await once(worker, 'message')
  let resolve
  worker.on('message', (answer) => resolve(answer))
  return {
    ask(payload) {
      spin(work.here)
      return new Promise((whenAnswered) => {
        resolve = whenAnswered
        worker.postMessage(payload)
      })
    },
    close: () => worker.terminate(),
  }
}
