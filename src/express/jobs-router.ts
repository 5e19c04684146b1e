/** `jobsRouter(scheduler)`: where clients ask how a job is, follow it and, if they may, cancel it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fromLineOf, OptionError } from '../errors.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { ownOptions, show } from '../options.js'
import type { Scheduler } from '../scheduler.js'
import { answerJson, answerProblem, endpointHeaders } from './answer.js'
import { asError } from './as-error.js'
import { isCrossSite } from './cross-site.js'
import { answerStreamHead } from './event-stream.js'
import { flowStatus } from './flow-status.js'
import { endIdOf, type Status } from './followed-job.js'
import { JobStreams } from './job-streams.js'
import { jobStatus, statusJson } from './job-status.js'
import { matchJobPath, type JobPath } from './job-path.js'
import { safeMethods } from './safe-methods.js'
import type { ConnectHandler } from './middleware.js'
import { withPort, type DeferPort } from './port.js'

/** The request as `authorize` gets it: Node's, with what other middleware declared on `Express.Request`. */
export type AuthorizedRequest = IncomingMessage & Express.Request

/** How `jobsRouter` behaves. */
export interface JobsRouterOptions {
  /**
   * Whether this request may read or cancel this job: only `true` lets it pass. Without it everybody who knows an id
   * may read, and nobody may cancel. For a flow it is asked about the job of its first step; one without steps everybody
   * may read. Whoever may not gets the same 404 as for an unknown id. What it throws goes to `next(error)`.
   */
  authorize?(
    this: void,
    req: AuthorizedRequest,
    job: JobSnapshot,
    action: 'read' | 'cancel',
  ): boolean | Promise<boolean>
  /** What is shown beyond the status: `['result']` shows results, though never of a `sensitive` task. Default none. */
  expose?: readonly 'result'[] | undefined
}

/** One request that matched, with its response. */
interface Visit extends JobPath {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/**
 * A connect-style handler, mounted with `app.use('/jobs', jobsRouter(scheduler))`: `GET|HEAD /:id` is the status as
 * JSON, `GET /:id/events` the same as server-sent events, `DELETE /:id` (only with `authorize`) cancels. Other paths
 * go to `next()`.
 * @throws OptionError for unknown and bad options
 * @example
 * app.use('/jobs', jobsRouter(scheduler, { authorize: (req, job) => ownerOf(job) === req.headers['x-user-id'] }))
 */
export function jobsRouter(scheduler: Scheduler, options: JobsRouterOptions = {}): ConnectHandler {
  const router = fromLineOf(jobsRouter, () => new JobsRouter(withPort('jobsRouter()', scheduler), options))
  return (req, res, next) => {
    const path = matchJobPath(req.url ?? '')
    if (path === undefined) return next()
    router.handle({ ...path, req, res }).catch((error: unknown) => next(asError('authorize', error)))
  }
}

class JobsRouter {
  readonly #scheduler: Scheduler & DeferPort
  readonly #authorize: JobsRouterOptions['authorize']
  readonly #exposesResult: boolean
  readonly #streams: JobStreams

  constructor(scheduler: Scheduler & DeferPort, options: JobsRouterOptions) {
    const own: JobsRouterOptions = ownOptions('jobsRouter()', options, new Set(['authorize', 'expose']))
    this.#scheduler = scheduler
    this.#authorize = readAuthorize(own.authorize)
    this.#exposesResult = readExpose(own.expose).includes('result')
    this.#streams = new JobStreams(scheduler, (id) => this.#statusOf(id))
  }

  async handle(visit: Visit): Promise<void> {
    const { req, res } = visit
    if (!safeMethods.has(req.method) && isCrossSite(req)) return answerCrossSite(res)
    const allowed = this.#methodsOf(visit)
    if (!allowed.includes(req.method ?? '')) return answerMethod(res, allowed)
    const action = req.method === 'DELETE' ? 'cancel' : 'read'
    const id = await this.#authorizedId(visit, action)
    if (res.destroyed || res.headersSent) return // while authorize decided the client went, or somebody else answered
    const status = id === undefined ? undefined : this.#statusOf(id)
    if (status === undefined) return answerNotFound(res)
    if (action === 'cancel') return this.#cancel(res, status)
    if (visit.part === 'events') return this.#follow(visit, status)
    answerJson(res, 200, statusJson(status), endpointHeaders)
  }

  #methodsOf(visit: Visit): readonly string[] {
    return visit.part === 'status' && this.#authorize !== undefined
      ? ['DELETE', 'GET', 'HEAD']
      : ['GET', 'HEAD']
  }

  /** The id, if there is such a job and the request may have it. */
  async #authorizedId(visit: Visit, action: 'read' | 'cancel'): Promise<string | undefined> {
    const { id } = visit
    if (id === undefined || this.#authorize === undefined) return id
    const job = this.#scheduler.job(id) ?? this.#scheduler.firstOfFlow(id)
    if (job === undefined) return this.#isEmptyFlow(id) ? id : undefined
    // Inside a framework the request is its own; under plain node:http `Express.Request` declares what middleware added.
    const isAllowed: unknown = await this.#authorize(visit.req as AuthorizedRequest, job, action)
    return isAllowed === true ? id : undefined
  }

  /** It has no job to ask about, and nothing to tell but that. */
  #isEmptyFlow(id: string): boolean {
    const flow = this.#scheduler.flowOverview(id)
    return flow?.progress.total === 0 && flow.state === 'completed'
  }

  #statusOf(id: string): Status | undefined {
    const job = this.#scheduler.job(id)
    const flow = job === undefined ? this.#scheduler.flowOverview(id) : undefined
    if (flow !== undefined)
      return flowStatus(flow, { errorMessage: flow.error === undefined || !this.#scheduler.isSensitive(id) })
    if (job === undefined) return undefined
    const isSensitive = this.#scheduler.isSensitive(id)
    return jobStatus(job, { result: this.#exposesResult && !isSensitive, errorMessage: !isSensitive })
  }

  /** 200 with the status of the cancelled job; 409 when it had ended in another way. */
  #cancel(res: ServerResponse, before: Status): void {
    const isCancelled = this.#scheduler.cancel(before.id, 'Cancelled by an HTTP request.')
    const after = this.#statusOf(before.id) ?? before
    const status: Status = isCancelled ? { ...after, state: 'cancelled' as const } : after
    if (status.state === 'cancelled') return answerJson(res, 200, statusJson(status), endpointHeaders)
    answerProblem(res, 409, 'Conflict', `The job can no longer be cancelled: it is ${status.state}.`)
  }

  #follow({ req, res }: Visit, status: Status): void {
    const seenId = lastEventId(req)
    if (seenId !== undefined && seenId === endIdOf(status)) return answerSeen(res)
    if (req.method === 'HEAD') {
      answerStreamHead(res)
      res.end()
    } else if (this.#streams.isFull(status.id)) {
      answerProblem(res, 503, 'Service Unavailable', 'Too many event streams are open.', {
        'Retry-After': '5',
      })
    } else this.#streams.open(res, status, seenId)
  }
}

/** Of the last event that a reconnecting browser has got; what is no id of ours is ignored. */
function lastEventId(req: IncomingMessage): number | undefined {
  const header = req.headers['last-event-id']
  return typeof header === 'string' && /^\d{1,16}$/.test(header) ? Number(header) : undefined
}

/** 204 tells an EventSource to stop reconnecting (WHATWG HTML §9.2.3). */
function answerSeen(res: ServerResponse): void {
  res.writeHead(204, endpointHeaders).end()
}

/** One answer for unknown, malformed and forbidden ids, so that nobody learns which ids exist. */
function answerNotFound(res: ServerResponse): void {
  answerProblem(res, 404, 'Not Found', 'There is no such job.')
}

function answerMethod(res: ServerResponse, allowed: readonly string[]): void {
  answerProblem(res, 405, 'Method Not Allowed', `Allowed are ${allowed.join(', ')}.`, {
    Allow: allowed.join(', '),
  })
}

function answerCrossSite(res: ServerResponse): void {
  answerProblem(res, 403, 'Forbidden', 'Requests from another site change nothing here.')
}

function readAuthorize(value: unknown): JobsRouterOptions['authorize'] {
  // Only the type of the parameters is unknown at run time; they are this file's to give.
  if (value === undefined || typeof value === 'function') return value as JobsRouterOptions['authorize']
  throw new OptionError(`authorize is ${show(value)}. Give a function (req, job, action) => boolean.`)
}

function readExpose(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every((item) => item === 'result')) return value
  if (value === 'payload' || (Array.isArray(value) && value.includes('payload')))
    throw new OptionError("expose has 'payload': payloads are never shown. Give ['result'], or leave it out.")
  const other: unknown = Array.isArray(value) ? value.find((item) => item !== 'result') : undefined
  const shown = Array.isArray(value) ? `an array with ${show(other)}` : show(value)
  throw new OptionError(`expose is ${shown}. Give ['result'], or leave it out.`)
}
