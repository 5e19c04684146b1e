/** `sidework(scheduler)`: gives every request `req.defer` and every response `res.accepted`. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ownOptions } from '../options.js'
import type { RequestContext } from '../job/snapshot.js'
import type { InlineHandler, Job, Scheduler } from '../scheduler.js'
import type { DeferOptions } from '../task/defer-options.js'
import type { Task } from '../task/define-task.js'
import type {
  AnyTask,
  BatchOptions,
  ChainStepSpec,
  FlowOptions,
  FlowStepSpec,
  PayloadOf,
  ResultOf,
} from '../task/flow-options.js'
import type { Batch, Flow } from '../flows/flow-handle.js'
import type { FlowKind } from '../job/flow-step.js'
import { answerAccepted, readJobsPath, type Accepted, type AcceptedPlace } from './accepted.js'
import { HeldJobs, readMoment, type DeferMoment } from './held-jobs.js'
import { withPort, type DeferArguments, type DeferPort } from './port.js'
import { requestContext } from './request-context.js'

/** What `req.defer` takes beside what `scheduler.defer` does. */
export interface RequestDeferOptions extends DeferOptions {
  /**
   * When the job is let go. `'now'` (default): at once. `'success'`: when the response has finished with a status below
   * 400; discarded when it failed or the client went away before it was sent. `'finish'`: whatever the status.
   * `'close'`: also when the client went away. Until then it is `held`: checked, copied and counted at the call; its
   * delay, its place in its line and its expiry begin when it is let go.
   */
  on?: DeferMoment
}

/** `req.defer`: `scheduler.defer` for the job's request, whose id and `traceparent` travel with the job. */
export interface RequestDefer {
  (task: string, payload?: unknown, options?: RequestDeferOptions): Job
  <R>(fn: InlineHandler<R>, options?: RequestDeferOptions): Job<Awaited<R>>
  <R>(task: Task<undefined, R>): Job<R>
  <I, R>(task: Task<I, R>, payload: NoInfer<I>, options?: RequestDeferOptions): Job<R>
  /** `scheduler.flow` for this request. With `on`, the whole flow is held, and released or discarded together. */
  flow<T extends Record<string, AnyTask>>(
    steps: { [Ref in keyof T]: FlowStepSpec<T[Ref], keyof T & string> },
    options?: FlowOptions & { on?: DeferMoment },
  ): Flow<{ readonly [Ref in keyof T]: ResultOf<T[Ref]> }>
  /** `scheduler.chain` for this request, likewise. */
  chain<const T extends readonly AnyTask[]>(
    steps: { readonly [Position in keyof T]: ChainStepSpec<T[Position]> },
    options?: FlowOptions & { on?: DeferMoment },
  ): Flow
  /** `scheduler.batch` for this request, likewise. */
  batch<T extends AnyTask, C extends AnyTask = AnyTask>(
    task: T,
    payloads: readonly PayloadOf<T>[],
    options?: BatchOptions<C> & { on?: DeferMoment },
  ): Batch<ResultOf<T>>
  /** Discards every job and flow of this request that is still held. @returns how many */
  discard(): number
}

/** How `sidework()` behaves. */
export interface SideworkOptions {
  /** The absolute path, as clients see it (proxy prefix included), of `jobsRouter`. Default '/jobs'. */
  jobsPath?: string
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
 * @throws OptionError for unknown options and a bad `jobsPath`
 * @example
 * app.use(express.json(), sidework(scheduler))
 * app.post('/signup', (req, res) => res.accepted(req.defer(sendMail, { to: req.body.email })))
 */
export function sidework(scheduler: Scheduler, options: SideworkOptions = {}): ConnectHandler {
  const port = withPort('sidework()', scheduler)
  const { jobsPath = '/jobs' } = ownOptions('sidework()', options, new Set(['jobsPath']))
  const place: AcceptedPlace = {
    jobsPath: readJobsPath(jobsPath),
    isSensitive: (id) => port.isSensitive(id),
  }
  return (req, res, next) => {
    const defer = deferOf(req, res, port)
    const accepted: Accepted = (job, body) => answerAccepted(res, place, job, body)
    Object.assign(req, { defer })
    Object.assign(res, { accepted })
    next()
  }
}

/** A request that begins after `close()` is refused like everybody else; one that was there before may still defer. */
function deferOf(req: IncomingMessage, res: ServerResponse, port: Scheduler & DeferPort): RequestDefer {
  const isLate = port.isClosing
  let held: HeldJobs | undefined
  let context: { readonly of: RequestContext | undefined } | undefined
  const contextOnce = () => (context ??= { of: requestContext(req) }).of
  const defer = (...args: DeferArguments): Job => {
    const [moment, plain] = takeMoment(args)
    if (isLate) return port.defer(...(plain as [string])) // one overload stands for all: they are one function
    if (moment === 'now') return port.deferWithRequest(contextOnce(), ...plain)
    const job = port.hold(contextOnce(), ...plain)
    held ??= new HeldJobs(res, port)
    held.add(job, moment)
    return job
  }
  const flow = (kind: FlowKind, args: readonly unknown[]): never => {
    const [moment, plain] = takeFlowMoment(kind, args)
    if (isLate) return (port[kind] as (...args: readonly unknown[]) => never)(...plain) // refuses, and tells
    const accepted = port.flowWithRequest(requestContext(req), moment !== 'now', kind, plain)
    if (moment !== 'now') {
      held ??= new HeldJobs(res, port)
      held.add(accepted, moment)
    }
    return accepted as never // typed by its steps, see RequestDefer
  }
  return Object.assign(defer, {
    flow: (...args: unknown[]) => flow('flow', args),
    chain: (...args: unknown[]) => flow('chain', args),
    batch: (...args: unknown[]) => flow('batch', args),
    discard: () => held?.discard() ?? 0,
  })
}

/** Parts `on` from the other options, which the scheduler reads. */
function takeMoment(args: DeferArguments): readonly [DeferMoment, DeferArguments] {
  const at = typeof args[0] === 'function' ? 1 : 2
  const options: unknown = args[at]
  if (typeof options !== 'object' || options === null || !Object.hasOwn(options, 'on')) return ['now', args]
  const { on, ...others } = options as RequestDeferOptions
  const plain = at === 1 ? [args[0], others] : [args[0], args[1], others]
  return [readMoment(on), plain as unknown as DeferArguments] // the arguments as they were, less `on`
}

/** The same for a flow, whose options are its last argument. */
function takeFlowMoment(
  kind: FlowKind,
  args: readonly unknown[],
): readonly [DeferMoment, readonly unknown[]] {
  const at = kind === 'batch' ? 2 : 1
  const options = args[at]
  if (typeof options !== 'object' || options === null || !Object.hasOwn(options, 'on')) return ['now', args]
  const { on, ...others } = options as { on?: unknown }
  return [readMoment(on), [...args.slice(0, at), others]]
}
