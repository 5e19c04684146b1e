import type { Job } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'
import type { Lane } from '../job/snapshot.js'
import type { AgendaAlarm } from '../queue/agenda.js'
import { Claims } from '../threads/claims.js'
import type { FromThread, StartingMessage } from '../threads/protocol.js'
import type { ThreadPort } from '../world.js'
import type { Execution } from './execution.js'
import { firstToken, Slots, Window } from './places.js'

/**
 * The life of a thread:
 *
 *      starting ──ready──▶ open ────▶ retiring ──neighbours ended──▶ leaving ──▶ stopping ──▶ (exited)
 *       │    │               │ └──idle, close─────────────────────────▲ ▲         ▲
 *       │    └──close────────┼──────────────────────────────────────────┘         │
 *       └──start failed──────┴──force─────────────────────────────────────────────┘
 *
 * A thread is leaving while it ends its start or runs a teardown(); others are stopped at once.
 */
export type ThreadPhase = 'starting' | 'open' | 'retiring' | 'leaving' | 'stopping'

/** Why a thread was stopped on purpose. */
export type StopReason =
  'idle' | 'closing' | 'timeout' | 'retired' | 'start-failed' | 'stuck' | 'memory' | 'lost'

/** One thread as the dispatcher sees it. */
export class LaneThread {
  readonly lane: Lane
  /** Counts up from 1 within the scheduler. */
  readonly number: number
  phase: ThreadPhase = 'starting'
  stopReason: StopReason | undefined = undefined
  /** The job because of which it was stopped by force, if it was one. */
  stoppedFor: Job | undefined = undefined
  readonly port: ThreadPort
  /** A cpu thread's executions, or undefined. */
  readonly window: Window | undefined
  readonly claims: Claims | undefined
  readonly places: Window | Slots
  /** The tasks it was told of, by number. */
  readonly introduced: (TaskRecord | undefined)[] = []
  /** Runs a job that must be alone. */
  isExclusive = false
  /** Nothing is sent ahead until it reports: it was found stuck. */
  isStuck = false
  /** Token of the execution because of which it exits, as it said itself; 0: because of none on it. */
  culprit: number | undefined = undefined
  /** It was asked whether its loop turns, and has until then to answer. */
  answersBy: number | undefined = undefined
  /** What it said it holds, and when. */
  memory = { bytes: 0, at: -1 }
  /** What it says while a report of it is being read: read afterwards. */
  unread: FromThread[] | undefined = undefined
  /** Its oldest token when the dispatcher last looked whether it moves. */
  lastSeenOldest = 0
  idleSince = 0
  /** Looks after the earliest deadline of its executions. */
  watch: AgendaAlarm | undefined = undefined
  watchAt = Infinity
  /** Stops it when idle, or when starting, tearing down or exiting takes too long. */
  patience: AgendaAlarm | undefined = undefined
  /** What it said last that it does on its way to open. */
  starting: StartingMessage | undefined = undefined
  /** Tasks its modules define. */
  tasks: ReadonlySet<string> = new Set()
  /** It was started in place of a lost one, and has not opened yet. */
  isReplacement = false
  /** Another was asked for in its place, if one was needed. */
  isReplaced = false
  /** It has ended a job. */
  hasEnded = false
  /** It wants to tear down before it ends. */
  hasTeardown = false
  /** It was stopped as that took too long. */
  isCutShort = false
  /** It has exited, or was given up: nothing it says counts any more. */
  isGone = false
  readonly startedAt: number

  constructor(lane: Lane, number: number, port: ThreadPort, slots: number, now: number) {
    this.lane = lane
    this.number = number
    this.port = port
    this.startedAt = now
    this.window = lane === 'cpu' ? new Window() : undefined
    this.places = this.window ?? new Slots(slots)
    this.claims =
      this.window !== undefined && port.shared !== undefined
        ? new Claims(port.shared, this.window.oldest)
        : undefined
  }

  /** Whether an execution runs whose end still counts. */
  get hasRunning(): boolean {
    return this.places.values().some((execution) => execution.phase === 'running')
  }

  /** A cpu thread's job that it took last: it runs that one, whatever it has not reported yet. */
  get atWork(): Execution | undefined {
    if (this.window === undefined || this.claims === undefined) return undefined
    const taken = this.claims.takenSince(this.window.oldest)
    return taken === 0 ? undefined : this.window.find(this.window.oldest + taken - 1)
  }

  /**
   * The task because of which it crashed, if that is known: on a shared thread the one that said so, also when its job
   * has ended; on a cpu thread that of the job at work, unless an earlier one left behind what crashed it.
   */
  get suspect(): TaskRecord | undefined {
    if (this.window === undefined)
      return this.culprit === undefined ? undefined : this.places.taskOf(this.culprit)
    return (this.culprit === 0 ? undefined : this.atWork?.task) ?? this.#onlyTask
  }

  /** Whether what nobody caught in it was, or may have been, thrown by a task that is sensitive. */
  get mayTellSecrets(): boolean {
    const { suspect } = this
    if (suspect !== undefined) return suspect.policy.sensitive
    return !this.isUnused && this.introduced.some((task) => task?.policy.sensitive === true)
  }

  /** The one task whose jobs it was given: whichever of them is to blame, it is of this task. */
  get #onlyTask(): TaskRecord | undefined {
    const [task, ...others] = this.introduced.filter((one) => one !== undefined)
    return others.length === 0 ? task : undefined
  }

  /** Whether it has something to end when it is let go: its start, or a teardown(). */
  get endsSlowly(): boolean {
    return this.phase === 'starting' || this.hasTeardown
  }

  /** A cpu thread that was given jobs and has not taken the first. */
  get isUnused(): boolean {
    if (this.window === undefined || this.claims === undefined || this.isIdle) return false
    const { oldest } = this.window
    return oldest === firstToken && this.claims.takenSince(oldest) === 0
  }

  /** It has ended no job yet and has none: nothing but its modules can have left anything behind. */
  get isFresh(): boolean {
    return this.isIdle && !this.hasEnded
  }

  get isIdle(): boolean {
    return this.places.outstanding === 0
  }
}
