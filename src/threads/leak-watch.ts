/**
 * Notices tasks that leave timers, sockets or child processes open: they would slow their thread, and keep what they hold,
 * for as long as it lives. What a task opens once and keeps (a pool of connections, say) stays below the limit.
 */
import type { LeakMessage } from './protocol.js'

/** So many more open resources than after the start are too many. */
const mostLeftOpen = 32
/** Looking costs some µs, so it is done at most once in so many ms. */
const lookEveryMs = 5
/** Requests and callbacks under way end by themselves. */
const passing = /^(Immediate|TickObject|Microtask|.*Req.*)$/

export interface LeakPort {
  send(message: LeakMessage): void
  /** Names of what is open in this thread: Node's `process.getActiveResourcesInfo()`. */
  openResources(): readonly string[]
}

export class LeakWatch {
  readonly #port: LeakPort
  readonly #baseline: number
  #lastCount = 0
  #lookedAt = -Infinity
  /** Tasks that ended since the last look, and the last of them. */
  readonly #ended = new Set<string>()
  #lastEnded: string | undefined
  /** By how much the number grew when they had ended. */
  readonly #growth = new Map<string, number>()
  #hasTold = false

  /** Made when the task modules are set up: what is open then does not count. */
  constructor(port: LeakPort) {
    this.#port = port
    this.#baseline = this.#open().length
  }

  /** A job of the task has ended, and no job is running. Called for every job: it must cost next to nothing. */
  ended(task: string, now: number): void {
    if (this.#hasTold) return
    if (task !== this.#lastEnded) {
      this.#lastEnded = task
      this.#ended.add(task)
    }
    if (now - this.#lookedAt < lookEveryMs) return
    this.#lookedAt = now
    const open = this.#open()
    const count = open.length - this.#baseline
    for (const name of this.#ended) {
      this.#growth.set(name, (this.#growth.get(name) ?? 0) + (count - this.#lastCount) / this.#ended.size)
    }
    this.#ended.clear()
    this.#lastEnded = undefined
    this.#lastCount = count
    if (count < mostLeftOpen) return
    this.#hasTold = true
    this.#port.send({ kind: 'leak', task: this.#worst(), count, resources: [...new Set(open)] })
  }

  #open(): readonly string[] {
    return this.#port.openResources().filter((name) => !passing.test(name))
  }

  #worst(): string {
    const [worst] = [...this.#growth].sort(([, a], [, b]) => b - a)
    return worst?.[0] ?? ''
  }
}
