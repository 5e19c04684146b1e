/** `sidework(scheduler)`: gives every request `req.defer` and every response `res.accepted`. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fromLineOf } from '../errors.js'
import { ownOptions } from '../options.js'
import type { Scheduler } from '../scheduler.js'
import { readJobsPath, type Accepted, type AcceptedPlace } from './accepted.js'
import { readMoment, type DeferMoment } from './held-jobs.js'
import { withPort, type DeferPort } from './port.js'
import type { RequestDefer } from './request-defer.js'
import { giveMembers, Members } from './request-members.js'

/** How `sidework()` behaves. */
export interface SideworkOptions {
  /** The absolute path, as clients see it (proxy prefix included), of `jobsRouter`. Default '/jobs'. */
  jobsPath?: string | undefined
  /** When a job of `req.defer` is let go whose options do not say: see `RequestDeferOptions.on`. Default 'now'. */
  on?: DeferMoment | undefined
}

/** Calls the next handler, or the error handlers. */
export type Next = (error?: unknown) => void

/** A connect-style handler: fits Express 4 and 5, connect and plain node:http. */
export type ConnectHandler = (req: IncomingMessage, res: ServerResponse, next: Next) => void

declare global {
  // Express's types are extended through this namespace, the only way that needs no import of them.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /** Hands over a job, with this request's id and trace context. Added by `sidework(scheduler)`. */
      defer: RequestDefer
    }
    interface Response {
      /** Answers 202 with where to look for the job. Added by `sidework(scheduler)`. */
      accepted: Accepted
    }
  }
}

/**
 * Connect-style middleware that adds `req.defer` and `res.accepted`. Both are bound: destructure them freely.
 * Deferring works at any time of the request, also after the response was sent; a client that goes away never harms an
 * accepted job.
 * @throws OptionError for unknown options, a bad `jobsPath` and a bad `on`
 * @example
 * app.use(express.json(), sidework(scheduler))
 * app.post('/signup', (req, res) => res.accepted(req.defer(sendMail, { to: req.body.email })))
 */
export function sidework(scheduler: Scheduler, options: SideworkOptions = {}): ConnectHandler {
  const { port, usual, jobsPath } = fromLineOf(sidework, () => read(scheduler, options))
  const place: AcceptedPlace = { jobsPath, isSensitive: (id) => port.isSensitive(id) }
  // A request that begins after `close()` is refused like everybody else; one that was there before may still defer.
  const early = new Members({ port, usual, isLate: false }, place)
  const late = new Members({ port, usual, isLate: true }, place)
  return (req, res, next) => {
    giveMembers(req, res, port.isClosing ? late : early)
    next()
  }
}

function read(
  scheduler: Scheduler,
  options: SideworkOptions,
): { readonly port: Scheduler & DeferPort; readonly usual: DeferMoment; readonly jobsPath: string } {
  const port = withPort('sidework()', scheduler)
  const { jobsPath = '/jobs', on } = ownOptions('sidework()', options, new Set(['jobsPath', 'on']))
  return { port, usual: readMoment(on, 'now'), jobsPath: readJobsPath(jobsPath) }
}
