/** The thread side of the bare contender. */
import { parentPort, workerData } from 'node:worker_threads'
import { answer, noop } from '../tasks/pool-handlers.mjs'

parentPort.on('message', workerData.mode === 'awaited' ? answerBatch : runBatch)
parentPort.postMessage('ready')

function runBatch(payloads) {
  for (const payload of payloads) noop(payload)
  parentPort.postMessage(payloads.length)
}

function answerBatch(payloads) {
  parentPort.postMessage(payloads.map((payload) => answer(payload)))
}
