/**
 * The pauses of shared limits that one attempt asks for: told at once, then at most every 10 ms per limit, and of 100 limits at
 * most. Who names more takes something else for a name, a key say, and each would cost the main thread a message.
 */
import type { AttemptHost } from './attempt.js'

const everyMs = 10
const mostLimits = 100

/** Of one limit; instants are precise ms. */
interface Pause {
  toldAt: number
  /** The end of the longest that was asked for. */
  until: number
  /** Calls off the telling of what was not told yet. */
  stop: (() => void) | undefined
}

export class LimitPauses {
  readonly #ports: Pick<AttemptHost, 'now' | 'after'>
  readonly #tell: (name: string, delayMs: number) => void
  readonly #pauses = new Map<string, Pause>()

  constructor(ports: Pick<AttemptHost, 'now' | 'after'>, tell: (name: string, delayMs: number) => void) {
    this.#ports = ports
    this.#tell = tell
  }

  /** One that ends before another of its limit changes nothing. */
  pause(name: string, delayMs: number): void {
    const now = this.#ports.now()
    const until = now + delayMs
    const pause = this.#pauses.get(name)
    if (pause === undefined) {
      if (this.#pauses.size === mostLimits) return
      this.#pauses.set(name, { toldAt: now, until, stop: undefined })
      return this.#tell(name, delayMs)
    }
    if (until <= pause.until) return
    pause.until = until
    // While a handler computes no timer fires: the clock is looked at each time.
    const waitMs = pause.toldAt + everyMs - now
    if (waitMs <= 0) this.#flush(name, pause, delayMs, now)
    else pause.stop ??= this.#ports.after(waitMs, () => this.#flushLate(name, pause))
  }

  /** Tells what was not told yet. */
  flush(): void {
    for (const [name, pause] of this.#pauses) if (pause.stop !== undefined) this.#flushLate(name, pause)
  }

  #flushLate(name: string, pause: Pause): void {
    const now = this.#ports.now()
    this.#flush(name, pause, Math.max(0, pause.until - now), now)
  }

  #flush(name: string, pause: Pause, delayMs: number, now: number): void {
    pause.stop?.()
    pause.stop = undefined
    pause.toldAt = now
    this.#tell(name, delayMs)
  }
}
