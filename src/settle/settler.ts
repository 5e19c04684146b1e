/**
 * How an execution's end becomes the job's fate: outcome → verdict (decide.ts, pure) → state, then whoever waits.
 *
 * An execution can lose its token before it has really ended (timeout, cancel): the job's fate is decided then, but the
 * execution *lingers*. No new attempt starts, and the job's ordering key is not given on, until `lingeringEnded`.
 *
 * A job that goes on is stored before the journal tells of it, since the user's logger hears of it then and may call back.
 */
import type { Job } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import { isSettled } from '../job/lifecycle.js'
import type { Outcome } from '../job/outcome.js'
import type { EncodedPayload } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Queue } from '../queue/queue.js'
import type { World } from '../world.js'
import { decide, type Verdict } from './decide.js'

/** Told once per settled job: bounds, history, whoever waits for the job. */
export interface SettledListener {
  settled(job: Job): void
  /** A task's own backoff function misbehaved and the default was used. */
  backoffFault(job: Job, fault: SerializedError): void
  resultRefused(job: Job, why: string): void
  keyHalted(job: Job, key: string): void
  /** A running job is neither running nor settled. */
  moved(): void
}

export class Settler {
  readonly #world: World
  readonly #journal: Journal
  readonly #queue: Queue
  readonly #listener: SettledListener

  constructor(world: World, journal: Journal, queue: Queue, listener: SettledListener) {
    this.#world = world
    this.#journal = journal
    this.#queue = queue
    this.#listener = listener
  }

  /** The usual end: the execution is over, the token was valid, the handler returned. */
  completed(job: Job, result: EncodedPayload, now: number): void {
    job.token = 0
    this.#journal.complete(job, result, now)
    this.#finish(job, now)
  }

  /** The execution is over and the token was valid. */
  ended(job: Job, outcome: Outcome, now: number): void {
    job.token = 0
    if (outcome.kind !== 'completed') this.#journal.endAttempt(job, outcome.kind, now)
    if (!this.#judge(job, outcome, now)) this.lingeringEnded(job, now)
  }

  /** The token is taken away while the execution goes on. */
  endedEarly(job: Job, outcome: Outcome, now: number): void {
    job.token = 0
    job.more().isLingering = true
    if (outcome.kind !== 'completed') this.#journal.endAttempt(job, outcome.kind, now)
    this.#judge(job, outcome, now)
  }

  /** An execution without a token has really ended. */
  lingeringEnded(job: Job, now: number): void {
    const { details } = job
    if (details === undefined || !details.isLingering) return
    details.isLingering = false
    this.#listener.moved()
    if (isSettled(job.state)) return this.#queue.leaveLine(job, now)
    // Debounced meanwhile, it joins its line anew; one that is retried keeps its place.
    if (job.state === 'scheduled') this.#queue.leaveLine(job, now)
    const next = details.afterLingering
    details.afterLingering = 'stay'
    switch (next) {
      case 'stay':
        return
      case 'go-on':
        // Ready: a halted head of a new generation, which stands at the head still.
        return job.state === 'ready' ? this.#queue.giveBack(job) : this.#queue.due(job, now)
      case 'join-again':
        this.#queue.leaveLine(job, now)
        return this.#queue.enterAgain(job)
    }
  }

  /** The agenda gave out a job whose time has come, perhaps late. */
  due(job: Job, now: number): void {
    const { details } = job
    if (details?.isLingering === true) details.afterLingering = 'go-on'
    else this.#queue.due(job, Math.min(now, details?.runAt ?? now))
  }

  /** Cancels a job that waits. */
  cancelWaiting(job: Job, error: SerializedError, now: number): void {
    this.#queue.take(job)
    this.#journal.cancel(job, error, now)
    this.#finish(job, now)
  }

  /** The job waited longer than it may. A running attempt goes on. */
  expireWaiting(job: Job, now: number): void {
    this.#queue.take(job)
    this.#expire(job, now)
  }

  /**
   * Decides and carries out. The task's backoff function is asked on the way and may call the scheduler: what it did to the
   * job stands.
   * @returns false when it cancelled the job
   */
  #judge(job: Job, outcome: Outcome, now: number): boolean {
    const generation = job.details?.generation ?? 1
    const verdict = this.#verdict(job, outcome, now)
    if (isSettled(job.state) || (job.details?.generation ?? 1) !== generation) return false
    this.#apply(job, verdict, now)
    return true
  }

  #verdict(job: Job, outcome: Outcome, now: number): Verdict {
    const { policy } = job.task
    const { details } = job
    const expiresAt = details?.expiresAt
    return decide(outcome, {
      attempt: job.attempt,
      maxAttempts: details?.policy?.maxAttempts ?? policy.maxAttempts,
      backoff: details?.policy?.backoff ?? policy.backoff,
      random: this.#world.random,
      outOfMemoryBefore: details?.ranOutOfMemory ?? false,
      ...(expiresAt === undefined ? undefined : { expiresInRemainingMs: expiresAt - now }),
    })
  }

  #apply(job: Job, verdict: Verdict, now: number): void {
    switch (verdict.kind) {
      case 'complete':
        this.#journal.complete(job, verdict.result, now)
        if (verdict.resultRefused !== undefined) {
          job.more().resultRefused = verdict.resultRefused
          this.#listener.resultRefused(job, verdict.resultRefused)
        }
        return this.#finish(job, now)
      case 'fail':
        this.#journal.fail(job, verdict.error, now)
        return this.#finishFailed(job, now)
      case 'retry':
        return this.#retry(job, verdict, now + Math.ceil(verdict.delayMs))
      case 'snooze':
        return this.#snooze(job, now + Math.ceil(verdict.delayMs))
      case 'requeue':
        this.#queue.giveBack(job)
        this.#journal.interrupt(job)
        return this.#listener.moved()
      case 'cancel':
        this.#journal.cancel(job, verdict.error, now)
        return this.#finish(job, now)
      case 'expire':
        return this.#expire(job, now, verdict.error)
    }
  }

  #retry(job: Job, verdict: Extract<Verdict, { kind: 'retry' }>, dueAt: number): void {
    if (verdict.error.code === 'ERR_SIDEWORK_OUT_OF_MEMORY') job.more().ranOutOfMemory = true
    job.more().runsAlone = false
    this.#queue.wait(job, dueAt)
    this.#journal.retry(job, verdict.error, dueAt)
    if (verdict.backoffFault !== undefined) this.#listener.backoffFault(job, verdict.backoffFault)
    this.#listener.moved()
  }

  #snooze(job: Job, dueAt: number): void {
    job.more().runsAlone = false
    this.#queue.wait(job, dueAt)
    this.#journal.snooze(job, dueAt)
    this.#listener.moved()
  }

  /** @param failure of the attempt that just ended, if it failed */
  #expire(job: Job, now: number, failure?: SerializedError): void {
    this.#journal.expire(job, expiredError, now, failure)
    this.#finish(job, now)
  }

  #finishFailed(job: Job, now: number): void {
    const key = job.details?.orderingKey
    if (key !== undefined && job.task.policy.onExhausted === 'halt') this.#listener.keyHalted(job, key)
    this.#finish(job, now)
  }

  #finish(job: Job, now: number): void {
    const { details, mainWork } = job
    if (mainWork !== undefined) mainWork.context = undefined // its stores, a request say, would be kept with the history
    if (details !== undefined) {
      details.expiry?.disarm()
      details.expiry = undefined
      details.runsAlone = false
      details.unlisten?.()
      details.unlisten = undefined
      if (!details.isLingering) this.#queue.leaveLine(job, now)
    }
    this.#listener.settled(job)
  }
}

const expiredError: SerializedError = Object.freeze({
  name: 'JobError',
  message: 'The job expired: its time to start was over before an attempt could succeed.',
  code: 'ERR_SIDEWORK_EXPIRED',
})
