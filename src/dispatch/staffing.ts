/**
 * Starts and ends threads: on demand up to the lane's most, one start at a time after a failed one with growing pauses,
 * and down to `minIdle` when there is nothing to do.
 */
import { ThreadStartError } from '../errors.js'
import type { ThreadExit } from '../world.js'
import type { Dispatcher } from './dispatcher.js'
import type { LaneRoom } from './lane-room.js'
import { LaneThread } from './lane-thread.js'
import type { FromThread } from '../threads/protocol.js'

/** A thread whose modules have not been imported by then is given up. */
const startTimeoutMs = 9_000
const firstPauseMs = 500
const longestPauseMs = 30_000

export class Staffing {
  readonly #dispatcher: Dispatcher
  #lastNumber = 0

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher
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
  start(room: LaneRoom): boolean {
    if (room.retryStart?.isArmed === true) return false
    // Until one thread has imported the modules nobody knows that they can be imported: one at a time.
    if (!room.hasOpened && room.threads.some((thread) => thread.phase === 'starting')) return false
    const { world, agenda } = this.#dispatcher.rooms
    const now = world.clock.now()
    try {
      const listener = {
        message: (message: FromThread) => this.#dispatcher.received(thread, message),
        exited: (exit: ThreadExit) => this.#dispatcher.exited(thread, exit),
      }
      const port = world.startThread(room.lane, listener)
      const thread = new LaneThread(room.lane, ++this.#lastNumber, port, room.settings.placesPerThread, now)
      room.threads.push(thread)
      thread.patience = agenda.alarm(now + startTimeoutMs, () => this.#giveUp(thread))
      return true
    } catch (error) {
      this.#pause(room, error)
      return false
    }
  }

  /** The thread has imported its modules: its places exist. */
  opened(thread: LaneThread, tasks: readonly string[]): void {
    if (thread.phase !== 'starting') return
    const room = this.#dispatcher.lanes[thread.lane]
    thread.phase = 'open'
    thread.tasks = new Set(tasks)
    thread.patience?.disarm()
    room.failedStarts = 0
    room.startError = undefined
    room.hasOpened = true
    this.#dispatcher.rooms.listener.threadStarted(thread)
    for (const { opened } of room.starters.splice(0)) opened()
    this.#dispatcher.dispatch(room)
    if (thread.isIdle) this.idled(thread, this.#dispatcher.rooms.world.clock.now())
  }

  /** The thread could not import its modules; it is of no use. */
  startFailed(thread: LaneThread, error: unknown): void {
    if (thread.phase !== 'starting') return
    this.#pause(this.#dispatcher.lanes[thread.lane], error)
    this.#dispatcher.terminate(thread, 'start-failed')
  }

  /** The thread has nothing to do: it ends after a while, if there are enough others. */
  idled(thread: LaneThread, now: number): void {
    thread.idleSince = now
    const { idleTimeoutMs } = this.#dispatcher.lanes[thread.lane].settings
    if (thread.phase === 'retiring') this.#dispatcher.terminate(thread, 'retired')
    else if (idleTimeoutMs < Infinity && thread.patience?.isArmed !== true) {
      thread.patience = this.#dispatcher.rooms.agenda.alarm(now + idleTimeoutMs, (at) =>
        this.#checkIdle(thread, at),
      )
    }
  }

  /** The thread is gone. */
  left(thread: LaneThread, exit: ThreadExit): void {
    const room = this.#dispatcher.lanes[thread.lane]
    const index = room.threads.indexOf(thread)
    if (index >= 0) room.threads.splice(index, 1)
    thread.watch?.disarm()
    thread.patience?.disarm()
    if (thread.phase === 'starting') {
      const how = exit.error === undefined ? `with code ${exit.exitCode}` : 'with an error'
      this.#pause(
        room,
        new ThreadStartError(`The thread exited ${how} before it had imported its task modules.`, exit.error),
      )
    }
    const reason = thread.stopReason ?? 'crashed'
    thread.phase = 'stopping'
    this.#dispatcher.rooms.listener.threadExited(thread, reason, exit.exitCode)
  }

  #giveUp(thread: LaneThread): void {
    const room = this.#dispatcher.lanes[thread.lane]
    this.#pause(
      room,
      new ThreadStartError(
        `A thread has not imported its task modules within ${startTimeoutMs / 1000} s. ` +
          'Look for a top-level await that never settles.',
      ),
    )
    this.#dispatcher.terminate(thread, 'start-failed')
  }

  #checkIdle(thread: LaneThread, now: number): void {
    const room = this.#dispatcher.lanes[thread.lane]
    if (!thread.isIdle || thread.phase !== 'open') return
    const { idleTimeoutMs, minIdle } = room.settings
    if (thread.idleSince + idleTimeoutMs > now) {
      thread.patience = this.#dispatcher.rooms.agenda.alarm(thread.idleSince + idleTimeoutMs, (at) =>
        this.#checkIdle(thread, at),
      )
    } else if (room.openThreads > minIdle) this.#dispatcher.terminate(thread, 'idle')
  }

  /** After a failed start the next one waits, longer each time, so that a broken module never becomes a spawn loop. */
  #pause(room: LaneRoom, error: unknown): void {
    const { agenda, listener, world } = this.#dispatcher.rooms
    room.startError = error
    room.hasOpened = false
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(room.failedStarts, 10))
    room.failedStarts++
    listener.startFailed(room.lane, error)
    for (const { failed } of room.starters.splice(0)) failed(error)
    room.retryStart?.disarm()
    room.retryStart = agenda.alarm(world.clock.now() + pauseMs, () => this.#dispatcher.dispatch(room))
  }
}
