/**
 * The user's logger. Its serializers and streams are the user's code and called in the middle of ours: what they throw costs the
 * line, and nothing else.
 */
import type { Logger } from 'pino'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** What is asked of a pino logger. */
export class GuardedLogger {
  readonly #logger: Pick<Logger, Level | 'isLevelEnabled'>
  #hasTold = false

  constructor(logger: Pick<Logger, Level | 'isLevelEnabled'>) {
    this.#logger = logger
  }

  isLevelEnabled(level: Level): boolean {
    return this.#logger.isLevelEnabled(level)
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

  #write(level: Level, fields: object, message: string | undefined): void {
    try {
      this.#logger[level](fields, message)
    } catch (error) {
      // Once: what it throws at is likely to come again and again.
      if (this.#hasTold) return
      this.#hasTold = true
      console.error(
        `sidework: the logger threw, so this line and others like it are left out: '${message}'.`,
        error,
      )
    }
  }
}
