import { OptionError, SideworkError } from '../errors.js'
import { durationMs, orDefault, ownOptions, show, type Duration } from '../options.js'

/** Thrown by a handler: the attempt failed and a retry would not help. The job fails at once. */
export class PermanentError extends SideworkError {
  override name = 'PermanentError'
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_SIDEWORK_PERMANENT', message, options)
  }
}

/** Thrown by a handler: failed, try again after `delay`. Counts as an attempt; replaces the backoff once. */
export class RetryLater extends SideworkError {
  override name = 'RetryLater'
  readonly delayMs: number
  /**
   * @param delay when to retry, from now; 0 is allowed
   * @param options `reason` is recorded as the error's message
   * @throws OptionError
   */
  constructor(delay: Duration, options: { reason?: string; cause?: unknown } = {}) {
    const { reason, cause } = ownOptions('RetryLater', options, retryLaterNames)
    super('ERR_SIDEWORK_RETRY_LATER', reasonText(reason), { cause })
    this.delayMs = durationMs('RetryLater delay', delay, { zero: true })
  }
}

/** Thrown by a handler: not yet. The job runs again after `delay`; no attempt is counted. */
export class Snooze extends SideworkError {
  override name = 'Snooze'
  readonly delayMs: number
  /** @param delay when to run again, from now; 0 is allowed */
  constructor(delay: Duration) {
    super('ERR_SIDEWORK_SNOOZE', 'The handler asked to run again later.')
    this.delayMs = durationMs('Snooze delay', delay, { zero: true })
  }
}

const retryLaterNames: ReadonlySet<string> = new Set(['reason', 'cause'])

function reasonText(reason: unknown): string {
  const text = orDefault(reason, 'The handler asked to be retried later.')
  if (typeof text === 'string') return text
  throw new OptionError(`The reason of RetryLater is ${show(text)}. Give text, or none.`)
}
