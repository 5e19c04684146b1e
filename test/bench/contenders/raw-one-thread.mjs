/** The thread side of the bare round trip. */
import { parentPort } from 'node:worker_threads'
import { answer } from '../tasks/pool-handlers.mjs'

parentPort.on('message', (payload) => parentPort.postMessage(answer(payload)))
parentPort.postMessage('ready')
