/** Tells the outside what the journal wrote: events for who listens, log lines for who reads. Payloads never. */
import type { BatchCounts, FlowKind } from '../job/flow-step.js'
import type { Job } from '../job/job.js'
import type { SettledState } from '../job/lifecycle.js'
import type { Announcer } from '../job/journal.js'
import type { Progress } from '../job/snapshot.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Clock } from '../world.js'
import type { Emitter } from './emitter.js'
import type { JobEvent } from './event-types.js'
import type { LogBook } from './log-book.js'
import { toldError } from './shown.js'

export class Announcements implements Announcer {
  readonly #emitter: Emitter
  readonly #clock: Clock
  readonly #log: LogBook
  readonly #idOf: (job: Job) => string
  #isDebug = false
  /** When the logger was last asked for its level. */
  #askedAt = -1

  constructor(emitter: Emitter, clock: Clock, log: LogBook, idOf: (job: Job) => string) {
    this.#emitter = emitter
    this.#clock = clock
    this.#log = log
    this.#idOf = idOf
  }

  accepted(job: Job): void {
    if (this.#emitter.wants.accepted) this.#emitter.emit('accepted', this.#event(job))
  }

  started(job: Job): void {
    if (this.#emitter.wants.started) this.#emitter.emit('started', this.#event(job))
    if (this.#writesDebug(job.startedAt)) {
      this.#log.aboutJob('debug', job, 'job started', { waitMs: job.startedAt - job.readyAt })
    }
  }

  progress(job: Job, value: Progress): void {
    if (this.#emitter.wants.progress) this.#emitter.emit('progress', { ...this.#event(job), value })
  }

  completed(job: Job): void {
    const durationMs = job.endedAt - job.startedAt
    if (this.#emitter.wants.completed) this.#emitter.emit('completed', { ...this.#event(job), durationMs })
    if (this.#writesDebug(job.endedAt)) this.#log.aboutJob('debug', job, 'job completed', { durationMs })
  }

  retrying(job: Job, error: SerializedError, dueAt: number): void {
    if (this.#emitter.wants.retrying) {
      const told = toldError(job.task.policy.sensitive, error)
      this.#emitter.emit('retrying', { ...this.#event(job), error: told, runAt: this.#clock.wallAt(dueAt) })
    }
    if (this.#log.logger === undefined) return
    const now = this.#clock.now()
    const times = { durationMs: now - job.startedAt, inMs: dueAt - now }
    this.#log.aboutError('warn', job, 'job failed an attempt; it will be retried', error, times)
  }

  snoozed(job: Job, dueAt: number): void {
    if (this.#emitter.wants.snoozed) {
      this.#emitter.emit('snoozed', { ...this.#event(job), runAt: this.#clock.wallAt(dueAt) })
    }
    const now = this.#clock.now()
    if (this.#writesDebug(now)) this.#log.aboutJob('debug', job, 'job snoozed', { inMs: dueAt - now })
  }

  deduplicated(job: Job): void {
    if (this.#emitter.wants.deduplicated) this.#emitter.emit('deduplicated', this.#event(job))
  }

  interrupted(job: Job): void {
    if (this.#emitter.wants.interrupted) this.#emitter.emit('interrupted', this.#event(job))
    this.#log.interrupted(job)
  }

  failed(job: Job, error: SerializedError): void {
    if (this.#emitter.wants.failed) {
      const told = toldError(job.task.policy.sensitive, error)
      this.#emitter.emit('failed', { ...this.#event(job), error: told })
    }
    const durationMs = job.endedAt - job.startedAt
    this.#log.aboutError('error', job, 'job failed for good', error, { durationMs })
  }

  cancelled(job: Job, error: SerializedError): void {
    if (this.#emitter.wants.cancelled) this.#emitter.emit('cancelled', { ...this.#event(job), error })
    if (this.#writesDebug(job.endedAt)) this.#log.aboutJob('debug', job, 'job cancelled')
  }

  expired(job: Job, failure: SerializedError | undefined): void {
    if (this.#emitter.wants.expired) this.#emitter.emit('expired', this.#event(job))
    const message = 'job expired before its next attempt could start'
    if (failure === undefined) return this.#log.aboutJob('warn', job, message)
    // No other line tells it: it was not retried, and did not fail for good.
    this.#log.aboutError('warn', job, message, failure, { durationMs: job.endedAt - job.startedAt })
  }

  get wantsFlowProgress(): boolean {
    return this.#emitter.wants['flow:progress']
  }

  flowProgressed(id: string, kind: FlowKind, counts: BatchCounts): void {
    this.#emitter.emit('flow:progress', { id, kind, ...counts, at: this.#clock.wall() })
  }

  /**
   * @param end `reason`: why it ended before its steps had, if it did
   * @param error why it did not complete, as it may be told
   */
  flowSettled(
    id: string,
    kind: FlowKind,
    counts: BatchCounts,
    end: { state: SettledState; durationMs: number; ref?: string; task?: string; reason: string | undefined },
    error: SerializedError | undefined,
  ): void {
    const { state, durationMs } = end
    if (this.#emitter.wants['flow:settled']) {
      const why = error === undefined ? undefined : { error }
      const at = this.#clock.wall()
      this.#emitter.emit('flow:settled', { id, kind, ...counts, state, durationMs, ...why, at })
    }
    if (state !== 'completed' || this.#writesDebug(this.#clock.now()))
      this.#log.flowSettled({ flow: id, kind, ...counts, ...end })
  }

  /** Follows the logger's level, but asks for it once per ms: asking costs as much as the rest of a short job's telling. */
  #writesDebug(now: number): boolean {
    if (now !== this.#askedAt) {
      this.#askedAt = now
      this.#isDebug = this.#log.logger?.isLevelEnabled('debug') ?? false
    }
    return this.#isDebug
  }

  #event(job: Job): JobEvent {
    return { id: this.#idOf(job), task: job.task.name, attempt: job.attempt, at: this.#clock.wall() }
  }
}
