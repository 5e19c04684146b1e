/**
 * Room 1: a defer becomes a job or an error, never half of one. Drafting (draft.ts) has refused whatever can be refused
 * by looking at the call; here the bounds are kept, duplicates meet the job that is there, and the job is stored.
 */
import { OptionError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { JobTable } from '../job/job-table.js'
import type { Journal } from '../job/journal.js'
import { encodedSizeBytes } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Agenda } from '../queue/agenda.js'
import type { Clock } from '../world.js'
import { AbortWatch } from './abort-watch.js'
import type { Standing } from './dedupe-index.js'
import { Duplicate, Duplicates, twinOf, type DuplicateRooms } from './duplicates.js'
import { Expiry } from './expiry.js'
import { compareLinePlaces } from './line-order.js'
import type { RestoredJob } from './restore.js'

/** The rooms an acceptance works with. */
export interface AcceptanceRooms extends DuplicateRooms {
  readonly clock: Clock
  readonly table: JobTable
  readonly journal: Journal
  readonly agenda: Agenda
  nextSeq(): number
  /** Asked once the user's code (getters, key functions, schemas) has run, which may have closed the scheduler. @throws ClosedError */
  refuseWhenClosed(): void
  /** A job that is unsettled or still kept. */
  find(id: string): Job | undefined
  /** Told when a waiting job's time is over. */
  expire(job: Job, now: number): void
  /** Told when the caller's signal aborts. */
  abort(job: Job, reason: unknown): void
  /** Settles a held job that turned out to be a duplicate, or was discarded. */
  cancelHeld(job: Job, error: SerializedError): void
  deduplicated(job: Job): void
}

export class Acceptance {
  readonly #rooms: AcceptanceRooms
  readonly #signals: AbortWatch
  readonly #expiry: Expiry
  readonly #duplicates: Duplicates

  constructor(rooms: AcceptanceRooms) {
    this.#rooms = rooms
    this.#expiry = new Expiry(rooms.agenda, (job, now) => rooms.expire(job, now))
    this.#duplicates = new Duplicates(rooms, this.#expiry)
    this.#signals = new AbortWatch((job, reason) => rooms.abort(job, reason))
  }

  /** @throws OptionError for an id in use, QueueFullError, ClosedError */
  accept(job: Job): Job | Duplicate {
    this.#duplicates.callBack(job, job.acceptedAt)
    this.#rooms.refuseWhenClosed()
    this.#checkId(job)
    const found = this.#duplicates.find(job, job.acceptedAt)
    // A duplicate takes no room.
    if (found === undefined || twinOf(job, found) === undefined)
      this.#rooms.admission.admit(1, encodedSizeBytes(job.payload))
    return this.#acceptBeside(found, job)
  }

  /** All of them, or none. @throws like `accept` */
  acceptAll(jobs: readonly Job[]): (Job | Duplicate)[] {
    for (const job of jobs) this.#duplicates.callBack(job, job.acceptedAt)
    this.admitAll(jobs, this.#duplicates.countOwn(jobs))
    return jobs.map((job) => {
      const found = this.#duplicates.find(job, job.acceptedAt)
      const isTwin = found !== undefined && twinOf(job, found) !== undefined
      if (isTwin) this.#rooms.admission.giveBackBytes(encodedSizeBytes(job.payload))
      return this.#acceptBeside(found, job)
    })
  }

  /**
   * Counts jobs in that will be entered, all of them or none.
   * @param count of those that take a place; the bytes of all are counted
   * @throws like `accept`
   */
  admitAll(jobs: readonly Job[], count = jobs.length): void {
    this.#rooms.refuseWhenClosed()
    const ids = new Set<string>()
    for (const job of jobs) {
      this.#checkId(job)
      const id = job.details?.wanted?.id
      if (id !== undefined && ids.has(id)) throw taken(id)
      if (id !== undefined) ids.add(id)
    }
    const bytes = jobs.reduce((sum, job) => sum + encodedSizeBytes(job.payload), 0)
    this.#rooms.admission.admit(count, bytes)
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
    this.#rooms.refuseWhenClosed()
    this.#checkId(job)
    this.#rooms.admission.admit(1, encodedSizeBytes(job.payload))
    job.state = 'held'
    this.#enter(job)
    this.#listen(job)
  }

  /** A job that is held, or a step that waits for others, goes on: its delay, its line and its expiry begin here. Never refused. */
  letGo(job: Job): void {
    const now = this.#rooms.clock.now()
    const { details } = job
    const delayMs = details?.wanted?.delayMs
    if (details !== undefined && delayMs !== undefined) details.runAt = now + delayMs
    if (details?.dedupe !== undefined && this.#meetHeld(job, now)) return
    this.#rooms.queue.enter(job, now)
    this.#expiry.arm(job, now)
  }

  /**
   * Jobs that another scheduler accepted and lost. All or nothing.
   * @param made told before they are stored: steps get their flows back
   * @throws OptionError, QueueFullError
   */
  readmit(restored: readonly RestoredJob[], now: number, made: (jobs: readonly Job[]) => void): Job[] {
    const { admission } = this.#rooms
    const jobs = restored.map((facts) => ({ ...facts, job: facts.make(this.#rooms.nextSeq()) }))
    // First: what threads say while they are called back has other jobs accepted.
    for (const { job } of jobs) this.#duplicates.reclaim(job, now)
    this.#rooms.refuseWhenClosed()
    const ids = new Set<string>()
    for (const { id } of restored) {
      if (this.#rooms.find(id) !== undefined || ids.has(id)) throw taken(id)
      ids.add(id)
    }
    const bytes = restored.reduce((sum, { payload }) => sum + encodedSizeBytes(payload), 0)
    admission.admit(restored.length, bytes)
    made(jobs.map(({ job }) => job))
    const followers = this.#duplicates.restore(jobs, now)
    const joining = jobs.flatMap((one) =>
      one.linePlace === undefined || followers.has(one) ? [] : { job: one.job, place: one.linePlace },
    )
    joining.sort((a, b) => compareLinePlaces(a.place, b.place))
    for (const { job } of joining) this.#rooms.queue.joinLine(job)
    for (const one of jobs) {
      const { id, job } = one
      if (followers.has(one) || job.details?.step?.isWaiting === true) {
        job.state = 'blocked'
        this.#enter(job, id)
      } else this.#place(job, now, id)
      this.#expiry.watch(job)
    }
    return jobs.map(({ job }) => job)
  }

  /** A new generation of a job is cancelled, as that before, when the signal of its defer aborts. */
  listenAgain(job: Job): void {
    // One that had aborted before was known to whoever retries the job.
    if (job.details?.wanted?.signal?.aborted === false) this.#listen(job)
  }

  /** A new generation of a job is due at once, and its time to start begins anew. */
  renew(job: Job, now: number): void {
    job.more().runAt = now
    this.#expiry.arm(job, now)
  }

  /** A settled job's follower in mode `last` may go on. */
  releaseFollower(follower: Job, now: number): void {
    if (follower.state === 'blocked') this.#rooms.queue.enter(follower, now)
  }

  /** There is room for the job, unless it is a duplicate. @param found who stands for its dedupe key */
  #acceptBeside(found: Standing | undefined, job: Job): Job | Duplicate {
    const now = job.acceptedAt
    if (found === undefined) {
      this.#rooms.dedupe.claim(job)
      this.#store(job, now)
      return job
    }
    const twin = twinOf(job, found)
    if (twin !== undefined) {
      this.#duplicates.giveTo(twin, job, now)
      this.#rooms.deduplicated(twin)
      return new Duplicate(twin)
    }
    this.#storeFollower(job)
    this.#expiry.arm(job, now)
    this.#listen(job)
    return job
  }

  /** A held job that finds another of its key is cancelled, or follows it. @returns whether it goes no further */
  #meetHeld(job: Job, now: number): boolean {
    const { dedupe, journal, table } = this.#rooms
    this.#duplicates.callBack(job, now)
    if (job.state !== 'held') return true // what threads had to say has ended it
    const found = this.#duplicates.find(job, now)
    if (found === undefined) {
      dedupe.claim(job)
      return false
    }
    const twin = twinOf(job, found)
    if (twin === undefined) {
      journal.block(job)
      dedupe.follow(job)
      this.#expiry.arm(job, now)
      return true
    }
    const message = `The job is a duplicate of job ${table.idOf(twin)}.`
    this.#rooms.cancelHeld(job, { name: 'JobError', message, code: 'ERR_SIDEWORK_DEDUPLICATED' })
    this.#duplicates.giveTo(twin, job, now) // its bytes are free, so there is room
    return true
  }

  #store(job: Job, now: number): void {
    this.#place(job, now)
    if (job.details?.wanted === undefined) return
    this.#expiry.arm(job, now)
    this.#listen(job)
  }

  #place(job: Job, now: number, id = job.details?.wanted?.id): void {
    const { journal, queue, table } = this.#rooms
    table.add(job)
    if (id !== undefined) table.addOwnId(job, id)
    if (job.details === undefined) queue.enterReady(job)
    else queue.place(job, now)
    journal.accept(job)
  }

  /** Mode `last`: the job starts after the one that stands for its key. */
  #storeFollower(job: Job): void {
    job.state = 'blocked'
    this.#enter(job)
    this.#rooms.dedupe.follow(job)
  }

  /** A job that begins in a state of its own. */
  #enter(job: Job, id = job.details?.wanted?.id): void {
    const { journal, table } = this.#rooms
    table.add(job)
    if (id !== undefined) table.addOwnId(job, id)
    journal.accept(job)
  }

  #listen(job: Job): void {
    const signal = job.details?.wanted?.signal
    if (signal === undefined) return
    if (signal.aborted) return this.#rooms.abort(job, signal.reason)
    job.more().unlisten = this.#signals.watch(job, signal)
  }

  #checkId(job: Job): void {
    const id = job.details?.wanted?.id
    if (id !== undefined && this.#rooms.find(id) !== undefined) throw taken(id)
  }
}

function taken(id: string): OptionError {
  return new OptionError(
    `A job with id '${id}' exists already. Give another id, or none.`,
    'ERR_SIDEWORK_ID_TAKEN',
  )
}
