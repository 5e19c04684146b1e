/**
 * The `log` of one attempt: at most 1,000 lines of each level in a second, so that a flood of `debug` hides no `error`.
 * What is more is dropped where it is made, since a line costs the main thread a message, and its number told.
 */
import type { TaskLog } from '../task/context.js'
import type { LogMessage } from './protocol.js'

const linesPerSecond = 1_000

type Level = LogMessage['level']
type Line = TaskLog['info']

export class BoundedLog implements TaskLog {
  readonly debug: Line
  readonly info: Line
  readonly warn: Line
  readonly error: Line
  readonly #write: (level: Level, fields: object | string, message?: string) => void
  readonly #now: () => number
  #secondAt = -Infinity
  /** Lines that may still be written in this second. */
  #left = everyLine()
  #dropped = 0

  /** @param now precise ms */
  constructor(write: (level: Level, fields: object | string, message?: string) => void, now: () => number) {
    this.#write = write
    this.#now = now
    this.debug = this.#bounded('debug')
    this.info = this.#bounded('info')
    this.warn = this.#bounded('warn')
    this.error = this.#bounded('error')
  }

  /** Tells how many lines were dropped since it was last told. */
  tellDropped(): void {
    if (this.#dropped === 0) return
    const message = `a handler logged more than ${linesPerSecond} lines of a level in a second: ${this.#dropped} were dropped`
    this.#dropped = 0
    this.#write('warn', message)
  }

  #bounded(level: Level): Line {
    return (fields: object | string, message?: string): void => {
      this.#keepTime()
      if (this.#left[level] === 0) this.#dropped++
      else {
        this.#left[level]--
        this.#write(level, fields, message)
      }
    }
  }

  #keepTime(): void {
    const now = this.#now()
    if (now - this.#secondAt < 1000) return
    this.#secondAt = now
    this.#left = everyLine()
    this.tellDropped()
  }
}

function everyLine(): Record<Level, number> {
  return { debug: linesPerSecond, info: linesPerSecond, warn: linesPerSecond, error: linesPerSecond }
}
