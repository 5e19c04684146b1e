/**
 * What this room needs beyond the public Scheduler: the members below, on the scheduler object itself, which
 * its declarations leave out. Nothing here is exported from the package.
 */
import type { Flow } from '../flows/flow-handle.js'
import type { FlowOverview } from '../flows/flow-snapshot.js'
import type { FlowKind } from '../job/flow-step.js'
import type { JobSnapshot, RequestContext } from '../job/snapshot.js'
import { ownScheduler } from '../own-scheduler.js'
import type { InlineHandler, Job, Scheduler } from '../scheduler.js'
import type { DeferOptions } from '../task/defer-options.js'
import type { Task } from '../task/define-task.js'

/** The arguments of `defer`, exactly as the caller gave them: `(task, payload?, options?)` or `(fn, options?)`. */
export type DeferArguments = readonly [
  task: Task | InlineHandler | string,
  ...rest: [unknown?, DeferOptions?],
]

/** The internal extension port of the scheduler. */
export interface DeferPort {
  /**
   * `defer(...args)` for a request in flight: stores `request` (if any) with the job and, while the scheduler closes,
   * still accepts until the deadline. Refuses like `defer` otherwise.
   */
  deferWithRequest(request: RequestContext | undefined, ...args: DeferArguments): Job
  /** Like `deferWithRequest`, but the job waits, counted, until it is released or discarded. */
  hold(request: RequestContext | undefined, ...args: DeferArguments): Job
  /** `flow`, `chain` or `batch` with those arguments, for a request in flight; held as a whole if so wanted. */
  flowWithRequest(
    request: RequestContext | undefined,
    isHeld: boolean,
    kind: FlowKind,
    args: readonly unknown[],
  ): Flow
  /** A flow as it is now, without its steps; undefined for an unknown id or one that is kept no longer. */
  flowOverview(id: string): FlowOverview | undefined
  /** The first step of a flow. */
  firstOfFlow(id: string): JobSnapshot | undefined
  /** Lets held jobs and flows go on, all together; others are left as they are. Never refused. */
  releaseHeld(ids: readonly string[]): void
  /** Cancels held jobs and flows; others are left as they are. @returns how many there were */
  discardHeld(ids: readonly string[], reason: string): number
  /** How many jobs are ready, how long the oldest of them has waited (ms), and how many are not settled. */
  backlog(): { readonly ready: number; readonly oldestWaitMs: number; readonly unsettled: number }
  /** Whether `close()` has been called. */
  readonly isClosing: boolean
  /** Whether payload and result of this job must not leave the process; true for an unknown id. */
  isSensitive(id: string): boolean
}

/**
 * The scheduler, seen with its port.
 * @throws OptionError when it is not a scheduler of this package
 */
export function withPort(caller: string, scheduler: Scheduler): Scheduler & DeferPort {
  return ownScheduler(caller, scheduler)
}
