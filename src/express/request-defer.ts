/** `req.defer`: jobs and flows of a request, at once or once its response has ended. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fromCallerOf, fromCallerUnlessFull } from '../errors.js'
import type { Batch, Flow } from '../flows/flow-handle.js'
import type { FlowKind } from '../job/flow-step.js'
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
import { HeldJobs, readMoment, type DeferMoment } from './held-jobs.js'
import type { DeferArguments, DeferPort } from './port.js'
import { requestContext } from './request-context.js'

/** What `req.defer` takes beside what `scheduler.defer` does. */
export interface RequestDeferOptions extends DeferOptions {
  /**
   * When the job is let go. `'now'` (default): at once. `'success'`: when the response has finished with a status below
   * 400; discarded when it failed or the client went away before it was sent. `'finish'`: whatever the status.
   * `'close'`: also when the client went away. Until then it is `held`: checked, copied and counted at the call; its
   * delay, its place in its line and its expiry begin when it is let go. `sidework(scheduler, { on })` sets another default.
   */
  on?: DeferMoment | undefined
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
    options?: FlowOptions & { on?: DeferMoment | undefined },
  ): Flow<{ readonly [Ref in keyof T]: ResultOf<T[Ref]> }>
  /** `scheduler.chain` for this request, likewise. */
  chain<const T extends readonly AnyTask[]>(
    steps: { readonly [Position in keyof T]: ChainStepSpec<T[Position]> },
    options?: FlowOptions & { on?: DeferMoment | undefined },
  ): Flow
  /** `scheduler.batch` for this request, likewise. */
  batch<T extends AnyTask, C extends AnyTask = AnyTask>(
    task: T,
    payloads: readonly PayloadOf<T>[],
    options?: BatchOptions<C> & { on?: DeferMoment | undefined },
  ): Batch<ResultOf<T>>
  /** Discards every job and flow of this request that is still held. @returns how many */
  discard(): number
}

/** What the defers of many requests have in common. */
export interface DeferTerms {
  readonly port: Scheduler & DeferPort
  /** When jobs are let go whose options do not say. */
  readonly usual: DeferMoment
  /** The requests began after `close()`: refused like everybody else, while one that was there before may still defer. */
  readonly isLate: boolean
}

/** The `defer` of one request. */
export function deferOf(
  req: IncomingMessage,
  res: ServerResponse,
  { port, usual, isLate }: DeferTerms,
): RequestDefer {
  const one = (...args: DeferArguments): Job => {
    try {
      const [moment, plain] = takeMoment(args, usual)
      if (isLate) return port.defer(...(plain as [string])) // one overload stands for all: they are one function
      if (moment === 'now') return port.deferWithRequest(requestContext(req), ...plain)
      const job = port.hold(requestContext(req), ...plain)
      heldOf(req, res, port).add(job, moment)
      return job
    } catch (error) {
      throw fromCallerUnlessFull(one, error)
    }
  }
  const many = (kind: FlowKind, args: readonly unknown[]): never => {
    try {
      const [moment, plain] = takeFlowMoment(kind, args, usual)
      if (isLate) return (port[kind] as (...args: readonly unknown[]) => never)(...plain) // refuses, and tells
      const accepted = port.flowWithRequest(requestContext(req), moment !== 'now', kind, plain)
      if (moment !== 'now') heldOf(req, res, port).add(accepted, moment)
      return accepted as never // typed by its steps, see RequestDefer
    } catch (error) {
      throw fromCallerOf(defer[kind], error)
    }
  }
  const defer = Object.assign(one, {
    flow: (...args: unknown[]) => many('flow', args),
    chain: (...args: unknown[]) => many('chain', args),
    batch: (...args: unknown[]) => many('batch', args),
    discard: () => (req as Holder)[heldJobs]?.get(port)?.discard() ?? 0,
  })
  return defer
}

/** The held jobs of a request, by scheduler: on the request itself, as each look at `req.defer` makes another function. */
const heldJobs = Symbol('sidework held jobs')
type Holder = IncomingMessage & { [heldJobs]?: Map<DeferPort, HeldJobs> | undefined }

function heldOf(req: Holder, res: ServerResponse, port: DeferPort): HeldJobs {
  const all = (req[heldJobs] ??= new Map<DeferPort, HeldJobs>())
  let held = all.get(port)
  if (held === undefined) all.set(port, (held = new HeldJobs(res, port)))
  return held
}

/** Parts `on` from the other options, which the scheduler reads. */
function takeMoment(args: DeferArguments, usual: DeferMoment): readonly [DeferMoment, DeferArguments] {
  const at = typeof args[0] === 'function' ? 1 : 2
  const options: unknown = args[at]
  if (typeof options !== 'object' || options === null || !Object.hasOwn(options, 'on')) return [usual, args]
  const { on, ...others } = options as RequestDeferOptions
  const plain = at === 1 ? [args[0], others] : [args[0], args[1], others]
  return [readMoment(on, usual), plain as unknown as DeferArguments] // the arguments as they were, less `on`
}

/** The same for a flow, whose options are its last argument. */
function takeFlowMoment(
  kind: FlowKind,
  args: readonly unknown[],
  usual: DeferMoment,
): readonly [DeferMoment, readonly unknown[]] {
  const at = kind === 'batch' ? 2 : 1
  const options = args[at]
  if (typeof options !== 'object' || options === null || !Object.hasOwn(options, 'on')) return [usual, args]
  const { on, ...others } = options as { on?: unknown }
  return [readMoment(on, usual), [...args.slice(0, at), others]]
}
