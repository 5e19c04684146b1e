/**
 * A newcomer meets the job that stands for its dedupe key.
 *
 *      'first': it is a duplicate of that job, which stays as it is
 *      'last':  it is a duplicate of that job while it has not started (debounce: the job takes the newcomer's payload and
 *               waits anew); else of its follower, and if there is none, it becomes the follower
 */
import type { Job } from '../job/job.js'
import { isSettled } from '../job/lifecycle.js'
import type { Journal } from '../job/journal.js'
import type { Queue } from '../queue/queue.js'
import type { Admission } from './admission.js'
import { dedupeNameOf, type DedupeIndex, type Standing } from './dedupe-index.js'
import type { Expiry } from './expiry.js'

/** The rooms they need. */
export interface DuplicateRooms {
  readonly journal: Journal
  readonly queue: Queue
  readonly admission: Admission
  readonly dedupe: DedupeIndex
  /** Takes a job back from a thread that was sent it ahead of time. @returns false when it is running */
  reclaim(job: Job): boolean
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

export class Duplicates {
  readonly #rooms: DuplicateRooms
  readonly #expiry: Expiry

  constructor(rooms: DuplicateRooms, expiry: Expiry) {
    this.#rooms = rooms
    this.#expiry = expiry
  }

  /** Who stands for the newcomer's key. */
  find(newcomer: Job, now: number): Standing | undefined {
    if (newcomer.details?.dedupe === undefined) return undefined
    const found = this.#rooms.dedupe.find(newcomer, now)
    // In mode `last` the newcomer's payload is to run: one that has completed, and is kept by its ttl, cannot take it.
    const isOver = isLast(newcomer) && found !== undefined && isSettled(found.job.state)
    return isOver ? undefined : found
  }

  /** How many of the newcomers become jobs of their own: the others are duplicates of one that is there, or of one before them. */
  countOwn(newcomers: readonly Job[]): number {
    const claimed = new Set<string>()
    return newcomers.filter((newcomer) => {
      const name = dedupeNameOf(newcomer)
      if (name === undefined) return true
      const found = this.find(newcomer, newcomer.acceptedAt)
      if (claimed.has(name) || (found !== undefined && twinOf(newcomer, found) !== undefined)) return false
      // One that is cancelled at once frees its key.
      if (newcomer.details?.wanted?.signal?.aborted !== true) claimed.add(name)
      return true
    }).length
  }

  /**
   * In mode `last`, before anything is decided about the newcomer: whether the job of its key has started is known only once
   * the reports that wait have been read. That has jobs accepted and settled, and user code called.
   */
  callBack(newcomer: Job, now: number): void {
    if (isLast(newcomer)) this.reclaim(newcomer, now)
  }

  /** Makes sure that the job that stands for the newcomer's key is with no thread, unless it is running. */
  reclaim(newcomer: Job, now: number): void {
    const found = this.#rooms.dedupe.find(newcomer, now)
    if (found !== undefined) this.#rooms.reclaim(found.job)
  }

  /**
   * Restored jobs take their part in dedupe. Those of one key can all be lost: one stands for the key, one follows, the
   * others run as they are. So does one whose key belongs to a job that has completed since: nothing follows what is over.
   * @returns those that follow
   */
  restore<R extends { readonly job: Job; readonly dedupeRank: number }>(
    jobs: readonly R[],
    now: number,
  ): Set<R> {
    const { dedupe } = this.#rooms
    const own = new Set(jobs.map(({ job }) => job))
    const followers = new Set<R>()
    for (const one of [...jobs].sort((a, b) => a.dedupeRank - b.dedupeRank)) {
      const { job } = one
      const found = dedupe.find(job, now)
      if (found === undefined) dedupe.claim(job)
      else if (found.follower !== undefined || isSettled(found.job.state)) job.more().dedupe = undefined
      else if (!own.has(found.job) && this.#givesWay(found.job, now)) {
        dedupe.claim(job)
        dedupe.follow(found.job)
      } else {
        dedupe.follow(job)
        followers.add(one)
      }
    }
    return followers
  }

  /** A job that was accepted since waits for the lost one, so that the latest payload comes last. @returns false once it has started */
  #givesWay(job: Job, now: number): boolean {
    const { journal, queue } = this.#rooms
    if (hasStarted(job) || job.details?.isLingering === true) return false
    queue.take(job)
    queue.leaveLine(job, now)
    if (job.state !== 'blocked') journal.block(job)
    return true
  }

  /** The newcomer is a duplicate of `twin`: in mode `last` it gives it what it brings. */
  giveTo(twin: Job, newcomer: Job, now: number): void {
    if (isLast(newcomer)) this.#debounce(twin, newcomer, now)
  }

  /** The job takes the newcomer's payload and starts its delay again. */
  #debounce(job: Job, newcomer: Job, now: number): void {
    const { admission, queue } = this.#rooms
    admission.swap(job.payload, newcomer.payload)
    job.payload = newcomer.payload
    // What a closure is given it has closed over; and a payload is worked on in the context that it came from.
    if (newcomer.mainWork !== undefined) job.mainWork = newcomer.mainWork
    queue.setLimitKeys(job, newcomer.details?.limitKeys)
    queue.setOrderingKey(job, newcomer.details?.orderingKey, now)
    const { runAt = isDueAtOnce(newcomer) ? now : undefined } = newcomer.details ?? {}
    if (runAt === undefined) return
    queue.postpone(job, runAt, now)
    if (runAt <= now) this.#rooms.hurry(job)
    this.#expiry.arm(job, now)
  }
}

/** Whom the newcomer is a duplicate of; undefined when it is to follow the job that is there. */
export function twinOf(newcomer: Job, { job, follower }: Standing): Job | undefined {
  return isLast(newcomer) && hasStarted(job) ? follower : job
}

function isLast({ details }: Job): boolean {
  return details?.dedupe?.mode === 'last'
}

/** Whether an attempt of it has begun, or a thread has it. */
export function hasStarted(job: Job): boolean {
  return job.attempt > 0 || job.token !== 0
}

/** It was given a delay of 0 or an instant that is over, which leaves none to wait for. */
function isDueAtOnce({ details }: Job): boolean {
  return details?.wanted?.delayMs === 0
}
