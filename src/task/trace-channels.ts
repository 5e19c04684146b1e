/**
 * Two tracing channels of node:diagnostics_channel, for whoever wants to see defers and attempts in a trace. Each thread
 * has its own: an attempt is told where its handler runs. Nothing is built while nobody has subscribed.
 *
 *      sidework:defer      start ─▶ [error] ─▶ end                              defer, deferMany, flow, chain, batch, req.defer
 *                          start ─▶ end ─▶ [error] ─▶ asyncStart ─▶ asyncEnd    context.defer, also its flows
 *      sidework:attempt    start ─▶ [error] ─▶ end                              a handler that returns no promise
 *                          start ─▶ end ─▶ [error] ─▶ asyncStart ─▶ asyncEnd    a handler that does
 */
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import { types } from 'node:util'
import type { Outcome } from '../job/outcome.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { FlowKind } from '../job/flow-step.js'
import type { RequestContext } from '../job/snapshot.js'
import type { FlowPlan } from './flow-plan.js'

/** The message of `sidework:defer`: one object from start to end. */
export interface DeferTrace {
  /** The task's name; '(inline)' for a closure, '(many)' for jobs of several tasks; '(flow)', '(chain)' or '(batch)'. */
  readonly task: string
  /** Jobs handed over together: 1 but for `deferMany` and flows; 0 when the steps of a flow cannot be read. */
  readonly count: number
  /**
   * A task of it is sensitive, or may be: steps that cannot be read, and a task that is unknown in the thread of the
   * handler. Then name and code are all of `error` that may be shown.
   */
  readonly isSensitive: boolean
  readonly request: RequestContext | undefined
  /**
   * Empty at first. What a subscriber of `start` writes here (`traceparent`, say) travels with the job: each attempt
   * finds it in `request`.
   */
  readonly carrier: Record<string, string>
  /** The accepted job or flow; of `deferMany`, the first job. */
  id?: string
  /** The defer found its job already there. */
  deduplicated?: boolean
  /** Why it was refused, as it was thrown, also where `isSensitive`: its text may hold the payload. */
  error?: unknown
}

/** The message of `sidework:attempt`: one object from start to end. */
export interface AttemptTrace {
  readonly id: string
  readonly task: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly request: RequestContext | undefined
  /** A subscriber of `start` may set it, to run the handler inside of something: it calls `run` before it returns. */
  around?: (run: () => void) => void
  /** How it ended, as far as the thread can tell: one that takes its thread along is told by nobody. */
  outcome?: Outcome['kind']
  /** Of an attempt that failed; of a sensitive task, name and code only. */
  error?: Pick<SerializedError, 'name' | 'code'> & Partial<SerializedError>
}

// Both parameters alike: Node's types have had them in either order.
export const deferChannel: TracingChannel<DeferTrace, DeferTrace> = tracingChannel('sidework:defer')
export const attemptChannel: TracingChannel<AttemptTrace, AttemptTrace> = tracingChannel('sidework:attempt')

/** What a trace takes from the answer of a defer. */
interface Deferred {
  readonly id: string
  /** Absent of a flow, which is never taken for another. */
  readonly deduplicated?: boolean
}

type Defer<A> = (request: RequestContext | undefined) => A

/** What is told of a defer before it is tried. */
type About = Pick<DeferTrace, 'task' | 'isSensitive'>

/** Tells of a defer while it happens. `defer` gets the request with what subscribers added to it. */
export function traceDefer<J extends Deferred>(
  about: About,
  request: RequestContext | undefined,
  defer: Defer<J>,
): J {
  return traceNow({ ...about, count: 1, request, carrier: {} }, defer, (job) => job)
}

/** The same for many at once. @param each what is told of each of them */
export function traceDeferMany<J extends Deferred>(each: readonly About[], defer: Defer<J[]>): J[] {
  const first = each[0]?.task ?? '(many)'
  const task = each.every((about) => about.task === first) ? first : '(many)'
  const isSensitive = each.some((about) => about.isSensitive)
  const trace: DeferTrace = { task, isSensitive, count: each.length, request: undefined, carrier: {} }
  return traceNow(trace, defer, ([job]) => job)
}

/** The same for a flow, chain or batch. `accept` gets what `plan` has read. */
export function traceFlow<F extends Pick<Deferred, 'id'>>(
  kind: FlowKind,
  request: RequestContext | undefined,
  plan: () => FlowPlan,
  isSensitive: (plan: FlowPlan) => boolean,
  accept: (plan: FlowPlan, request: RequestContext | undefined) => F,
): F {
  const about = { task: `(${kind})`, count: 0, isSensitive: true }
  let read: () => FlowPlan
  try {
    const made = plan()
    about.count = countOf(made)
    about.isSensitive = isSensitive(made)
    read = () => made
  } catch (error) {
    // It is told like any other refusal.
    read = () => {
      throw error
    }
  }
  return traceNow(
    { ...about, request, carrier: {} },
    (carried) => accept(read(), carried),
    (flow) => flow,
  )
}

/** How many jobs a flow is. */
export function countOf({ steps, callback }: FlowPlan): number {
  return steps.length + (callback === undefined ? 0 : 1)
}

function traceNow<A>(trace: DeferTrace, defer: Defer<A>, jobOf: (answer: A) => Deferred | undefined): A {
  return deferChannel.start.runStores(trace, () => {
    try {
      const answer = defer(withCarrier(trace.request, trace.carrier))
      noteJob(trace, jobOf(answer))
      return answer
    } catch (error) {
      trace.error = error
      deferChannel.error.publish(trace)
      throw error
    } finally {
      deferChannel.end.publish(trace)
    }
  })
}

/** The same where the answer comes later. */
export function traceDeferLater<J extends Deferred>(
  about: About & Pick<DeferTrace, 'count'>,
  run: (carrier: Readonly<Record<string, string>>) => Promise<J>,
): Promise<J> {
  const trace: DeferTrace = { ...about, request: undefined, carrier: {} }
  return deferChannel.start.runStores(trace, async () => {
    const answer = run(Object.fromEntries(textsOf(trace.carrier)))
    deferChannel.end.publish(trace)
    try {
      const job = await answer
      noteJob(trace, job)
      return job
    } catch (error) {
      trace.error = error
      deferChannel.error.publish(trace)
      throw error
    } finally {
      deferChannel.asyncStart.publish(trace)
      deferChannel.asyncEnd.publish(trace)
    }
  })
}

/** Tells of an attempt while its handler runs. `end` is what the handler's end became. */
export function traceAttempt<E>(
  trace: AttemptTrace,
  run: () => E | Promise<E>,
  note: (trace: AttemptTrace, end: E) => void,
): E | Promise<E> {
  const finish = (end: E): E => {
    note(trace, end)
    if (trace.error !== undefined) attemptChannel.error.publish(trace)
    return end
  }
  return attemptChannel.start.runStores(trace, () => {
    const end = trace.around === undefined ? run() : runInside(trace.around, run)
    if (!types.isPromise(end)) {
      finish(end)
      attemptChannel.end.publish(trace)
      return end
    }
    attemptChannel.end.publish(trace)
    return end.then((late: E) => {
      finish(late)
      attemptChannel.asyncStart.publish(trace)
      attemptChannel.asyncEnd.publish(trace)
      return late
    })
  })
}

/** The handler runs whatever the subscriber does; its error is reported as one that no subscriber caught. */
function runInside<T>(around: (run: () => void) => void, run: () => T): T {
  let answer: { readonly end: T } | undefined
  const once = (): { readonly end: T } => (answer ??= { end: run() })
  try {
    around(once)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
  return once().end
}

/** What travels with a job: its request, and what tracers added. */
export function withCarrier(
  request: RequestContext | undefined,
  carrier: Readonly<Record<string, string>> | undefined,
): RequestContext | undefined {
  const texts = carrier === undefined ? [] : textsOf(carrier)
  return texts.length === 0 ? request : Object.freeze({ ...request, ...Object.fromEntries(texts) })
}

/** What else a subscriber wrote could not be sent to a thread, and would throw when the job starts. */
function textsOf(carrier: Readonly<Record<string, unknown>>): [string, string][] {
  return Object.entries(carrier).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
}

function noteJob(trace: DeferTrace, job: Deferred | undefined): void {
  if (job === undefined) return
  trace.id = job.id
  if (job.deduplicated !== undefined) trace.deduplicated = job.deduplicated
}
