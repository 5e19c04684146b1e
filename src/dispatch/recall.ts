/**
 * Takes back jobs that were sent to a cpu thread before their turn: because somebody wants one of them, nothing may
 * start any more, or they wait behind a job that turned out long. The thread is not asked (threads/claims.ts).
 */
import { giveBackLimits, type Job } from '../job/job.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { Crew } from './crew.js'
import type { Execution } from './execution.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread } from './lane-thread.js'
import { Batch } from './pack.js'
import type { Window } from './places.js'
import { isLong } from './prefetch.js'

/** Jobs sent ahead are called back when their thread has not moved for this long. */
const stuckAfterMs = 5
/** Less work than this is left where it is. */
const worthMs = 0.5

export class Recall {
  readonly #rooms: DispatchRooms
  readonly #crew: Crew
  readonly #dispatch: (room: LaneRoom) => void

  constructor(rooms: DispatchRooms, crew: Crew, dispatch: (room: LaneRoom) => void) {
    this.#rooms = rooms
    this.#crew = crew
    this.#dispatch = dispatch
  }

  /**
   * Takes back the jobs a cpu thread was sent but has not taken: they are ready as before.
   * @returns whether any came back, or its place did
   */
  from(thread: LaneThread): boolean {
    const { window, claims } = thread
    if (window === undefined || claims === undefined || window.outstanding === 0) return false
    const { current } = window
    const { deadlineAt = Infinity, heardAt = 0, phase } = current ?? {}
    const taken = claims.recall(window.oldest)
    // In the midst of a report the oldest may be one that was sent ahead and has no place yet.
    const kept = taken === 0 && phase !== 'prefetched' ? current?.job : undefined
    const isWanted = current?.isValid === true
    const jobs = window.takeBackFrom(window.oldest + taken)
    if (kept !== undefined && isWanted) this.#sendAgain(thread, kept, { deadlineAt, heardAt })
    else if (kept !== undefined) {
      const now = this.#rooms.world.clock.now()
      giveBackLimits(kept, now)
      this.#rooms.settler.lingeringEnded(kept, now)
    }
    for (const job of jobs) {
      if (job === kept) continue
      job.token = 0
      this.#rooms.queue.giveBack(job)
    }
    return jobs.length > (kept !== undefined && isWanted ? 1 : 0)
  }

  /** The job that has the place was not taken yet: it keeps the place, under the next generation of claims. */
  #sendAgain(thread: LaneThread, job: Job, watched: Pick<Execution, 'deadlineAt' | 'heardAt'>): void {
    const execution = Object.assign(thread.places.add(job), watched)
    job.token = execution.token
    const batch = new Batch(thread)
    batch.add(execution, job)
    thread.port.post(batch.message())
  }

  /** Takes back every job that was sent ahead. */
  fromAll(): void {
    for (const thread of this.#crew.lanes.cpu.threads) {
      thread.port.drain()
      this.from(thread)
    }
  }

  /**
   * Takes back what a thread was sent ahead while another has nothing to do, if that is worth a message.
   * @returns whether any came back
   */
  forIdle({ threads }: LaneRoom): boolean {
    if (threads.length < 2 || !threads.some(({ phase, isIdle }) => phase === 'open' && isIdle)) return false
    return threads.some((thread) => thread.phase === 'open' && isWorthIt(thread.window) && this.from(thread))
  }

  /** The thread that was sent a long job ahead which the next ready one goes before. */
  holdsUp({ threads, ready }: LaneRoom): LaneThread | undefined {
    const next = ready.peek()
    if (next === undefined) return undefined
    return threads.find(({ window, claims, phase }) => {
      const ahead = window?.outstanding === 2 ? window.newest?.job : undefined
      if (ahead === undefined || window === undefined || phase !== 'open' || !isLong(ahead)) return false
      // One that has not begun is looked at again when it reports.
      const hasBegun = claims !== undefined && claims.takenSince(window.oldest) > 0
      return hasBegun && ready.isBefore(next, ahead)
    })
  }

  /** Looks soon whether the lane's threads move. */
  watchForStuck(room: LaneRoom): void {
    if (room.stuckCheck?.isArmed === true) return
    const at = this.#rooms.world.clock.now() + stuckAfterMs
    room.stuckCheck = this.#rooms.agenda.alarm(at, () => this.#recallStuck(room))
  }

  /** Jobs sent ahead of a thread that has not moved since the last look would wait behind a long job: take them back. */
  #recallStuck(room: LaneRoom): void {
    let isWaiting = false
    for (const thread of room.threads) {
      thread.port.drain()
      const { window, claims } = thread
      if (window === undefined || claims === undefined || window.outstanding < 2) continue
      const hasBegun = claims.takenSince(window.oldest) > 0
      // One that has not even begun waits for the system to run it, and would again; unless another could go on.
      if (window.oldest === thread.lastSeenOldest && (hasBegun || hasFreeThread(room))) {
        thread.isStuck = true
        this.from(thread)
      } else isWaiting = true
      thread.lastSeenOldest = window.oldest
    }
    this.#dispatch(room)
    if (isWaiting) this.watchForStuck(room)
  }
}

function isWorthIt(window: Window | undefined): boolean {
  let aheadMs = 0
  for (const { task } of window?.ahead() ?? []) if ((aheadMs += task.averageMs) >= worthMs) return true
  return false
}

/** Whether a thread has nothing to do, or could be started. */
function hasFreeThread(room: LaneRoom): boolean {
  return (
    room.staff < room.settings.maxThreads ||
    room.threads.some((thread) => thread.phase === 'open' && thread.isIdle)
  )
}
