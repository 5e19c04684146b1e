/**
 * One schedule: what it defers, when, and how that has gone so far.
 *
 *      active ◀──resume── paused
 *        │ ───pause─────▶   │
 *        └─── maxRuns, endAt ──▶ ended: what waits of it still runs
 *        └─── remove, replace, close ──▶ removed: nothing runs any more
 */
import type { PreparedJob } from '../defer/draft.js'
import type { HeapItem } from '../queue/time-heap.js'
import type { OpenRun } from './open-run.js'
import type { SchedulePolicy } from './schedule-options.js'
import type { Timetable } from './timetable.js'

export type ScheduleState = 'active' | 'paused' | 'ended' | 'removed'

/** A run whose time has come. */
export interface DueRun {
  /** On the timetable's scale. */
  readonly instant: number
  readonly jitterMs: number
  readonly reason: 'due' | 'catch-up'
}

/** What a schedule is made of. */
export interface ScheduleFacts {
  readonly name: string
  readonly timetable: Timetable
  readonly policy: SchedulePolicy
  readonly prepared: PreparedJob
}

/** Is what it defers: one object for both, as there may be many. Only schedule-book.ts, awaiting.ts, former-schedules.ts and firing.ts write it. */
export class Schedule implements HeapItem, PreparedJob {
  readonly name: string
  readonly timetable: Timetable
  readonly policy: SchedulePolicy
  readonly task: PreparedJob['task']
  readonly payload: PreparedJob['payload']
  readonly options: PreparedJob['options']
  /** Breaks ties: schedules that are due together run in the order in which they were made. */
  readonly seq: number
  place = 0
  state: ScheduleState = 'active'
  /** The instant it waits for, on the timetable's scale. */
  nextAt = 0
  /** How much later than `nextAt` it runs. */
  jitterMs = 0
  /** Whether it stands among those that wait for their instant. While it fires it does not, and may be paused or removed. */
  isAwaited = false
  runCount = 0
  /** Ms since the epoch. */
  lastFiredFor: number | undefined = undefined
  /** Its jobs that have not settled. */
  open: OpenRun[] | undefined = undefined
  /** Runs that wait for the job before them. */
  backlog: DueRun[] | undefined = undefined

  constructor(facts: ScheduleFacts, seq: number) {
    this.name = facts.name
    this.timetable = facts.timetable
    this.policy = facts.policy
    this.task = facts.prepared.task
    this.payload = facts.prepared.payload
    this.options = facts.prepared.options
    this.seq = seq
  }

  get isExhausted(): boolean {
    return this.runCount >= this.policy.maxRuns
  }

  get isBusy(): boolean {
    return (this.open?.length ?? 0) > 0 || (this.backlog?.length ?? 0) > 0
  }
}
