/**
 * Pairs ready jobs with free places. READ THIRD: the walk of one attempt, for a batch at a time.
 *
 *      dispatch ─▶ fill a thread: pop by the rule, give each a token, begin it ─▶ one run message
 *      reports  ◀─ the thread says how executions ended ─▶ settle each ─▶ refill (reports.ts)
 *      overdue  ◀─ a deadline passed ─▶ stop the execution (overdue.ts)
 *      exited   ◀─ a thread is gone ─▶ blame or interrupt its executions (departure.ts) ─▶ start another
 *
 * A cpu thread with short jobs is sent more than it can start: those wait in its window as `prefetched`, still `ready`
 * in every account, and can be recalled at any moment (recall.ts).
 */
import { ClosedError } from '../errors.js'
import { giveBackLimits, type Job } from '../job/job.js'
import type { Lane } from '../job/snapshot.js'
import type { ThreadExit } from '../world.js'
import { Crew } from './crew.js'
import { blame } from './departure.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread } from './lane-thread.js'
import { MemoryWatch } from './memory-watch.js'
import { Overdue } from './overdue.js'
import { Batch } from './pack.js'
import type { Window } from './places.js'
import { hasRoomAhead, isLong } from './prefetch.js'
import { Recall } from './recall.js'
import { Reports } from './reports.js'
import { Staffing } from './staffing.js'

export class Dispatcher {
  readonly lanes: Readonly<Record<Lane, LaneRoom>>
  readonly staffing: Staffing
  readonly overdue: Overdue
  readonly recall: Recall
  readonly #rooms: DispatchRooms
  readonly #crew: Crew
  isPaused = false
  #willDispatch = false

  constructor(lanes: Readonly<Record<Lane, LaneRoom>>, rooms: DispatchRooms) {
    const dispatch = (room: LaneRoom): void => this.dispatch(room)
    this.lanes = lanes
    this.#rooms = rooms
    const { agenda } = rooms
    this.#crew = new Crew(lanes, {
      agenda,
      clock: rooms.world.clock,
      gaveUp: (thread) => this.#gaveUp(thread),
    })
    this.recall = new Recall(rooms, this.#crew, dispatch)
    this.staffing = new Staffing(rooms, this.#crew, {
      dispatch,
      opened: () => memory.watch(),
      received: (thread, message) => reports.received(thread, message),
      exited: (thread, exit) => this.#exited(thread, exit),
    })
    const memory = new MemoryWatch(rooms, this.#crew, this.recall, dispatch)
    this.overdue = new Overdue(rooms, this.#crew, this.recall, this.staffing, dispatch)
    const reports = new Reports(rooms, this.#crew, this.overdue, this.staffing, dispatch)
  }

  /** A job of the lane became ready. Dispatches when the current call has returned, so that a burst makes a batch. */
  readonly wake = (lane: Lane): void => {
    const room = this.lanes[lane]
    if (this.#willDispatch || (room.isSaturated && !this.#isUrgent(room))) return
    this.#willDispatch = true
    this.#rooms.world.startSoon(this.#dispatchAll)
  }

  /** The job that just became ready goes before one that was sent ahead. */
  #isUrgent(room: LaneRoom): boolean {
    return room.hasOneAhead && !this.isPaused && this.recall.holdsUp(room) !== undefined
  }

  readonly #dispatchAll = (): void => {
    this.#willDispatch = false
    this.dispatch(this.lanes.cpu)
    this.dispatch(this.lanes.io)
    this.dispatch(this.lanes.main)
  }

  /** Starts go on after a pause. */
  resume(): void {
    for (const room of Object.values(this.lanes)) {
      room.isSaturated = false
      this.wake(room.lane)
    }
  }

  /** Gives the lane's free places to its ready jobs. */
  dispatch(room: LaneRoom): void {
    if (this.isPaused) return
    room.isSaturated = false
    if (room.ready.size > 0) this.#fillAll(room)
    if (room.ready.peek() === undefined && this.recall.forIdle(room)) this.#fillAll(room)
  }

  #fillAll(room: LaneRoom): void {
    const now = this.#rooms.world.clock.now()
    const threads = inTurn(room)
    for (const thread of threads) this.#fill(room, thread, now)
    if (room.lane === 'cpu' && this.#mayGetMore(room))
      for (const thread of threads) this.#fill(room, thread, now)
    // What is left and may start found no place.
    const left = room.ready.peek()
    room.hasOneAhead = threads.some(({ window }) => window?.outstanding === 2)
    if (left?.details?.runsAlone === true && room.lane === 'cpu') this.#makeWay(room)
    if (left !== undefined) this.staffing.callIn(room)
    // For one that must run alone a place may have been free, and a better job can have it.
    room.isSaturated = left !== undefined && left.details?.runsAlone !== true
  }

  /** Long jobs are sent ahead when no place is free, and come back for a more urgent one. */
  #mayGetMore(room: LaneRoom): boolean {
    const holder = this.recall.holdsUp(room)
    if (holder !== undefined) return this.recall.from(holder)
    const next = room.ready.peek()
    return next !== undefined && isLong(next)
  }

  /** One message, or a few, with whatever the thread may get now. */
  #fill(room: LaneRoom, thread: LaneThread, now: number): void {
    if (thread.phase !== 'open') return
    const { window } = thread
    let batch: Batch | undefined
    let given = 0
    const share = Math.ceil(room.ready.size / room.openThreads)
    for (let job = room.ready.peek(); job !== undefined; job = room.ready.peek()) {
      const mayTake =
        window === undefined
          ? this.#hasPlace(room, thread, job)
          : given < share && this.#mayGoTo(thread, window, job, given)
      if (!mayTake) break
      if (hasExpired(job, now)) this.#rooms.settler.expireWaiting(job, now)
      else {
        const limits = job.details?.gates?.limits
        if (limits !== undefined) for (const limit of limits) limit.took(now)
        room.ready.remove(job)
        if (batch?.hasRoomFor(job) === false) {
          thread.port.post(batch.message())
          batch = undefined
        }
        this.#give(thread, job, (batch ??= new Batch(thread)), now)
        given++
      }
    }
    if (batch !== undefined) thread.port.post(batch.message())
    if (window !== undefined && window.outstanding > 1) this.recall.watchForStuck(room)
  }

  /** Shared threads: a free place, and nobody who must be alone. */
  #hasPlace(room: LaneRoom, thread: LaneThread, job: Job): boolean {
    const { outstanding } = thread.places
    if (outstanding === 0) return true
    return (
      outstanding < room.settings.placesPerThread && !thread.isExclusive && job.details?.runsAlone !== true
    )
  }

  /**
   * Cpu threads: the one place, or room ahead of it for short jobs. One that must run alone gets a fresh thread, so that it
   * meets nothing an earlier job left behind; while none can be started, any that is empty.
   */
  #mayGoTo(thread: LaneThread, window: Window, job: Job, given: number): boolean {
    const isEmpty = window.outstanding === 0
    if (job.details?.runsAlone === true) return thread.isFresh || (isEmpty && this.lanes.cpu.startsFail)
    if (isEmpty) return true
    return !thread.isStuck && thread.claims !== undefined && hasRoomAhead(window, job, given)
  }

  /** Where there are as many cpu threads as may be, one that has nothing to do is let go for a fresh one. */
  #makeWay({ threads, settings, staff, startsFail }: LaneRoom): void {
    const isComing = threads.some(({ phase }) => phase === 'starting')
    if (isComing || startsFail || staff < settings.maxThreads) return
    const used = threads.find(({ phase, isIdle }) => phase === 'open' && isIdle)
    if (used !== undefined) this.#crew.release(used, 'retired')
  }

  #give(thread: LaneThread, job: Job, batch: Batch, now: number): void {
    const isPrefetched = thread.window !== undefined && thread.places.outstanding > 0
    const execution = thread.places.add(job)
    job.token = execution.token
    batch.add(execution, job)
    if (job.details?.runsAlone === true) thread.isExclusive = true
    if (isPrefetched) execution.phase = 'prefetched'
    else this.overdue.begin(thread, execution, job, now)
  }

  /** The thread a job is with: running there, or sent ahead. */
  threadOf(job: Job): LaneThread | undefined {
    return this.#crew.threadOf(job)
  }

  /** A thread that was terminated does not exit: what was on it is abandoned, as if it had. */
  #gaveUp(thread: LaneThread): void {
    thread.port.drain() // the main thread may have been blocked
    this.overdue.abandoned += thread.places.values().filter(({ phase }) => phase !== 'prefetched').length
    thread.stopReason = 'lost'
    this.#exited(thread, { exitCode: -1 })
  }

  /** A thread is gone: whoever is to blame failed, the others are ready again. */
  #exited(thread: LaneThread, exit: ThreadExit): void {
    if (!this.lanes[thread.lane].threads.includes(thread)) return // it was given up before
    const now = this.#rooms.world.clock.now()
    const room = this.lanes[thread.lane]
    this.staffing.left(thread, exit)
    for (const { job, isValid, isStarted, outcome } of blame(thread, exit)) {
      if (isStarted) giveBackLimits(job, now)
      if (outcome === undefined) {
        job.token = 0
        this.#rooms.queue.giveBack(job)
      } else if (isValid) {
        if (!isStarted) this.#rooms.journal.start(job, now)
        this.#rooms.settler.ended(job, outcome, now)
      } else this.#rooms.settler.lingeringEnded(job, now)
    }
    this.dispatch(room)
    this.staffing.replace(thread)
  }

  get threadCount(): number {
    return this.#crew.threads.length
  }

  /** Whether a thread has something to end before it goes. */
  get endsSlowly(): boolean {
    return this.#crew.threads.some((thread) => thread.endsSlowly)
  }

  /** Stops every thread; the scheduler is closing. Who waits for a first open thread is told. */
  stopThreads(teardownMs: number): void {
    for (const { starters } of Object.values(this.lanes)) {
      for (const { failed } of starters.splice(0)) failed(new ClosedError())
    }
    for (const thread of this.#crew.threads) this.#crew.release(thread, 'closing', teardownMs)
  }
}

/** Cpu threads with least to do first. */
function inTurn({ lane, threads }: LaneRoom): readonly LaneThread[] {
  if (lane !== 'cpu' || threads.length < 2) return threads
  return threads.toSorted((a, b) => a.places.outstanding - b.places.outstanding)
}

/** Steps of a flow whose deadline has passed are expired in slices; none of them starts between two of those. */
function hasExpired({ details }: Job, now: number): boolean {
  if (details === undefined) return false
  return (
    (details.expiresAt !== undefined && details.expiresAt <= now) || details.step?.flow.hasExpired === true
  )
}
