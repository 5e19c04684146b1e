/** What the model writes down of jobs, executions, threads and limits. */
import type { EventName } from '../../src/events/event-types.js'
import type { Job } from '../../src/defer/job-handle.js'
import type { JobState, SettledState } from '../../src/job/lifecycle.js'
import type { FakeThread } from './fake-thread.js'
import type { JobPlan, TaskPlan } from './plan.js'

export interface Exec {
  readonly thread: ModelThread
  token: number
  readonly job: ModelJob
  readonly limits: ModelLimit[]
  readonly startedAt: number
  /** Its handler has begun. */
  began: boolean
  /** Its handler is over, whether that was told or not. */
  isDone: boolean
  /** The scheduler knows that it has ended. */
  isOver: boolean
  wasSentAhead: boolean
  /** When the scheduler was seen to have given it up. */
  stoppedAt: number | undefined
}

export interface ModelThread {
  readonly fake: FakeThread
  isOpen: boolean
  isGone: boolean
  wasStopped: boolean
  /**
   * An execution on it outlived its grace: it takes nothing more. Perhaps, as long as the time it has to show that its loop
   * turns is not over.
   */
  isRetired: 'no' | 'perhaps' | 'surely'
  /** It got a job that must run alone and has not been empty since. */
  isKept: boolean
  /** When it last told that something had ended. */
  reportedAt: number
  /** What it holds, in the order sent. */
  execs: Exec[]
  /** When it was last asked whether its loop turns. */
  pingedAt: number
  /** Its loop did not turn when it was stopped, or nobody can tell. */
  mayHaveHung: boolean
  /** Its loop did not turn when it was stopped. */
  wasSpinning: boolean
  /** It was stopped because of one of its jobs while its loop did not turn, and another may have held it. */
  hadCompany: boolean
  /** What it held when it was stopped and exited, until the reason is told: whether those jobs must run alone. */
  untold: { job: ModelJob; generation: number; wasOver: boolean }[]
}

export interface ModelLimit {
  readonly name: string
  readonly concurrency: number
  readonly rate: { limit: number; per: number } | undefined
  running: Exec[]
  starts: number[]
  pausedUntil: number
}

export interface ModelJob {
  readonly seq: number
  readonly id: string
  readonly handle: Pick<Job, 'state'>
  readonly task: number
  readonly lane: TaskPlan['lane']
  wanted: JobPlan
  /** The number its payload has. */
  payload: number
  group: number
  priority: number
  acceptedAt: number
  /** On the monotonic clock. */
  runAt: number
  readyAt: number
  /** When it became ready cannot be told from outside. */
  isVague: boolean
  expiresAt: number
  state: JobState
  /** In which state it was last seen before it settled. */
  lastState: JobState
  /** Place in the line of its key; undefined while it has not joined. */
  rank: number | undefined
  isRankVague: boolean
  generation: number
  last: EventName | 'none'
  attempt: number
  repeats: boolean
  executions: number
  execs: Exec[]
  accepts: number
  settles: number
  /** Its thread crashed or hung with others on it and nobody could be blamed: it gets a thread to itself. */
  runsAlone: boolean
  outOfMemory: boolean
  /** The end of its current execution was heard, and has not been told as an event. */
  hasReported: boolean
  /** What its current execution was heard to say of progress, less what was told. */
  heardProgress: number
  /** It was snoozed or is to be retried, which its state has not shown yet. */
  isToWait: boolean
  isRestored: boolean
  /** When an execution of it last really ended; −1 before the first. */
  overAt: number
}

/** Whether it is final. */
export const isSettled = (state: JobState): state is SettledState =>
  state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'expired'

export interface Broken {
  invariant: string
  what: string
}
