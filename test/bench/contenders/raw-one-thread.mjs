/** The thread side of the bare round trip. */
import { parentPort, workerData } from 'node:worker_threads'
import { spin } from '../spin.mjs'
import { answer } from '../tasks/pool-handlers.mjs'

parentPort.on('message', (payload) => {
  spin(workerData)
  parentPort.postMessage(answer(payload))
})
parentPort.postMessage('ready')
