import type { Lane } from '../job/snapshot.js'
import type { AgendaAlarm } from '../queue/agenda.js'
import type { LaneQueue } from '../queue/lane-queue.js'
import type { LaneThread } from './lane-thread.js'

/** How one lane is staffed. */
export interface LaneSettings {
  /** Most threads at once; 1 for the main lane. */
  readonly maxThreads: number
  /** Running jobs per thread. */
  readonly placesPerThread: number
  /** Threads kept when idle. */
  readonly minIdle: number
  /** Ms after which an idle thread above `minIdle` ends. Infinity for never. */
  readonly idleTimeoutMs: number
  /** Ms after which a thread that has not started is given up. */
  readonly startTimeoutMs: number
}

/** One lane: its ready jobs and its threads. */
export class LaneRoom {
  readonly lane: Lane
  readonly settings: LaneSettings
  readonly ready: LaneQueue
  readonly threads: LaneThread[] = []
  /** No place is free, or nothing may start: a new ready job need not wake the dispatcher. */
  isSaturated = false
  /**
   * A thread was sent just one job ahead, which comes back for a more urgent one if it is long. Noted, as it is asked at each
   * defer to a full lane.
   */
  hasOneAhead = false
  /** Whether the last thread that was started has imported its task modules. */
  hasOpened = false
  /** Starts that failed in a row, without a thread in between that ended a job. */
  failedStarts = 0
  /** Why threads cannot be started at the moment. */
  startError: unknown = undefined
  /** Who waits for a first open thread. */
  starters: { opened: () => void; failed: (error: unknown) => void }[] = []
  /** Lost threads that have yet to be replaced. */
  owed = 0
  /** Lets the next start be tried. */
  retryStart: AgendaAlarm | undefined = undefined
  /** Looks whether jobs that were sent ahead are stuck behind a long one. */
  stuckCheck: AgendaAlarm | undefined = undefined

  constructor(lane: Lane, settings: LaneSettings, ready: LaneQueue) {
    this.lane = lane
    this.settings = settings
    this.ready = ready
  }

  /** Whether the last start failed, or the pause after one that did is not over. */
  get startsFail(): boolean {
    return this.startError !== undefined || this.retryStart?.isArmed === true
  }

  get openThreads(): number {
    let open = 0
    for (const thread of this.threads) if (thread.phase === 'open') open++
    return open
  }

  /** Threads that count against the most there may be: a retiring one has a replacement beside it. */
  get staff(): number {
    let staff = 0
    for (const thread of this.threads) if (thread.phase === 'open' || thread.phase === 'starting') staff++
    return staff
  }
}
