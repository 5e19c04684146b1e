/** The small thread that watches the main thread: see blockage.ts. It never returns; it is terminated. */
import { writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { isMainThread, workerData } from 'node:worker_threads'
import { monotonicMs, realClock } from '../clock.js'
import { lengthWord, nameAt, sleepsWord, stateWord, type BlockageData } from './blockage.js'

/** Waits for nothing but the time. */
const pause = new Int32Array(new SharedArrayBuffer(4))

function watch({ shared, blockedAfterMs }: BlockageData): never {
  const words = new Int32Array(shared, 0, nameAt / Int32Array.BYTES_PER_ELEMENT)
  const clock = realClock()
  let seen = 0
  let since = monotonicMs()
  let hasTold = false
  for (;;) {
    const state = Atomics.load(words, stateWord)
    if (state % 2 === 0) sleepUntilWork(words, state)
    else Atomics.wait(pause, 0, 0, blockedAfterMs / 4)
    const isSame = state === seen && state % 2 !== 0
    if (!isSame) {
      seen = state
      since = monotonicMs()
      hasTold = false
    } else if (!hasTold && monotonicMs() - since >= blockedAfterMs) {
      hasTold = true
      tell(words, monotonicMs() - since, clock.wall())
    }
  }
}

function sleepUntilWork(words: Int32Array, state: number): void {
  Atomics.store(words, sleepsWord, 1)
  Atomics.wait(words, stateWord, state)
  Atomics.store(words, sleepsWord, 0)
}

/** One line as pino writes them, to stderr: the process's own streams belong to the blocked thread. */
function tell(words: Int32Array, ms: number, time: number): void {
  const bytes = Buffer.from(words.buffer, nameAt, words[lengthWord])
  const line = {
    level: 40,
    time,
    pid: process.pid,
    hostname: hostname(),
    name: 'sidework',
    task: bytes.toString('latin1'),
    blockedMs: Math.round(ms),
    msg: 'a task of lane main blocks the main thread',
  }
  try {
    writeSync(2, `${JSON.stringify(line)}\n`)
  } catch {
    // Nobody reads stderr: there is no other place to tell it.
  }
}

if (!isMainThread) {
  // Only blockage.ts starts this file, with this data; elsewhere it does nothing.
  const data = workerData as { sideworkBlockage?: BlockageData } | null
  if (data?.sideworkBlockage !== undefined) watch(data.sideworkBlockage)
}
