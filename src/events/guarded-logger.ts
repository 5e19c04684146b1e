/**
 * The user's logger. Its serializers and streams are the user's code and called in the middle of ours: what they throw costs the
 * line, and nothing else.
 */
import type { Logger } from 'pino'
import type { LogLevel } from '../task/context.js'

/** What is used of a pino logger. Only lines of handlers have the outer levels, so one without them will do. */
type UserLogger = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'> &
  Partial<Pick<Logger, 'trace' | 'fatal'>>

/** What is asked of a pino logger. */
export class GuardedLogger {
  readonly #logger: UserLogger
  #hasTold = false

  constructor(logger: UserLogger) {
    this.#logger = logger
  }

  isLevelEnabled(level: LogLevel): boolean {
    try {
      return this.#logger.isLevelEnabled(this.#nearest(level))
    } catch (error) {
      this.#tell('the logger threw when it was asked for its level, so lines are left out.', error)
      return false
    }
  }

  trace(fields: object, message?: string): void {
    this.#write('trace', fields, message)
  }

  debug(fields: object, message?: string): void {
    this.#write('debug', fields, message)
  }

  info(fields: object, message?: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: object, message?: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: object, message?: string): void {
    this.#write('error', fields, message)
  }

  fatal(fields: object, message?: string): void {
    this.#write('fatal', fields, message)
  }

  /** The level, or the one beside it. */
  #nearest(level: LogLevel): LogLevel {
    if (level === 'trace' && this.#logger.trace === undefined) return 'debug'
    if (level === 'fatal' && this.#logger.fatal === undefined) return 'error'
    return level
  }

  #write(level: LogLevel, fields: object, message: string | undefined): void {
    try {
      this.#logger[this.#nearest(level)]?.(fields, message)
    } catch (error) {
      this.#tell(`the logger threw, so this line and others like it are left out: '${message}'.`, error)
    }
  }

  /** Once: what it throws at is likely to come again and again. */
  #tell(what: string, error: unknown): void {
    if (this.#hasTold) return
    this.#hasTold = true
    console.error(`sidework: ${what}`, error)
  }
}
