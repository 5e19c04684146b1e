import type { Duration } from '../options.js'
import type { Progress, RequestContext, ScheduleContext } from '../job/snapshot.js'
import type { DeferOptions } from './defer-options.js'
import type { Task } from './define-task.js'
import type { Backoff } from './task-options.js'

/** One log method: a message, or fields and a message, as pino takes them. */
export type LogMethod = (fieldsOrMessage: object | string, message?: string) => void

/** A pino-shaped logger that adds job id, task, attempt and request id to each line. */
export interface TaskLog {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
}

/** What `context.defer` answers: the child's id, and whether it was already there. */
export interface DeferredChild {
  readonly id: string
  readonly deduplicated: boolean
}

/** `context.defer`: a task with its payload, or a task's name. A signal cannot reach across threads. */
export interface DeferChild {
  (task: Task<undefined>): Promise<DeferredChild>
  <I>(task: Task<I>, payload: NoInfer<I>, options?: ChildOptions): Promise<DeferredChild>
  (task: string, payload?: unknown, options?: ChildOptions): Promise<DeferredChild>
}

/** What a child's `defer` can say for itself: plain data, as functions cannot reach across threads. */
export type ChildOptions = Omit<DeferOptions, 'signal' | 'backoff'> & {
  backoff?: Exclude<Backoff, (...args: never) => unknown>
}

/** What a handler gets beside its payload. Destructure what is needed; all functions are bound. */
export interface TaskContext {
  /** The job's id: the same on every attempt, hence the key for idempotent handlers. */
  readonly id: string
  readonly task: string
  /** 1 for the first attempt. An execution ended by a snooze or an interruption keeps its number. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Aborted on timeout, cancel and close; `signal.reason.code` says which. Made only when touched. */
  readonly signal: AbortSignal
  readonly log: TaskLog
  /** Tells how far the job is: a ratio 0–1 or JSON. Coalesced to at most 10 a second per job, the last one kept. */
  progress(value: Progress): void
  /** Says that the attempt is alive, without saying how far it is: `visibilityTimeout` begins again. */
  heartbeat(): void
  /** Lets pending I/O, heartbeats and aborts through; on the main lane also requests and more urgent jobs. */
  yieldNow(): Promise<void>
  /** Defers a child job. Accepted also while the scheduler closes. */
  readonly defer: DeferChild
  /**
   * Lets nothing that passes this shared limit start for a while: after a 429, say, which is about all jobs and not only
   * this one. An unknown name is logged as an error.
   */
  pauseLimit(name: string, delay: Duration): void
  /** The HTTP request the job came from, as plain data. */
  readonly request: RequestContext | undefined
  /** Which run of which schedule this is, for a recurring job. */
  readonly schedule: ScheduleContext | undefined
}
