import type { DeferOptions } from './task/defer-options.js'
import type { Task } from './task/define-task.js'
import type { TaskContext } from './task/context.js'
import type { EventName, SchedulerEvents } from './events/event-types.js'
import type { JobState } from './job/lifecycle.js'
import type { JobSnapshot } from './job/snapshot.js'
import type { Duration } from './options.js'

/** A closure deferred as a job: runs on the main lane under the task name '(inline)'. */
export type InlineHandler<R = unknown> = (context: TaskContext) => R

/** The handle that `defer` answers. Not thenable: awaiting it does not wait for the job. */
export interface Job<out R = unknown> {
  readonly id: string
  readonly task: string
  readonly deduplicated: boolean
  readonly state: JobState
  result(options?: { timeout?: Duration }): Promise<R>
  cancel(reason?: string): boolean
  snapshot(): JobSnapshot
}

export interface CloseReport {
  readonly settled: Readonly<Record<'completed' | 'failed' | 'cancelled' | 'expired', number>>
  readonly lost: readonly JobSnapshot[]
}

export interface Scheduler {
  ready(): Promise<void>
  defer<I, R>(task: Task<I, R>, payload: I, options?: DeferOptions): Job<R>
  defer<R>(task: Task<void, R>): Job<R>
  defer<R>(fn: InlineHandler<R>, options?: DeferOptions): Job<Awaited<R>>
  defer(task: string, payload?: unknown, options?: DeferOptions): Job
  job(id: string): JobSnapshot | undefined
  jobs(filter?: { state?: JobState; task?: string; key?: string; limit?: number; before?: string }): JobSnapshot[]
  cancel(id: string, reason?: string): boolean
  retry(id: string): boolean
  on<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this
  once<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this
  off<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this
  idle(): Promise<void>
  close(options?: { timeout?: Duration; drain?: boolean }): Promise<CloseReport>
  restore(jobs: readonly JobSnapshot[]): Job[]
}
