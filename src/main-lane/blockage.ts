/**
 * Tells which task holds the main thread *while* it holds it. The main thread writes on shared memory whose turn it is; a
 * small thread of its own looks at it (blockage-thread.ts) and writes a line to stderr, since nothing else of a blocked
 * process can. When the task lets go, the scheduler's logger is told for how long it held the thread.
 *
 *      word 0   counts up when a handler begins (odd: at work) and when it lets go (even)
 *      word 1   1 while the watching thread sleeps, because nothing is at work
 *      word 2   length of the task's name, which follows in UTF-8
 */
import { Worker } from 'node:worker_threads'

export const stateWord = 0
export const sleepsWord = 1
export const lengthWord = 2
/** Bytes before the name. */
export const nameAt = 3 * Int32Array.BYTES_PER_ELEMENT
/** A task's name has at most 128 characters, all of one byte. */
const nameBytes = 128

/** What the watching thread is told. */
export interface BlockageData {
  readonly shared: SharedArrayBuffer
  readonly blockedAfterMs: number
}

export interface BlockagePorts {
  /** Precise ms. */
  now(): number
  /** A handler held the main thread for so long. */
  held(task: string, ms: number): void
  /** The watching thread cannot run, in a bundle without its file, say. */
  failed(error: unknown): void
}

export class BlockageWatch {
  readonly #ports: BlockagePorts
  readonly #blockedAfterMs: number
  readonly #words: Int32Array
  readonly #name: Buffer
  #worker: Worker | undefined
  #hasStarted = false
  #task = ''
  #beganAt = 0

  constructor(blockedAfterMs: number, ports: BlockagePorts) {
    this.#ports = ports
    this.#blockedAfterMs = blockedAfterMs
    const shared = new SharedArrayBuffer(nameAt + nameBytes)
    this.#words = new Int32Array(shared, 0, nameAt / Int32Array.BYTES_PER_ELEMENT)
    this.#name = Buffer.from(shared, nameAt)
  }

  /** A handler of the task runs until `letGo`. */
  begin(task: string): void {
    if (!this.#hasStarted) this.#start()
    if (task !== this.#task) {
      this.#task = task
      this.#words[lengthWord] = this.#name.write(task, 'latin1')
    }
    this.#beganAt = this.#ports.now()
    Atomics.add(this.#words, stateWord, 1)
    if (Atomics.load(this.#words, sleepsWord) === 1) Atomics.notify(this.#words, stateWord)
  }

  letGo(): void {
    Atomics.add(this.#words, stateWord, 1)
    const ms = this.#ports.now() - this.#beganAt
    if (ms >= this.#blockedAfterMs) this.#ports.held(this.#task, ms)
  }

  /** Ends the watching thread, then calls `gone`. */
  close(gone: () => void): void {
    this.#hasStarted = true
    if (this.#worker === undefined) return gone()
    void this.#worker.terminate().then(gone, gone)
  }

  #start(): void {
    this.#hasStarted = true
    const data: BlockageData = {
      shared: this.#words.buffer as SharedArrayBuffer,
      blockedAfterMs: this.#blockedAfterMs,
    } // made so above
    try {
      const worker = new Worker(new URL('./blockage-thread.js', import.meta.url), {
        workerData: { sideworkBlockage: data },
        name: 'sidework watch',
        execArgv: [],
        env: {}, // or NODE_OPTIONS would preload what watches the app here too, where no callback ever runs
      })
      worker.on('error', (error) => this.#ports.failed(error))
      worker.unref()
      this.#worker = worker
    } catch (error) {
      this.#ports.failed(error)
    }
  }
}
