import type { SerializedError } from '../job/serialized-error.js'
import type { FlowKind } from '../job/flow-step.js'
import type { SettledState } from '../job/lifecycle.js'
import type { Lane, Progress } from '../job/snapshot.js'

/** What every event about a job carries. */
export interface JobEvent {
  readonly id: string
  readonly task: string
  /** The attempt that runs or ran last; 0 before the first. */
  readonly attempt: number
  /** Ms since the epoch. */
  readonly at: number
}

/** What every event about a flow carries. */
export interface FlowEvent {
  readonly id: string
  readonly kind: FlowKind
  /** Steps in all, those that completed, and those that failed, were cancelled or expired. */
  readonly total: number
  readonly completed: number
  readonly failed: number
  /** Ms since the epoch. */
  readonly at: number
}

/**
 * Why a thread is gone: it had no work (`idle`), the scheduler closes, a job on it was stopped by force (`timeout`), it was
 * replaced (`retired`), it could not import the task modules (`start-failed`), it held too much (`memory`, see
 * `threads.maxRssBytes`), it ended by itself (`crashed`), its loop did not turn and nobody could be blamed (`stuck`), or it
 * was terminated and has not exited within 5 minutes (`lost`).
 */
export type ThreadExitReason =
  'idle' | 'closing' | 'timeout' | 'retired' | 'start-failed' | 'memory' | 'crashed' | 'stuck' | 'lost'

/**
 * Every event and its one plain object. In `retrying`, `failed` and `flow:settled` an error of a `sensitive` task has its name
 * and code only, and '(withheld)' as message.
 */
export interface SchedulerEvents {
  accepted: JobEvent
  started: JobEvent
  progress: JobEvent & { readonly value: Progress }
  /** `runAt`: when the next attempt is due, in ms since the epoch; of `snoozed` too. */
  retrying: JobEvent & { readonly error: SerializedError; readonly runAt: number }
  snoozed: JobEvent & { readonly runAt: number }
  /** `durationMs`: how long the last attempt ran, ms. */
  completed: JobEvent & { readonly durationMs: number }
  failed: JobEvent & { readonly error: SerializedError }
  cancelled: JobEvent & { readonly error: SerializedError }
  expired: JobEvent
  /** The attempt ended through no fault of its own (its thread was lost); the job is ready again, nothing charged. */
  interrupted: JobEvent
  /** A defer found this job already there. */
  deduplicated: JobEvent
  /** A job could not be accepted. */
  refused: { readonly task: string; readonly code: string; readonly at: number }
  /** `task` is absent when everything is meant. */
  paused: { readonly task?: string; readonly at: number }
  resumed: { readonly task?: string; readonly at: number }
  'key:halted': { readonly key: string; readonly id: string; readonly at: number }
  'key:released': { readonly key: string; readonly at: number }
  /** A schedule deferred a job: it was due, a run was caught up on, or `runNow` was called. */
  'schedule:fired': {
    readonly name: string
    readonly id: string
    readonly task: string
    /** The instant of the schedule, ms since the epoch. */
    readonly firedFor: number
    /** Ms from that instant (and its jitter) to the moment at which the job was deferred. */
    readonly lateBy: number
    readonly reason: 'due' | 'catch-up' | 'run-now'
    readonly at: number
  }
  /**
   * `count` instants, `firedFor` the latest of them, passed without a run: the event loop or the machine stood still, or a
   * leader hook took its time.
   */
  'schedule:missed': {
    readonly name: string
    /** Ms since the epoch. */
    readonly firedFor: number
    /** Counted up to 1,000. */
    readonly count: number
    readonly at: number
  }
  /** A run that was due did not take place: see `reason`. */
  'schedule:skipped': {
    readonly name: string
    /** Ms since the epoch. */
    readonly firedFor: number
    readonly reason: 'overlap' | 'queue-full' | 'refused' | 'not-leader' | 'leader-failed'
    readonly at: number
  }
  'thread:started': { readonly lane: Lane; readonly thread: number; readonly at: number }
  'thread:exited': {
    readonly lane: Lane
    readonly thread: number
    readonly reason: ThreadExitReason
    readonly exitCode?: number
    /** What nobody caught in it, if that is why. */
    readonly error?: SerializedError
    readonly at: number
  }
  /** Told at most ten times a second per flow. Of a batch: its jobs, without the callback. */
  'flow:progress': FlowEvent
  /**
   * Every step has settled. `state`: how the flow ended; `durationMs`: since it was accepted, ms; `error`: why it did not
   * complete.
   */
  'flow:settled': FlowEvent & {
    readonly state: SettledState
    readonly durationMs: number
    readonly error?: SerializedError
  }
  closing: { readonly at: number }
  closed: { readonly at: number; readonly lost: number }
}
export type EventName = keyof SchedulerEvents

/** Every event there is: an event of another name would never come. */
const names: Readonly<Record<EventName, true>> = {
  accepted: true,
  started: true,
  progress: true,
  retrying: true,
  snoozed: true,
  completed: true,
  failed: true,
  cancelled: true,
  expired: true,
  interrupted: true,
  deduplicated: true,
  refused: true,
  paused: true,
  resumed: true,
  'key:halted': true,
  'key:released': true,
  'schedule:fired': true,
  'schedule:missed': true,
  'schedule:skipped': true,
  'thread:started': true,
  'thread:exited': true,
  'flow:progress': true,
  'flow:settled': true,
  closing: true,
  closed: true,
}

export const eventNames = Object.keys(names) as readonly EventName[] // the table's keys
