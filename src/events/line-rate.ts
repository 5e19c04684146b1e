/**
 * Bounds the lines of each kind, so that a storm of failures does not become a storm of lines: the first of a window are
 * written, the others counted, and the count is told when the window is over.
 */
import type { Disarmable } from '../job/job.js'

/** Lines of one kind that are written in one window. */
const mostPerWindow = 20
const windowMs = 10_000

/** What bounding lines needs of the scheduler. */
export interface LineRatePort {
  /** Ms, monotonic. */
  now(): number
  /** Calls `run` after `delayMs`. */
  later(delayMs: number, run: () => void): Disarmable
}

interface Window {
  readonly endsAt: number
  count: number
  /** Tells how many were left out; armed once there is one. */
  end: Disarmable | undefined
}

export class LineRate {
  readonly #port: LineRatePort
  readonly #tell: (kind: string, leftOut: number) => void
  readonly #windows = new Map<string, Window>()

  /** @param tell writes how many lines of a kind were left out */
  constructor(port: LineRatePort, tell: (kind: string, leftOut: number) => void) {
    this.#port = port
    this.#tell = tell
  }

  /** Whether a line of this kind may be written now; it is counted. Kinds are few: a message and a task. */
  allows(kind: string): boolean {
    const now = this.#port.now()
    let window = this.#windows.get(kind)
    if (window === undefined || now >= window.endsAt) {
      if (window !== undefined) this.#close(kind, window)
      window = { endsAt: now + windowMs, count: 0, end: undefined }
      this.#windows.set(kind, window)
    }
    if (++window.count <= mostPerWindow) return true
    window.end ??= this.#port.later(window.endsAt - now, () => this.#end(kind))
    return false
  }

  /** Tells what was left out so far: nothing is written any more. */
  flush(): void {
    for (const [kind, window] of this.#windows) this.#close(kind, window)
    this.#windows.clear()
  }

  #end(kind: string): void {
    const window = this.#windows.get(kind)
    this.#windows.delete(kind)
    if (window !== undefined) this.#close(kind, window)
  }

  #close(kind: string, window: Window): void {
    window.end?.disarm()
    if (window.count > mostPerWindow) this.#tell(kind, window.count - mostPerWindow)
  }
}
