/** The real clock, chance and timers: the only file that reads them. */
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import * as timers from 'node:timers'
import type { Clock } from './world.js'

/** Longest delay that setTimeout takes; more would fire at once. */
const longestTimerMs = 2 ** 31 - 1

/** A wall clock that is off by more than this has jumped; less is drift, which would make instants waver. */
const jumpMs = 1000

export function realClock(): Clock {
  const start = performance.now()
  const now = (): number => Math.floor(performance.now() - start)
  let offset = Date.now()
  return {
    now,
    precise: () => performance.now() - start,
    wall: () => Date.now(),
    wallAt(instant) {
      const drifted = Date.now() - now()
      if (Math.abs(drifted - offset) > jumpMs) offset = drifted
      return offset + instant
    },
    resolutionMs: 1,
    wallMayJump: true,
  }
}

/** Milliseconds with fractions, for measuring how long something took. */
export function monotonicMs(): number {
  return performance.now()
}

/** Ms for which this thread's event loop was idle and busy so far. */
export function loopUtilization(): { readonly idle: number; readonly active: number } {
  return performance.eventLoopUtilization()
}

/** Runs `task` every `intervalMs` without keeping the process alive; returns what stops it. */
export function every(intervalMs: number, task: () => void): () => void {
  const timer = setInterval(task, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Runs `task` once after `delayMs` (keeping the process alive); returns what stops it. */
export function after(delayMs: number, task: () => void): () => void {
  const timer = setTimeout(task, Math.min(delayMs, longestTimerMs))
  return () => clearTimeout(timer)
}

/** Like `after`, in real time also where a test has put fakes in the place of the global timers. */
export function afterRealTime(delayMs: number, task: () => void): () => void {
  const timer = timers.setTimeout(task, Math.min(delayMs, longestTimerMs))
  return () => timers.clearTimeout(timer)
}

/** The one timer of a scheduler: unref'd, re-armed in place. */
export class Alarm {
  #timer: NodeJS.Timeout | undefined
  #at: number | undefined

  arm(at: number | undefined, clock: Clock, wake: () => void): void {
    if (at === this.#at) return
    this.#at = at
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (at === undefined) return
    const delayMs = Math.max(0, at + clock.resolutionMs - clock.now())
    this.#timer = setTimeout(
      () => {
        this.#at = undefined
        wake()
      },
      Math.min(delayMs, longestTimerMs),
    )
    this.#timer.unref()
  }
}

const loopSampleMs = 10

/** How late the event loop is. Node samples it every 10 ms itself: no JavaScript runs and nothing is kept alive. */
export class LoopDelay {
  readonly #samples = monitorEventLoopDelay({ resolution: loopSampleMs })

  constructor() {
    this.#samples.enable()
  }

  /** Of the samples since the last reading; 0 when there were none. */
  read(): { readonly meanMs: number; readonly maxMs: number } {
    // What Node records is the time between two samples, in ns.
    const late = (ns: number): number => Math.max(0, ns / 1e6 - loopSampleMs)
    const { count, mean, max } = this.#samples
    this.#samples.reset()
    return count === 0 ? { meanMs: 0, maxMs: 0 } : { meanMs: late(mean), maxMs: late(max) }
  }

  stop(): void {
    this.#samples.disable()
  }
}

/** Keeps the process alive while asked to, without a thread or socket. */
export class KeepAlive {
  #timer: NodeJS.Timeout | undefined

  set(active: boolean): void {
    if (active) {
      this.#timer ??= setInterval(() => undefined, longestTimerMs)
      this.#timer.ref()
    } else this.#timer?.unref()
  }

  /** Lets go of the timer. */
  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Bytes from the system's generator. */
export function randomKey(sizeBytes: number): Uint8Array {
  return randomBytes(sizeBytes)
}

/** In [0, 1). */
export function random(): number {
  return Math.random()
}
