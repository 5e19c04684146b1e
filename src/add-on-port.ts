/**
 * What an add-on that acts by itself works with, beyond the public Scheduler: the scheduler's own clock, chance, timer,
 * events and log. So whatever drives the scheduler (real time, the test kit, the simulation) drives the add-on too.
 * Nothing here is exported from the package.
 */
import type { Job } from './defer/job-handle.js'
import type { PreparedJob } from './defer/draft.js'
import type { Emitter } from './events/emitter.js'
import type { GuardedLogger } from './events/guarded-logger.js'
import type { Disarmable, Waiter } from './job/job.js'
import type { ScheduleContext } from './job/snapshot.js'
import type { HeapItem, TimeHeap } from './queue/time-heap.js'
import type { Clock } from './world.js'

/** What the scheduler tells an add-on. */
export interface AddOn {
  /** `close()` was called: nothing may be deferred any more, and no alarm may be left. */
  stop(): void
}

export interface AddOnPort {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: GuardedLogger | undefined
  /** Whether one more line with this message may be written now; it is counted. */
  mayLog(message: string): boolean
  readonly events: Pick<Emitter, 'wants' | 'emit'>
  /** Whether `close()` has been called. */
  isClosing(): boolean
  /** Calls a hook of the user's and hands its answer back, perhaps a promise. @throws what it throws */
  ask(hook: () => unknown): unknown
  /** Calls `run` at the instant (on the `now()` scale) or soon after, behind the scheduler's one timer. */
  alarm(at: number, run: () => void): Disarmable
  /** Runs `task` when the current call has returned, before anything else. */
  soon(task: () => void): void
  /** Runs `task` in a later turn of the event loop, after pending I/O. */
  nextTurn(task: () => void): void
  timeHeap<T extends HeapItem>(): TimeHeap<T>
  /** While true, the process stays alive. */
  keepAlive(active: boolean): void
  /**
   * Checks and serialises what will be deferred many times.
   * @throws what `defer` throws for bad input
   */
  prepare(task: unknown, payload: unknown, options: unknown): PreparedJob
  /**
   * Defers it once more, in no `AsyncLocalStorage` context. `waiter` is told when the job settles: during this call, when it
   * is a duplicate of one that has.
   * @throws OptionError, QueueFullError, ClosedError
   */
  deferPrepared(prepared: PreparedJob, schedule: ScheduleContext, waiter: Waiter): Job
  /** What the log may show of what `deferPrepared` threw: of a sensitive task no text. */
  shownError(prepared: PreparedJob, error: unknown): unknown
}
