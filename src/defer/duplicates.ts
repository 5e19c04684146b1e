/**
 * A newcomer meets the job that stands for its dedupe key.
 *
 *      'first': it is a duplicate of that job, which stays as it is
 *      'last':  it is a duplicate of that job while it has not started (debounce: the job takes the newcomer's payload and
 *               waits anew); else of its follower, and if there is none, it becomes the follower
 */
import type { Job } from '../job/job.js'
import { isSettled } from '../job/lifecycle.js'
import type { Queue } from '../queue/queue.js'
import type { Admission } from './admission.js'
import type { DedupeIndex, Standing } from './dedupe-index.js'
import type { Expiry } from './expiry.js'

/** The rooms they need. */
export interface DuplicateRooms {
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

  /** Who stands for the newcomer's key. In mode `last`, once the reports that wait have been read. */
  find(newcomer: Job, now: number): Standing | undefined {
    const { dedupe } = this.#rooms
    const found = dedupe.find(newcomer, now)
    if (found === undefined || newcomer.details?.dedupe?.mode !== 'last') return found
    this.#rooms.reclaim(found.job)
    return dedupe.find(newcomer, now)
  }

  /** The newcomer is a duplicate of `twin`: in mode `last` it gives it what it brings. */
  giveTo(twin: Job, newcomer: Job, now: number): void {
    if (newcomer.details?.dedupe?.mode === 'last' && !isSettled(twin.state))
      this.#debounce(twin, newcomer, now)
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
  // A settled one is kept by its ttl.
  if (newcomer.details?.dedupe?.mode !== 'last' || isSettled(job.state)) return job
  const hasStarted = job.attempt > 0 || job.token !== 0
  return hasStarted ? follower : job
}

/** It was given a delay of 0 or an instant that is over, which leaves none to wait for. */
function isDueAtOnce({ details }: Job): boolean {
  return details?.wanted?.delayMs === 0
}
