/**
 * Starts and ends threads: on demand up to the lane's most, one start at a time after a failed one with growing pauses,
 * and down to `minIdle` when there is nothing to do. A thread that is lost is replaced at once, before a job asks for it.
 */
import { ThreadStartError } from '../errors.js'
import { serializeError } from '../job/serialized-error.js'
import type { ThreadExit } from '../world.js'
import type { Crew } from './crew.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { LaneRoom } from './lane-room.js'
import { LaneThread } from './lane-thread.js'
import type { FromThread, ReadyMessage } from '../threads/protocol.js'

const firstPauseMs = 500
const longestPauseMs = 30_000

/** Whom threads talk to, and who uses their places. */
export interface StaffingPort {
  dispatch(room: LaneRoom): void
  /** A thread is of use. */
  opened(): void
  received(thread: LaneThread, message: FromThread): void
  exited(thread: LaneThread, exit: ThreadExit): void
}

export class Staffing {
  readonly #rooms: DispatchRooms
  readonly #crew: Crew
  readonly #port: StaffingPort
  /** Threads are started only for jobs. */
  isClosing = false
  #lastNumber = 0

  constructor(rooms: DispatchRooms, crew: Crew, port: StaffingPort) {
    this.#rooms = rooms
    this.#crew = crew
    this.#port = port
  }

  /** Starts as many threads as there are ready jobs nobody has a place for, within the lane's most. */
  callIn(room: LaneRoom): void {
    const { settings } = room
    const starting = room.threads.filter((thread) => thread.phase === 'starting').length
    const wanted = Math.ceil(room.ready.size / settings.placesPerThread) - starting
    const missing = Math.min(wanted, settings.maxThreads - room.staff)
    for (let count = 0; count < missing; count++) if (!this.start(room)) return
  }

  /** Starts one thread. @returns whether one is starting */
  start(room: LaneRoom, isReplacement = false): boolean {
    if (room.retryStart?.isArmed === true) return false
    // Until one thread has imported the modules nobody knows that they can be imported: one at a time.
    if (!room.hasOpened && room.threads.some((thread) => thread.phase === 'starting')) return false
    const { world, agenda } = this.#rooms
    const now = world.clock.now()
    try {
      const listener = {
        message: (message: FromThread) => this.#port.received(thread, message),
        exited: (exit: ThreadExit) => this.#port.exited(thread, exit),
      }
      const port = world.startThread(room.lane, listener)
      const thread = new LaneThread(room.lane, ++this.#lastNumber, port, room.settings.placesPerThread, now)
      thread.isReplacement = isReplacement
      room.threads.push(thread)
      thread.patience = agenda.alarm(now + room.settings.startTimeoutMs, () => this.#giveUp(thread))
      return true
    } catch (error) {
      this.#pause(room, error)
      return false
    }
  }

  /**
   * The thread is of no more use, or gone; asked at both. One that was lost is replaced also when nothing is ready, any other up
   * to `minIdle`. Not one that ended no job, as its modules may end the next one too; unless it failed to start in place of
   * another.
   */
  replace(thread: LaneThread): void {
    const { lane, isIdle, hasEnded, isReplacement } = thread
    if (lane === 'main' || thread.isReplaced || (isIdle && !hasEnded && !isReplacement)) return
    thread.isReplaced = true
    const room = this.#crew.lanes[lane]
    if (!isReplacement && !isLost(thread) && shortBy(room) === 0) return
    room.owed++
    this.#makeUp(room)
  }

  /** Replaces lost threads; asked again when a pause after a failed start is over, and when a thread has opened after it. */
  #makeUp(room: LaneRoom): void {
    room.owed = Math.min(room.owed, Math.max(shortBy(room), hasSpare(room) ? 0 : 1))
    while (room.owed > 0 && !this.isClosing && this.start(room, true)) room.owed--
  }

  /** The thread has imported its modules: its places exist. */
  opened(thread: LaneThread, { tasks, hasTeardown = false }: ReadyMessage): void {
    if (thread.phase !== 'starting' && thread.phase !== 'leaving') return
    thread.hasTeardown = hasTeardown
    if (thread.phase === 'leaving') return this.#crew.startEnded(thread)
    const room = this.#crew.lanes[thread.lane]
    thread.phase = 'open'
    thread.isReplacement = false
    thread.tasks = new Set(tasks)
    thread.patience?.disarm()
    room.startError = undefined
    room.hasOpened = true
    this.#rooms.listener.threadStarted(thread)
    this.#port.opened()
    for (const { opened } of room.starters.splice(0)) opened()
    this.#port.dispatch(room)
    this.#makeUp(room)
    if (thread.isIdle) this.idled(thread, this.#rooms.world.clock.now())
  }

  /** The thread could not import its modules; it is of no use. */
  startFailed(thread: LaneThread, error: unknown): void {
    if (thread.phase !== 'starting' && thread.phase !== 'leaving') return
    if (thread.phase === 'starting') this.#pause(this.#crew.lanes[thread.lane], error)
    this.#crew.terminate(thread, 'start-failed')
  }

  /** The thread has nothing to do: it ends after a while, if there are enough others. */
  idled(thread: LaneThread, now: number): void {
    thread.idleSince = now
    const { idleTimeoutMs } = this.#crew.lanes[thread.lane].settings
    if (thread.phase === 'retiring') this.#crew.release(thread, 'retired')
    else if (idleTimeoutMs < Infinity && thread.patience?.isArmed !== true) {
      thread.patience = this.#rooms.agenda.alarm(now + idleTimeoutMs, (at) => this.#checkIdle(thread, at))
    }
  }

  /** The thread is gone. */
  left(thread: LaneThread, exit: ThreadExit): void {
    const room = this.#crew.lanes[thread.lane]
    const index = room.threads.indexOf(thread)
    if (index >= 0) room.threads.splice(index, 1)
    thread.watch?.disarm()
    thread.patience?.disarm()
    if (thread.phase === 'starting') this.#pause(room, exitedBefore('had imported its task modules', exit))
    // The next one would do so too: a module that leaves a rejection unhandled, say.
    else if (thread.isUnused && isOfItself(thread)) this.#pause(room, exitedBefore('had begun a job', exit))
    const reason = thread.stopReason ?? 'crashed'
    thread.phase = 'stopping'
    thread.isGone = true
    this.#rooms.listener.threadExited(thread, reason, exit)
  }

  /** What it said is read first: it may be ready, and the main thread was blocked. */
  #giveUp(thread: LaneThread): void {
    thread.port.drain()
    if (thread.phase !== 'starting') return
    const room = this.#crew.lanes[thread.lane]
    this.#pause(room, new ThreadStartError(tooSlow(thread, room.settings.startTimeoutMs)))
    this.#crew.terminate(thread, 'start-failed')
  }

  #checkIdle(thread: LaneThread, now: number): void {
    const room = this.#crew.lanes[thread.lane]
    if (!thread.isIdle || thread.phase !== 'open') return
    const { idleTimeoutMs, minIdle } = room.settings
    if (thread.idleSince + idleTimeoutMs > now) {
      thread.patience = this.#rooms.agenda.alarm(thread.idleSince + idleTimeoutMs, (at) =>
        this.#checkIdle(thread, at),
      )
    } else if (room.openThreads > minIdle) this.#crew.release(thread, 'idle')
  }

  /** After a failed start the next one waits, longer each time, so that a broken module never becomes a spawn loop. */
  #pause(room: LaneRoom, error: unknown): void {
    const { agenda, listener, world } = this.#rooms
    room.startError = error
    room.hasOpened = false
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(room.failedStarts, 10))
    room.failedStarts++
    listener.startFailed(room.lane, error)
    for (const { failed } of room.starters.splice(0)) failed(error)
    room.retryStart?.disarm()
    room.retryStart = agenda.alarm(world.clock.now() + pauseMs, () => this.#retry(room))
  }

  /** The pause is over: a start is tried for who waits in `ready()`, for a lost thread, or for jobs that are ready. */
  #retry(room: LaneRoom): void {
    if (room.starters.length > 0) this.start(room)
    this.#makeUp(room)
    this.#port.dispatch(room)
  }
}

/** It crashed, or was stopped because of one of its jobs. */
function isLost({ phase, stopReason, isIdle }: LaneThread): boolean {
  if (stopReason === undefined) return phase !== 'retiring'
  return stopReason === 'timeout' || stopReason === 'stuck' || (stopReason === 'memory' && !isIdle)
}

/** How many threads fewer there are than are kept idle. */
function shortBy({ settings, staff }: LaneRoom): number {
  return Math.max(0, Math.min(settings.minIdle, settings.maxThreads) - staff)
}

/** Whether a thread has nothing to do or soon will be there, or no more may be. */
function hasSpare({ threads, settings, staff }: LaneRoom): boolean {
  const isSpare = ({ phase, isIdle }: LaneThread): boolean =>
    phase === 'starting' || (phase === 'open' && isIdle)
  return staff >= settings.maxThreads || threads.some(isSpare)
}

function isOfItself({ phase, stopReason }: LaneThread): boolean {
  return phase === 'open' && stopReason === undefined
}

function exitedBefore(what: string, { error, exitCode }: ThreadExit): ThreadStartError {
  const message =
    error === undefined
      ? `The thread exited with code ${exitCode} before it ${what}.`
      : `The thread exited with an error before it ${what}: ${serializeError(error).message}`
  return new ThreadStartError(message, error)
}

function tooSlow({ starting }: LaneThread, startTimeoutMs: number): string {
  const within = `within the ${startTimeoutMs} ms of threads.startTimeout`
  switch (starting?.step) {
    case undefined:
      return `A thread has not begun to import its task modules ${within}. Look for a loader or an execArgv that never lets it.`
    case 'import':
      return `A thread has not imported ${starting.file} ${within}. Look for a top-level await that never settles, or allow more.`
    case 'setup':
      return `setup() of ${starting.file} has not ended ${within}. Look for a promise in it that never settles, or allow more.`
  }
}
