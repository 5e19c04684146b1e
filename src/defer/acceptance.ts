/**
 * Room 1: a defer becomes a job or an error, never half of one. Drafting (draft.ts) has refused whatever can be refused
 * by looking at the call; here the bounds are kept, duplicates meet the job that is there, and the job is stored.
 */
import { OptionError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { JobTable } from '../job/job-table.js'
import type { Journal } from '../job/journal.js'
import { isSettled } from '../job/lifecycle.js'
import { encodedSizeBytes } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Agenda } from '../queue/agenda.js'
import type { Queue } from '../queue/queue.js'
import type { Clock } from '../world.js'
import { AbortWatch } from './abort-watch.js'
import type { Admission } from './admission.js'
import type { DedupeIndex, Standing } from './dedupe-index.js'
import type { RestoredJob } from './restore.js'

/** The rooms an acceptance works with. */
export interface AcceptanceRooms {
  readonly clock: Clock
  readonly table: JobTable
  readonly journal: Journal
  readonly queue: Queue
  readonly agenda: Agenda
  readonly admission: Admission
  readonly dedupe: DedupeIndex
  nextSeq(): number
  /** Told when a waiting job's time is over. */
  expire(job: Job, now: number): void
  /** Told when the caller's signal aborts. */
  abort(job: Job, reason: unknown): void
  /** Settles a held job that turned out to be a duplicate, or was discarded. */
  cancelHeld(job: Job, error: SerializedError): void
  /** Takes a job back from a thread that was sent it ahead of time. @returns false when it is running */
  reclaim(job: Job): boolean
  deduplicated(job: Job): void
  /** A job that waits for its time is due. */
  hurry(job: Job): void
}

/** The answer to a defer that found its job already there. */
export class Duplicate {
  readonly of: Job
  constructor(of: Job) {
    this.of = of
  }
}

export class Acceptance {
  readonly #rooms: AcceptanceRooms
  readonly #signals: AbortWatch

  constructor(rooms: AcceptanceRooms) {
    this.#rooms = rooms
    this.#signals = new AbortWatch((job, reason) => rooms.abort(job, reason))
  }

  /** @throws OptionError for an id in use, QueueFullError */
  accept(job: Job): Job | Duplicate {
    this.#checkId(job)
    if (job.details?.dedupe !== undefined) return this.#acceptDeduplicated(job)
    this.#rooms.admission.admit(1, encodedSizeBytes(job.payload))
    this.#store(job, job.acceptedAt)
    return job
  }

  /** All of them, or none. @throws OptionError, QueueFullError */
  acceptAll(jobs: readonly Job[]): (Job | Duplicate)[] {
    const { admission } = this.#rooms
    this.admitAll(jobs)
    return jobs.map((job) => {
      // There is room for all: each is counted again by itself, since a duplicate takes none.
      admission.withdraw(job.payload)
      return this.accept(job)
    })
  }

  /** Counts jobs in that will be entered, all of them or none. @throws OptionError, QueueFullError */
  admitAll(jobs: readonly Job[]): void {
    const ids = new Set<string>()
    for (const job of jobs) {
      this.#checkId(job)
      const id = job.details?.wanted?.id
      if (id !== undefined && ids.has(id)) throw taken(id)
      if (id !== undefined) ids.add(id)
    }
    const bytes = jobs.reduce((sum, job) => sum + encodedSizeBytes(job.payload), 0)
    this.#rooms.admission.admit(jobs.length, bytes)
  }

  /** Stores a step of a flow, which was counted in; one that waits is let go later. */
  enter(job: Job, waits: 'held' | 'blocked' | undefined): void {
    if (waits === undefined) return this.#store(job, job.acceptedAt)
    job.state = waits
    this.#enter(job)
    this.#listen(job)
  }

  /** The job waits for `release` or `discard`. It counts from here on. @throws like `accept` */
  hold(job: Job): void {
    this.#checkId(job)
    this.#rooms.admission.admit(1, encodedSizeBytes(job.payload))
    job.state = 'held'
    this.#enter(job)
    this.#listen(job)
  }

  /** A held job goes on: its delay, its line and its expiry begin here. Never refused. */
  release(job: Job): void {
    if (job.state === 'held') this.letGo(job)
  }

  /** A job that was held, or a step that waited for others, goes on. */
  letGo(job: Job): void {
    const now = this.#rooms.clock.now()
    const { details } = job
    const delayMs = details?.wanted?.delayMs
    if (details !== undefined && delayMs !== undefined) details.runAt = now + delayMs
    if (details?.dedupe !== undefined && this.#meetHeld(job, now)) return
    this.#rooms.queue.enter(job, now)
    this.#armExpiry(job, now)
  }

  /**
   * Jobs that another scheduler accepted and lost. All or nothing.
   * @param made told before they are stored: steps get their flows back
   * @throws OptionError, QueueFullError
   */
  readmit(restored: readonly RestoredJob[], now: number, made: (jobs: readonly Job[]) => void): Job[] {
    const { admission, table, dedupe } = this.#rooms
    const ids = new Set<string>()
    for (const { id } of restored) {
      if (table.find(id) !== undefined || ids.has(id)) throw taken(id)
      ids.add(id)
    }
    const bytes = restored.reduce((sum, { payload }) => sum + encodedSizeBytes(payload), 0)
    admission.admit(restored.length, bytes)
    const jobs = restored.map((facts) => ({ ...facts, job: facts.make(this.#rooms.nextSeq()) }))
    made(jobs.map(({ job }) => job))
    // A line is joined in the order of its jobs' due times, but nothing goes before a head that is being retried.
    const standing = jobs.filter(({ lineRank }) => lineRank !== undefined)
    standing.sort((a, b) => (a.lineRank ?? 0) - (b.lineRank ?? 0) || a.runAt - b.runAt)
    for (const { job } of standing) this.#rooms.queue.joinLine(job)
    for (const { id, job } of jobs) {
      const found = dedupe.find(job, now)
      // Held jobs of one key can all be lost: one stands for the key, one follows, the others run as they are.
      if (found?.follower !== undefined) job.more().dedupe = undefined
      if (found !== undefined && found.follower === undefined) this.#storeFollower(job, id)
      else if (job.details?.step?.isWaiting === true) {
        job.state = 'blocked'
        this.#enter(job, id)
      } else {
        dedupe.claim(job)
        this.#store(job, now, id)
      }
      this.#watchExpiry(job)
    }
    return jobs.map(({ job }) => job)
  }

  /** A new generation of a job is due at once, and its time to start begins anew. */
  renew(job: Job, now: number): void {
    job.more().runAt = now
    this.#armExpiry(job, now)
  }

  /** A settled job's follower in mode `last` may go on. */
  releaseFollower(follower: Job, now: number): void {
    if (follower.state === 'blocked') this.#rooms.queue.enter(follower, now)
  }

  #acceptDeduplicated(job: Job): Job | Duplicate {
    const { admission, dedupe } = this.#rooms
    const now = job.acceptedAt
    const found = this.#find(job, now)
    const twin = found === undefined ? undefined : twinOf(job, found)
    if (twin !== undefined) {
      this.#takeOver(twin, job, now)
      this.#rooms.deduplicated(twin)
      return new Duplicate(twin)
    }
    admission.admit(1, encodedSizeBytes(job.payload))
    if (found === undefined) {
      dedupe.claim(job)
      this.#store(job, now)
    } else {
      this.#storeFollower(job)
      this.#armExpiry(job, now)
      this.#listen(job)
    }
    return job
  }

  /** Who stands for the newcomer's key. In mode `last`, once the reports that wait have been read. */
  #find(newcomer: Job, now: number): Standing | undefined {
    const { dedupe } = this.#rooms
    const found = dedupe.find(newcomer, now)
    if (found === undefined || newcomer.details?.dedupe?.mode !== 'last') return found
    this.#rooms.reclaim(found.job)
    return dedupe.find(newcomer, now)
  }

  /** A held job that finds another of its key is cancelled, or follows it. @returns whether it found one */
  #meetHeld(job: Job, now: number): boolean {
    const { dedupe, journal, table } = this.#rooms
    const found = this.#find(job, now)
    if (found === undefined) {
      dedupe.claim(job)
      return false
    }
    const twin = twinOf(job, found)
    if (twin === undefined) {
      journal.block(job)
      dedupe.follow(job)
      this.#armExpiry(job, now)
      return true
    }
    const message = `The job is a duplicate of job ${table.idOf(twin)}.`
    this.#rooms.cancelHeld(job, { name: 'JobError', message, code: 'ERR_SIDEWORK_DEDUPLICATED' })
    this.#takeOver(twin, job, now) // its bytes are free, so there is room
    return true
  }

  #takeOver(twin: Job, newcomer: Job, now: number): void {
    if (newcomer.details?.dedupe?.mode === 'last' && !isSettled(twin.state))
      this.#replace(twin, newcomer, now)
  }

  /** Debounce: the job takes the newcomer's payload and starts its delay again. */
  #replace(job: Job, newcomer: Job, now: number): void {
    this.#rooms.admission.swap(job.payload, newcomer.payload)
    job.payload = newcomer.payload
    this.#rooms.queue.setLimitKeys(job, newcomer.details?.limitKeys)
    const { runAt = isDueAtOnce(newcomer) ? now : undefined } = newcomer.details ?? {}
    if (runAt === undefined) return
    this.#rooms.queue.postpone(job, runAt, now)
    if (runAt <= now) this.#rooms.hurry(job)
    this.#armExpiry(job, now)
  }

  #store(job: Job, now: number, id?: string): void {
    const { journal, queue, table } = this.#rooms
    table.add(job)
    const ownId = id ?? job.details?.wanted?.id
    if (ownId !== undefined) table.addOwnId(job, ownId)
    if (job.details === undefined) queue.enterReady(job)
    else queue.place(job, now)
    journal.accept(job)
    if (job.details?.wanted === undefined) return
    this.#armExpiry(job, now)
    this.#listen(job)
  }

  /** Mode `last`: the job starts after the one that stands for its key. */
  #storeFollower(job: Job, id?: string): void {
    job.state = 'blocked'
    this.#enter(job, id)
    this.#rooms.dedupe.follow(job)
  }

  /** A job that begins in a state of its own. */
  #enter(job: Job, id = job.details?.wanted?.id): void {
    const { journal, table } = this.#rooms
    table.add(job)
    if (id !== undefined) table.addOwnId(job, id)
    journal.accept(job)
  }

  #armExpiry(job: Job, now: number): void {
    const { details } = job
    if (details === undefined) return
    // A job that was restored has its task's.
    const expiresInMs = details.wanted?.expiresInMs ?? job.task.policy.expiresInMs
    details.expiresAt =
      expiresInMs === Infinity ? undefined : Math.max(details.runAt ?? now, now) + Math.ceil(expiresInMs)
    this.#watchExpiry(job)
  }

  #watchExpiry(job: Job): void {
    const { details } = job
    if (details?.expiresAt === undefined) return
    details.expiry?.disarm()
    details.expiry = this.#rooms.agenda.alarm(details.expiresAt, (at) => this.#rooms.expire(job, at))
  }

  #listen(job: Job): void {
    const signal = job.details?.wanted?.signal
    if (signal === undefined) return
    if (signal.aborted) return this.#rooms.abort(job, signal.reason)
    job.more().unlisten = this.#signals.watch(job, signal)
  }

  #checkId(job: Job): void {
    const id = job.details?.wanted?.id
    if (id !== undefined && this.#rooms.table.find(id) !== undefined) throw taken(id)
  }
}

/** Whom the newcomer is a duplicate of; undefined when it is to follow the job that is there. */
function twinOf(newcomer: Job, { job, follower }: Standing): Job | undefined {
  // A settled one is kept by its ttl.
  if (newcomer.details?.dedupe?.mode !== 'last' || isSettled(job.state)) return job
  const hasStarted = job.attempt > 0 || job.token !== 0
  return hasStarted ? follower : job
}

/** It was given a delay of 0, which leaves no instant to wait for. */
function isDueAtOnce({ details }: Job): boolean {
  return details?.wanted?.delayMs === 0
}

function taken(id: string): OptionError {
  return new OptionError(
    `A job with id '${id}' exists already. Give another id, or none.`,
    'ERR_SIDEWORK_ID_TAKEN',
  )
}
