/** `admit(scheduler, …)`: turns requests away before their handler runs, while the queue is over a bound. */
import { fromLineOf, OptionError } from '../errors.js'
import { durationMs, integer, ownOptions, type Duration } from '../options.js'
import type { Scheduler } from '../scheduler.js'
import { answerProblem } from './answer.js'
import type { ConnectHandler } from './middleware.js'
import { withPort, type DeferPort } from './port.js'

/** The bounds; at least one. */
export interface AdmitOptions {
  /** Most ready jobs. */
  maxReady?: number | undefined
  /** Longest that a ready job may have waited. */
  maxWait?: Duration | undefined
}

const longestRetryAfterS = 60

/**
 * Middleware that answers 503 with `Retry-After` (about as long as the longest ready job has waited, 1–60 s) while more
 * jobs are ready, or wait longer, than the bounds say. Put it before routes that defer; others are best left open.
 * @throws OptionError for unknown options, bad bounds or none, and for what is not a scheduler of this package
 * @example
 * app.post('/reports', admit(scheduler, { maxReady: 500, maxWait: '30s' }), createReport)
 */
export function admit(scheduler: Scheduler, options: AdmitOptions): ConnectHandler {
  const { port, maxReady, maxWaitMs } = fromLineOf(admit, () => read(scheduler, options))
  return (_req, res, next) => {
    const { ready, oldestWaitMs } = port.backlog()
    if (ready <= maxReady && oldestWaitMs <= maxWaitMs) return next()
    const retryAfterS = Math.max(1, Math.min(longestRetryAfterS, Math.ceil(oldestWaitMs / 1000)))
    answerProblem(res, 503, 'Service Unavailable', 'Too much work is waiting. Please try again later.', {
      'Retry-After': String(retryAfterS),
    })
  }
}

function read(
  scheduler: Scheduler,
  options: AdmitOptions,
): { readonly port: DeferPort; readonly maxReady: number; readonly maxWaitMs: number } {
  const port = withPort('admit()', scheduler)
  const own: AdmitOptions = ownOptions('admit()', options, new Set(['maxReady', 'maxWait']))
  if (own.maxReady === undefined && own.maxWait === undefined) {
    throw new OptionError('admit() got no bound. Give maxReady, maxWait or both.')
  }
  return {
    port,
    maxReady: own.maxReady === undefined ? Infinity : integer('maxReady', own.maxReady, 0),
    maxWaitMs: own.maxWait === undefined ? Infinity : durationMs('maxWait', own.maxWait, { zero: true }),
  }
}
