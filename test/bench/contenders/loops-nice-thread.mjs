/** The thread side of loops-nice.mjs. */
import os from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { burn } from '../tasks/burn.mjs'

const { done, niceness, rounds } = workerData
os.setPriority(niceness) // of this thread, on Linux
parentPort.postMessage('begun')
for (;;) {
  burn({ rounds })
  Atomics.add(done, 0, 1)
}
