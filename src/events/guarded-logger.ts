/**
 * The user's logger, whatever it does: a mixin that reads a store outside of any request, say, throws in the middle of the
 * scheduler's work. The line is lost then, and the process is warned once.
 */
import type { Logger } from 'pino'
import { serializeError } from '../job/serialized-error.js'

/** A message, or fields and a message. */
type WriteLine = (fieldsOrMessage: object | string, message?: string) => void

/** What the scheduler uses of a logger. */
export interface GuardedLogger {
  readonly debug: WriteLine
  readonly info: WriteLine
  readonly warn: WriteLine
  readonly error: WriteLine
  isLevelEnabled(level: string): boolean
}

/** A logger none of whose methods throws. */
export function guarded(logger: Logger): GuardedLogger {
  let hasWarned = false
  const threw = (error: unknown): void => {
    if (hasWarned) return
    hasWarned = true
    const { message } = serializeError(error)
    process.emitWarning(
      `The scheduler's logger threw: ${message} Lines are lost; jobs go on.`,
      'SideworkWarning',
    )
  }
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error'): WriteLine =>
    (fieldsOrMessage, message) => {
      try {
        logger[level](fieldsOrMessage, message)
      } catch (error) {
        threw(error)
      }
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isLevelEnabled(level) {
      try {
        return logger.isLevelEnabled(level)
      } catch (error) {
        threw(error)
        return false
      }
    },
  }
}
