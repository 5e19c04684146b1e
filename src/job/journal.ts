/**
 * The one writer of a job's state. Every transition of lifecycle.ts is a method here, and each does the same three
 * things in the same order: the job's state, the counts, the telling.
 */
import type { Job } from './job.js'
import type { JobState, SettledState } from './lifecycle.js'
import { isSettled, transitions } from './lifecycle.js'
import type { EncodedPayload } from './payload.js'
import { isSameError, type SerializedError } from './serialized-error.js'
import { zeroCounts } from './task-record.js'
import type { UnhappyEnd } from './task-tally.js'
import type { Clock } from '../world.js'

/** Whoever tells the outside: events and log lines. Called after the fact is written. */
export interface Announcer {
  accepted(job: Job): void
  started(job: Job): void
  completed(job: Job): void
  retrying(job: Job, error: SerializedError, dueAt: number): void
  snoozed(job: Job, dueAt: number): void
  interrupted(job: Job): void
  failed(job: Job, error: SerializedError): void
  cancelled(job: Job, error: SerializedError): void
  /** @param failure of the attempt that ended just before, if that is why it would have to run again */
  expired(job: Job, failure: SerializedError | undefined): void
  deduplicated(job: Job): void
}

/** A job's last so many failures are kept. */
export const keptErrors = 20

export class Journal {
  /** Jobs per state; settled states count up for ever. */
  readonly counts = zeroCounts()
  /** Jobs accepted, in all generations. */
  accepted = 0
  /** Whether durations are tallied: switched on by whoever wants to see them. */
  isMeasuring = false
  readonly #tell: Announcer
  readonly #clock: Clock

  constructor(tell: Announcer, clock: Clock) {
    this.#tell = tell
    this.#clock = clock
  }

  /** Jobs that are not settled. */
  get unsettled(): number {
    const { counts } = this
    return counts.held + counts.scheduled + counts.blocked + counts.ready + counts.running + counts.retrying
  }

  /** A new job, in the state it begins with. */
  accept(job: Job): void {
    this.accepted++
    this.counts[job.state]++
    job.task.counts[job.state]++
    this.#tell.accepted(job)
  }

  /** Its time has come, its key is free, or (from running) its thread was lost and it is given back. */
  ready(job: Job): void {
    this.#move(job, 'ready')
  }

  /** It waits for its ordering key. */
  block(job: Job): void {
    this.#move(job, 'blocked')
  }

  schedule(job: Job): void {
    this.#move(job, 'scheduled')
  }

  /** A place is given to it: an attempt is charged, unless this execution repeats one that was. */
  start(job: Job, now: number): void {
    if (job.state !== 'ready') throw impossible(job, 'running')
    const { counts } = this
    counts.ready--
    counts.running++
    job.task.counts.ready--
    job.task.counts.running++
    job.state = 'running'
    job.startedAt = now
    if (job.details?.isAttemptCharged === true) job.details.isAttemptCharged = false
    else job.attempt++
    if (this.isMeasuring) job.task.tally.waits.add(now - job.readyAt)
    this.#tell.started(job)
  }

  complete(job: Job, result: EncodedPayload, now: number): void {
    if (job.state !== 'running') throw impossible(job, 'completed')
    const { counts } = this
    counts.running--
    counts.completed++
    job.task.counts.running--
    job.task.counts.completed++
    job.state = 'completed'
    job.endedAt = now
    if (job.details !== undefined) job.details.error = undefined // of attempts before: `errors` keeps them
    if (result !== undefined) job.more().result = result
    if (this.isMeasuring) job.task.tally.runs.add(now - job.startedAt)
    this.#tell.completed(job)
  }

  /** A running attempt ended otherwise than well. What becomes of its job is told by the method that follows. */
  endAttempt(job: Job, end: UnhappyEnd, now: number): void {
    const { tally } = job.task
    tally.attempts[end]++
    if (this.isMeasuring) tally.runs.add(now - job.startedAt)
  }

  /** A defer found this job already there. */
  deduplicate(job: Job): void {
    job.task.tally.deduplicated++
    this.#tell.deduplicated(job)
  }

  retry(job: Job, error: SerializedError, dueAt: number): void {
    this.#recordFailure(job, error)
    this.#move(job, 'retrying')
    job.task.tally.retried++
    this.#tell.retrying(job, error, dueAt)
  }

  snooze(job: Job, dueAt: number): void {
    job.more().isAttemptCharged = true
    this.#move(job, 'scheduled')
    this.#tell.snoozed(job, dueAt)
  }

  /** The execution ended through no fault of the job: it is ready again as if it had never started. */
  interrupt(job: Job): void {
    job.more().isAttemptCharged = true
    this.#move(job, 'ready')
    this.#tell.interrupted(job)
  }

  fail(job: Job, error: SerializedError, now: number): void {
    this.#recordFailure(job, error)
    this.#settle(job, 'failed', now)
    this.#tell.failed(job, error)
  }

  cancel(job: Job, error: SerializedError, now: number): void {
    job.more().error = error
    this.#settle(job, 'cancelled', now)
    this.#tell.cancelled(job, error)
  }

  /** @param failure of the attempt that just ended, if it failed */
  expire(job: Job, error: SerializedError, now: number, failure?: SerializedError): void {
    if (failure !== undefined) this.#recordFailure(job, failure)
    job.more().error = error
    this.#settle(job, 'expired', now)
    this.#tell.expired(job, failure)
  }

  /** A settled job begins its next generation; its history stays. */
  revive(job: Job): void {
    const details = job.more()
    details.generation++
    details.error = undefined
    details.progress = undefined
    details.isAttemptCharged = false
    details.ranOutOfMemory = false
    job.attempt = 0
    job.startedAt = -1
    job.endedAt = -1
    this.accepted++
    // The settled generation stays counted; the new one is one more job.
    job.state = 'ready'
    this.counts.ready++
    job.task.counts.ready++
    this.#tell.accepted(job)
  }

  #settle(job: Job, state: SettledState, now: number): void {
    job.endedAt = now
    this.#move(job, state)
  }

  #move(job: Job, to: JobState): void {
    const from = job.state
    if (isSettled(from) || !transitions[from].includes(to)) throw impossible(job, to)
    this.counts[from]--
    this.counts[to]++
    job.task.counts[from]--
    job.task.counts[to]++
    job.state = to
  }

  /** Keeps the failure of the attempt that just ended. */
  #recordFailure(job: Job, error: SerializedError): void {
    const details = job.more()
    // Most attempts fail as the one before did: that is kept once.
    const before = details.errors.at(-1)?.error
    const kept = before !== undefined && isSameError(before, error) ? before : error
    details.error = kept
    const at = this.#clock.wall()
    const failure = Object.freeze({ attempt: job.attempt, at, error: kept })
    details.errors = Object.freeze([...details.errors, failure].slice(-keptErrors))
  }
}

/** A transition that lifecycle.ts does not have. The callers' checks exclude it; done, it would falsify the counts. */
function impossible({ state }: Job, to: JobState): Error {
  return new Error(`A ${state} job cannot become ${to}. This is a bug in sidework: please report it.`)
}
