/**
 * The ways in: one job, many, held ones, flows. Each is refused while the scheduler closes, told on the tracing channel
 * when somebody listens, and accepted whole or not at all; what is refused is counted and told.
 */
import type { Job } from './defer/job-handle.js'
import { ClosedError, OptionError, saying } from './errors.js'
import type { Flow } from './flows/flow-handle.js'
import type { FlowKind } from './job/flow-step.js'
import type { Job as JobRecord } from './job/job.js'
import type { RequestContext } from './job/snapshot.js'
import { ownOptions, show } from './options.js'
import type { Rooms } from './rooms.js'
import type { TaskContext } from './task/context.js'
import type { DeferOptions } from './task/defer-options.js'
import type { Task } from './task/define-task.js'
import { planBatch, planChain, planFlow, tasksOf, type FlowPlan } from './task/flow-plan.js'
import { deferChannel, traceDefer, traceDeferMany, traceFlow } from './task/trace-channels.js'
import { taskNameOf } from './task/task-name.js'

/** A closure deferred as a job: runs on the main lane under the task name '(inline)', with retries like any other. */
export type InlineHandler<R = unknown> = (context: TaskContext) => R

/** One of many jobs for `deferMany`. */
export interface DeferItem {
  /** A task or its name; no closure. */
  readonly task: Task | string
  /** As of `defer`. */
  readonly payload?: unknown
  /** As of `defer`. */
  readonly options?: DeferOptions
}

type Request = RequestContext | undefined

const itemNames: ReadonlySet<string> = new Set(['task', 'payload', 'options'])

export class Deferring {
  readonly #rooms: Rooms

  constructor(rooms: Rooms) {
    this.#rooms = rooms
  }

  defer(task: unknown, payload: unknown, options: unknown): Job {
    this.#refuseWhenClosing(task)
    return this.#defer(undefined, task, payload, options)
  }

  deferWithRequest(request: Request, task: unknown, payload: unknown, options: unknown): Job {
    this.#refuseAfterDeadline(task)
    return this.#defer(request, task, payload, options)
  }

  deferMany(items: readonly DeferItem[]): Job[] {
    this.#refuseWhenClosing(undefined)
    if (!Array.isArray(items))
      throw new OptionError(`deferMany got ${show(items)}. Give an array of { task, payload, options }.`)
    if (!deferChannel.hasSubscribers) return this.#acceptMany(items, undefined)
    const each = Array.from(items, (item: unknown) => this.#about((item as Partial<DeferItem> | null)?.task))
    return traceDeferMany(each, (carried) => this.#acceptMany(items, carried))
  }

  /** A job that waits for its response: see `release` and `discard`. */
  hold(request: Request, task: unknown, payload: unknown, options: unknown): Job {
    this.#refuseAfterDeadline(task)
    if (!deferChannel.hasSubscribers) return this.#holdOne(request, task, payload, options)
    return traceDefer(this.#about(task), request, (carried) => this.#holdOne(carried, task, payload, options))
  }

  /** @param args of the public method of that name */
  flow(kind: FlowKind, args: readonly unknown[]): Flow {
    this.#refuseWhenClosing(`(${kind})`)
    return this.#flow(undefined, false, kind, args)
  }

  flowWithRequest(request: Request, isHeld: boolean, kind: FlowKind, args: readonly unknown[]): Flow {
    this.#refuseAfterDeadline(`(${kind})`)
    return this.#flow(request, isHeld, kind, args)
  }

  /** Lets held jobs and flows go on. Others are left as they are. */
  release(ids: readonly string[]): void {
    const { acceptance, flows, operations } = this.#rooms
    for (const id of ids) {
      const job = operations.find(id)
      if (job?.state === 'held') acceptance.letGo(job)
      const flow = job === undefined ? flows.find(id) : undefined
      if (flow !== undefined) flows.release(flow)
    }
  }

  /** Cancels held jobs and flows. Others are left as they are. @returns how many there were */
  discard(ids: readonly string[], reason: string): number {
    const { flowRoom, flows, operations } = this.#rooms
    const isDiscarded = (id: string): boolean => {
      const job = operations.find(id)
      if (job !== undefined) return job.state === 'held' && operations.cancel(job, reason)
      const flow = flows.find(id)
      return flow?.isHeld === true && flowRoom.cancel(flow, reason)
    }
    return ids.filter(isDiscarded).length
  }

  #refuseWhenClosing(task: unknown): void {
    if (this.#rooms.closing !== undefined) throw this.#rooms.refused(task, new ClosedError())
  }

  /** What a request in flight or a running job hands over is accepted until closing's deadline. */
  #refuseAfterDeadline(task: unknown): void {
    if (this.#rooms.closing?.acceptsChildren === false) throw this.#rooms.refused(task, new ClosedError())
  }

  #defer(request: Request, task: unknown, payload: unknown, options: unknown): Job {
    if (!deferChannel.hasSubscribers) return this.#acceptOne(request, task, payload, options)
    return traceDefer(this.#about(task), request, (carried) =>
      this.#acceptOne(carried, task, payload, options),
    )
  }

  /** For the tracing channel. */
  #about(task: unknown): { readonly task: string; readonly isSensitive: boolean } {
    return { task: taskNameOf(task), isSensitive: this.#isSensitive(task) }
  }

  #isSensitive(task: unknown): boolean {
    const { book } = this.#rooms
    try {
      return (typeof task === 'function' ? book.inline : book.find(task)).policy.sensitive
    } catch {
      return false // No task, so the defer is refused before anybody looks at its payload.
    }
  }

  #acceptOne(request: Request, task: unknown, payload: unknown, options: unknown): Job {
    try {
      if (typeof task === 'function' && options !== undefined) {
        throw new OptionError('defer got three arguments for a closure. Give defer(fn, options).')
      }
      const accepted = this.#rooms.acceptance.accept(this.#draft(request, task, payload, options))
      this.#rooms.rest.jobCame()
      return this.#rooms.handle(accepted)
    } catch (error) {
      throw this.#rooms.refused(task, error)
    }
  }

  #acceptMany(items: readonly unknown[], request: Request): Job[] {
    let task: unknown
    try {
      const { book, drafts } = this.#rooms
      const draft = (item: unknown): JobRecord => {
        const own = ownOptions('The item', item, itemNames, '{ task, payload, options }')
        task = own['task']
        return drafts.draft(book.find(task), own['payload'], own['options'], request)
      }
      const jobs = Array.from(items, (item, index) => saying(`deferMany, item ${index}`, () => draft(item)))
      const accepted = this.#rooms.acceptance.acceptAll(jobs)
      this.#rooms.rest.jobCame()
      return accepted.map((one) => this.#rooms.handle(one))
    } catch (error) {
      throw this.#rooms.refused(task, error)
    }
  }

  #holdOne(request: Request, task: unknown, payload: unknown, options: unknown): Job {
    try {
      const draft = this.#draft(request, task, payload, options)
      this.#rooms.acceptance.hold(draft)
      this.#rooms.rest.jobCame()
      return this.#rooms.handle(draft)
    } catch (error) {
      throw this.#rooms.refused(task, error)
    }
  }

  #draft(request: Request, task: unknown, payload: unknown, options: unknown): JobRecord {
    return typeof task === 'function'
      ? this.#rooms.drafts.draftInline(this.#rooms.book.inline, task as InlineHandler, payload, request)
      : this.#rooms.drafts.draft(this.#rooms.book.find(task), payload, options, request)
  }

  #flow(request: Request, isHeld: boolean, kind: FlowKind, args: readonly unknown[]): Flow {
    try {
      if (!deferChannel.hasSubscribers) return this.#acceptFlow(planOf(kind, args), request, isHeld)
      return traceFlow(
        kind,
        request,
        () => planOf(kind, args),
        (plan) => tasksOf(plan).some((task) => this.#isSensitive(task)),
        (plan, carried) => this.#acceptFlow(plan, carried, isHeld),
      )
    } catch (error) {
      throw this.#rooms.refused(`(${kind})`, error)
    }
  }

  #acceptFlow(plan: FlowPlan, request: Request, isHeld: boolean): Flow {
    const flow = this.#rooms.flows.accept(plan, request, isHeld)
    this.#rooms.rest.jobCame()
    return this.#rooms.flowRoom.handle(flow) as Flow // one class for all kinds
  }
}

function planOf(kind: FlowKind, [first, second, third]: readonly unknown[]): FlowPlan {
  switch (kind) {
    case 'flow':
      return planFlow(first, second)
    case 'chain':
      return planChain(first, second)
    case 'batch':
      return planBatch(first, second, third)
  }
}
