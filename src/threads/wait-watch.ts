/**
 * Notices tasks of lane cpu that mostly wait, for a database, say: each of their jobs holds a thread and hardly uses it,
 * where lane io would run many on one. The first attempts of a task are watched, then no more: looking costs some 0.1 µs.
 */
import type { WaitsMessage } from './protocol.js'

/** Attempts of a task that are watched, unless they took `enoughMs` before. */
const mostWatched = 20
const enoughMs = 1_000
/** Less in all is not worth a word. */
const leastMs = 200
/** Who waits for longer than this share of its time mostly waits. */
const mostlyShare = 0.8

export interface WaitPort {
  send(message: WaitsMessage): void
  /** Ms that this thread's loop was idle and busy so far: Node's `performance.eventLoopUtilization()`. */
  utilization(): { readonly idle: number; readonly active: number }
}

interface Watched {
  attempts: number
  waitedMs: number
  tookMs: number
  isJudged: boolean
}

export class WaitWatch {
  readonly #port: WaitPort
  readonly #tasks = new Map<string, Watched>()
  #before = { idle: 0, active: 0 }

  constructor(port: WaitPort) {
    this.#port = port
  }

  /** An attempt of the task has begun to wait. */
  waits(task: string): void {
    if (this.#tasks.get(task)?.isJudged !== true) this.#before = this.#port.utilization()
  }

  /** It has ended. No other attempt ran meanwhile: the thread is of lane cpu. */
  ended(task: string): void {
    const watched = this.#watched(task)
    if (watched.isJudged) return
    const { idle, active } = this.#port.utilization()
    const waitedMs = idle - this.#before.idle
    watched.attempts++
    watched.waitedMs += waitedMs
    watched.tookMs += waitedMs + active - this.#before.active
    if (watched.attempts < mostWatched && watched.tookMs < enoughMs) return
    watched.isJudged = true
    const { attempts, tookMs } = watched
    if (tookMs < leastMs || watched.waitedMs < tookMs * mostlyShare) return
    const [waited, took] = [watched.waitedMs, tookMs].map(Math.round) as [number, number] // two were given
    this.#port.send({ kind: 'waits', task, attempts, waitedMs: waited, tookMs: took })
  }

  #watched(task: string): Watched {
    const known = this.#tasks.get(task)
    if (known !== undefined) return known
    const watched = { attempts: 0, waitedMs: 0, tookMs: 0, isJudged: false }
    this.#tasks.set(task, watched)
    return watched
  }
}
