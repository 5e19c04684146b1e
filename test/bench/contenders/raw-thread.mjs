/** The thread side of the bare contender. */
import { parentPort, workerData } from 'node:worker_threads'
import { answer, noop } from '../tasks/pool-handlers.mjs'

parentPort.on('message', workerData.mode === 'awaited' ? answerBatch : runBatch)
parentPort.postMessage('ready')

function runBatch(batch) {
  const payloads = opened(batch)
  for (const payload of payloads) noop(payload)
  parentPort.postMessage(payloads.length)
}

function answerBatch(batch) {
  parentPort.postMessage(opened(batch).map((payload) => answer(payload)))
}

/** A batch of raw-kept is text. */
function opened(batch) {
  return typeof batch === 'string' ? JSON.parse(batch) : batch
}
