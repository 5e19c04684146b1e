/**
 * What bare Node can do: Workers, batches of 256 payloads, two outstanding per thread, and an acknowledgement that is
 * the number of jobs done, or, when answers are awaited, the list of them, matched by position to a promise per job.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { awaitEach, offerInTurns } from '../load.mjs'

const mostInBatch = 256
const batchesPerThread = 2

/** Payloads travel as they are; nothing is kept of a job; batches are as large as they get. */
const asTheyAre = {
  keep: (payload) => payload,
  pack: (payloads) => payloads,
  settle: () => {},
  mostInBatch: () => mostInBatch,
}

/**
 * @param luggage what is kept of a payload, what a thread gets of those of a batch, what is done when they are done, and how
 * many jobs make a batch that begins with this payload
 */
export async function start(threads, mode, luggage = asTheyAre) {
  const queue = new BatchQueue(mode === 'awaited', { ...asTheyAre, ...luggage })
  await Promise.all(Array.from({ length: threads }, () => queue.addThread(mode)))
  return {
    run: (count, makePayload) =>
      mode === 'awaited'
        ? awaitEach(count, (payload) => queue.ask(payload))
        : offerAll(queue, count, makePayload),
    offer: (payload) => queue.offer(payload),
    done: () => queue.done,
    close: () => queue.close(),
  }
}

async function offerAll(queue, count, makePayload) {
  await offerInTurns(
    count,
    (payload) => queue.offer(payload),
    () => queue.outstanding,
    makePayload,
  )
  await queue.empty()
}

class BatchQueue {
  outstanding = 0
  done = 0
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
    this.#openBatch(payload).payloads.push(this.#luggage.keep(payload))
    this.outstanding++
    this.#flushSoon()
  }

  ask(payload) {
    return new Promise((resolve) => {
      const batch = this.#openBatch(payload)
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

  #openBatch(payload) {
    const last = this.#batches.at(-1)
    if (last !== undefined && last.payloads.length < last.most) return last
    const most = this.#luggage.mostInBatch(payload)
    const batch = { payloads: [], resolves: this.#asked ? [] : undefined, most }
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
    this.done += ack
    if (this.outstanding === 0) this.#whenEmpty()
  }
}
