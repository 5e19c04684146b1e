/** One bare Worker, one payload per `postMessage`, one outstanding: the least a round trip can take. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export async function start() {
  const worker = new Worker(new URL('./raw-one-thread.mjs', import.meta.url))
  await once(worker, 'message')
  let resolve
  worker.on('message', (answer) => resolve(answer))
  return {
    ask(payload) {
      return new Promise((whenAnswered) => {
        resolve = whenAnswered
        worker.postMessage(payload)
      })
    },
    close: () => worker.terminate(),
  }
}
