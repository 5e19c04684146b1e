/** How many lines one attempt may log: 1,000 of each level in a second, so that a flood of `debug` hides no `error`. */
import type { LogLevel } from '../task/context.js'

const linesPerSecond = 1_000

export class LineBudget {
  readonly #tell: (message: string) => void
  readonly #now: () => number
  #secondAt = -Infinity
  /** Lines that may still be written in this second. */
  #left = everyLine()
  #dropped = 0

  /**
   * @param tell writes how many lines were dropped
   * @param now precise ms
   */
  constructor(tell: (message: string) => void, now: () => number) {
    this.#tell = tell
    this.#now = now
  }

  /** Whether one more line may be written; it is counted. */
  takes(level: LogLevel): boolean {
    this.#keepTime()
    if (this.#left[level] === 0) {
      this.#dropped++
      return false
    }
    this.#left[level]--
    return true
  }

  /** Tells how many lines were dropped since it was last told. */
  tellDropped(): void {
    if (this.#dropped === 0) return
    const message = `a handler logged more than ${linesPerSecond} lines of a level in a second: ${this.#dropped} were dropped`
    this.#dropped = 0
    this.#tell(message)
  }

  #keepTime(): void {
    const now = this.#now()
    if (now - this.#secondAt < 1000) return
    this.#secondAt = now
    this.#left = everyLine()
    this.tellDropped()
  }
}

function everyLine(): Record<LogLevel, number> {
  const most = linesPerSecond
  return { trace: most, debug: most, info: most, warn: most, error: most, fatal: most }
}
