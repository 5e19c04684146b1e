/**
 * What bare Node can do: Workers, batches of 256 payloads, two outstanding per thread, and an acknowledgement that is
 * the number of jobs done, or, when answers are awaited, the list of them, matched by position to a promise per job.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { awaitEach, offerInTurns } from '../load.mjs'

const batchSize = 256
const batchesPerThread = 2

/** Payloads travel as they are; nothing is kept of a job. */
const asTheyAre = { keep: (payload) => payload, pack: (payloads) => payloads, settle: () => {} }

/** @param luggage what is kept of a payload, what a thread gets of those of a batch, what is done when they are done */
export async function start(threads, mode, luggage = asTheyAre) {
  const queue = new BatchQueue(mode === 'awaited', luggage)
  await Promise.all(Array.from({ length: threads }, () => queue.addThread(mode)))
  return {
    run: (count) =>
      mode === 'awaited' ? awaitEach(count, (payload) => queue.ask(payload)) : offerAll(queue, count),
    close: () => queue.close(),
  }
}

async function offerAll(queue, count) {
  await offerInTurns(
    count,
    (payload) => queue.offer(payload),
    () => queue.outstanding,
  )
  await queue.empty()
}

class BatchQueue {
  outstanding = 0
  #asked
  #luggage
  #threads = []
  #batches = []
  #flushIsDue = false
  #whenEmpty = () => {}

  constructor(asked, luggage) {
    this.#asked = asked
    this.#luggage = luggage
  }

  async addThread(mode) {
    const worker = new Worker(new URL('./raw-thread.mjs', import.meta.url), { workerData: { mode } })
    await once(worker, 'message')
    const thread = { worker, free: batchesPerThread, sent: [] }
    worker.on('message', (ack) => this.#acknowledge(thread, ack))
    this.#threads.push(thread)
  }

  offer(payload) {
    this.#openBatch().payloads.push(this.#luggage.keep(payload))
    this.outstanding++
    this.#flushSoon()
  }

  ask(payload) {
    return new Promise((resolve) => {
      const batch = this.#openBatch()
      batch.payloads.push(this.#luggage.keep(payload))
      batch.resolves.push(resolve)
      this.#flushSoon()
    })
  }

  empty() {
    return new Promise((resolve) => {
      if (this.outstanding === 0) resolve()
      else this.#whenEmpty = resolve
    })
  }

  close() {
    return Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #openBatch() {
    const last = this.#batches.at(-1)
    if (last !== undefined && last.payloads.length < batchSize) return last
    const batch = { payloads: [], resolves: this.#asked ? [] : undefined }
    this.#batches.push(batch)
    return batch
  }

  #flushSoon() {
    if (this.#flushIsDue) return
    this.#flushIsDue = true
    queueMicrotask(() => {
      this.#flushIsDue = false
      for (const thread of this.#threads) this.#refill(thread)
    })
  }

  #refill(thread) {
    while (thread.free > 0 && this.#batches.length > 0) {
      const batch = this.#batches.shift()
      thread.free--
      thread.sent.push(batch)
      thread.worker.postMessage(this.#luggage.pack(batch.payloads))
    }
  }

  #acknowledge(thread, ack) {
    thread.free++
    const { payloads, resolves } = thread.sent.shift()
    this.#refill(thread)
    this.#luggage.settle(payloads)
    if (resolves !== undefined) {
      for (let position = 0; position < resolves.length; position++) resolves[position](ack[position])
      return
    }
    this.outstanding -= ack
    if (this.outstanding === 0) this.#whenEmpty()
  }
}
