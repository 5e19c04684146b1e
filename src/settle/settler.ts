/**
 * How an execution's end becomes the job's fate: outcome → verdict (decide.ts, pure) → state, then whoever waits.
 *
 * An execution can lose its token before it has really ended (timeout, cancel): the job's fate is decided then, but the
 * execution *lingers*. No new attempt starts, and the job's ordering key is not given on, until `lingeringEnded`.
 */
import { JobError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import { isSettled } from '../job/lifecycle.js'
import type { Outcome } from '../job/outcome.js'
import type { EncodedPayload } from '../job/payload.js'
import { serializeError, type SerializedError } from '../job/serialized-error.js'
import type { Queue } from '../queue/queue.js'
import type { World } from '../world.js'
import { decide, type Verdict } from './decide.js'

/** Told once per settled job: bounds, history, whoever waits for the job. */
export interface SettledListener {
  settled(job: Job): void
  /** A task's own backoff function misbehaved and the default was used. */
  backoffFault(job: Job, fault: SerializedError): void
  keyHalted(job: Job, key: string): void
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
    this.#apply(job, this.#verdict(job, outcome), now)
  }

  /** The token is taken away while the execution goes on. */
  endedEarly(job: Job, outcome: Outcome, now: number): void {
    job.token = 0
    job.more().isLingering = true
    this.#apply(job, this.#verdict(job, outcome), now)
  }

  /** An execution without a token has really ended. */
  lingeringEnded(job: Job, now: number): void {
    const { details } = job
    if (details === undefined || !details.isLingering) return
    details.isLingering = false
    if (isSettled(job.state)) this.#queue.leaveLine(job, now)
    else if (details.isDueAfterLingering) {
      details.isDueAfterLingering = false
      this.#queue.due(job, now)
    }
  }

  /** The agenda gave out a job whose time has come. */
  due(job: Job, now: number): void {
    if (job.details?.isLingering === true) job.details.isDueAfterLingering = true
    else this.#queue.due(job, now)
  }

  /** Cancels a job that waits. */
  cancelWaiting(job: Job, error: SerializedError, now: number): void {
    this.#takeFromQueue(job)
    this.#journal.cancel(job, error, now)
    this.#finish(job, now)
  }

  /** The job waited longer than it may. A running attempt goes on. */
  expireWaiting(job: Job, now: number): void {
    this.#takeFromQueue(job)
    this.#expire(job, now)
  }

  #takeFromQueue(job: Job): void {
    const { details } = job
    if (details?.isDueAfterLingering === true) details.isDueAfterLingering = false
    else this.#queue.take(job)
  }

  #verdict(job: Job, outcome: Outcome): Verdict {
    const { policy } = job.task
    const own = job.details?.policy
    return decide(outcome, {
      attempt: job.attempt,
      maxAttempts: own?.maxAttempts ?? policy.maxAttempts,
      retry: own?.retry ?? policy.retry,
      random: this.#world.random,
      ranOutOfMemoryBefore: job.details?.ranOutOfMemory ?? false,
    })
  }

  #apply(job: Job, verdict: Verdict, now: number): void {
    switch (verdict.kind) {
      case 'complete':
        this.#journal.complete(job, verdict.result, now)
        if (verdict.resultRefused !== undefined) job.more().resultRefused = verdict.resultRefused
        return this.#finish(job, now)
      case 'fail':
        this.#journal.fail(job, verdict.error, now)
        return this.#finishFailed(job, now)
      case 'retry':
        if (verdict.fault !== undefined) this.#listener.backoffFault(job, verdict.fault)
        if (verdict.isOutOfMemory) job.more().ranOutOfMemory = true
        return this.#retry(job, verdict.error, now + Math.ceil(verdict.delayMs), now)
      case 'snooze':
        return this.#snooze(job, now + Math.ceil(verdict.delayMs), now)
      case 'requeue':
        this.#journal.interrupt(job)
        return this.#hasExpired(job, now) ? this.#expire(job, now) : this.#queue.giveBack(job)
      case 'cancel':
        this.#journal.cancel(job, verdict.error, now)
        return this.#finish(job, now)
    }
  }

  #retry(job: Job, error: SerializedError, dueAt: number, now: number): void {
    this.#journal.retry(job, error, dueAt)
    if (this.#hasExpired(job, now)) this.#expire(job, now)
    else this.#queue.wait(job, dueAt)
  }

  #snooze(job: Job, dueAt: number, now: number): void {
    this.#journal.snooze(job, dueAt)
    if (this.#hasExpired(job, now)) this.#expire(job, now)
    else this.#queue.wait(job, dueAt)
  }

  #hasExpired(job: Job, now: number): boolean {
    return now >= (job.details?.expiresAt ?? Infinity)
  }

  #expire(job: Job, now: number): void {
    const error = new JobError('ERR_SIDEWORK_EXPIRED', 'The job expired before an attempt could start.', '')
    this.#journal.expire(job, { name: error.name, message: error.message, code: error.code }, now)
    this.#finish(job, now)
  }

  #finishFailed(job: Job, now: number): void {
    const key = job.details?.orderingKey
    if (key !== undefined && job.task.policy.onExhausted === 'halt') this.#listener.keyHalted(job, key)
    this.#finish(job, now)
  }

  #finish(job: Job, now: number): void {
    const { details } = job
    if (details !== undefined) {
      details.expiry?.disarm()
      details.expiry = undefined
      details.unlisten?.()
      details.unlisten = undefined
      if (!details.isLingering) this.#queue.leaveLine(job, now)
    }
    this.#listener.settled(job)
  }
}

/** An error as data, for verdicts the scheduler itself pronounces. */
export function verdictError(code: JobError['code'], message: string): SerializedError {
  return serializeError(Object.assign(new Error(message), { name: 'JobError', code, stack: undefined }))
}
