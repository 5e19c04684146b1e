/** The thread side of the bare contender. */
import { parentPort, workerData } from 'node:worker_threads'
import * as handlers from '../tasks/pool-handlers.mjs'

const handler = handlers[handlers.handlerOf[workerData.mode]]

parentPort.on('message', workerData.mode === 'awaited' ? answerBatch : runBatch)
parentPort.postMessage('ready')

function runBatch(batch) {
  const payloads = opened(batch)
  for (const payload of payloads) handler(payload)
  parentPort.postMessage(payloads.length)
}

function answerBatch(batch) {
  parentPort.postMessage(opened(batch).map((payload) => handler(payload)))
}

/** A batch of raw-kept is text. */
function opened(batch) {
  return typeof batch === 'string' ? JSON.parse(batch) : batch
}
