/** Every thread of a scheduler, by lane; and how one is made to end. */
import type { Job } from '../job/job.js'
import type { Lane } from '../job/snapshot.js'
import type { Agenda } from '../queue/agenda.js'
import type { Clock } from '../world.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread, StopReason } from './lane-thread.js'

/** The rest of a start and `teardown()` of all modules may take this long; less while closing. */
const teardownMs = 5_000
/** A thread that was terminated and does not exit is given up. */
const exitWithinMs = 5 * 60_000

/** What the crew needs besides its threads. */
export interface CrewPort {
  readonly agenda: Agenda
  readonly clock: Clock
  /** The thread was terminated and has not exited: nobody waits for it any longer. */
  gaveUp(thread: LaneThread): void
}

export class Crew {
  readonly lanes: Readonly<Record<Lane, LaneRoom>>
  readonly #port: CrewPort

  constructor(lanes: Readonly<Record<Lane, LaneRoom>>, port: CrewPort) {
    this.lanes = lanes
    this.#port = port
  }

  get threads(): LaneThread[] {
    return [...this.lanes.cpu.threads, ...this.lanes.io.threads, ...this.lanes.main.threads]
  }

  /** The thread a job is with: running there, or sent ahead. */
  threadOf(job: Job): LaneThread | undefined {
    if (job.token === 0) return undefined
    return this.lanes[job.task.policy.lane].threads.find(
      (thread) => thread.places.find(job.token)?.job === job,
    )
  }

  /** Stops a thread by force; what ran on it is sorted out when it has exited. */
  terminate(thread: LaneThread, reason: StopReason): void {
    if (thread.phase === 'stopping') return
    thread.phase = 'stopping'
    thread.stopReason ??= reason
    this.#force(thread)
  }

  /**
   * Lets a thread that has nothing to do tear down, then end; with a job on it, by force. One that is starting ends its
   * start first: the files of modules that it reads would stay open in the process.
   */
  release(thread: LaneThread, reason: StopReason, withinMs = teardownMs): void {
    if (!thread.endsSlowly || !thread.isIdle || withinMs <= 0) return this.terminate(thread, reason)
    if (thread.phase === 'stopping') return
    if (thread.phase === 'open' || thread.phase === 'retiring') thread.port.post({ kind: 'close' })
    thread.phase = 'leaving'
    thread.stopReason ??= reason
    this.#await(thread, Math.min(withinMs, teardownMs), () => {
      thread.isCutShort = thread.hasTeardown
      this.terminate(thread, reason)
    })
  }

  /** A thread that was let go while it started has started. */
  startEnded(thread: LaneThread): void {
    if (thread.hasTeardown) thread.port.post({ kind: 'close' })
    else this.terminate(thread, 'closing')
  }

  #force(thread: LaneThread): void {
    thread.port.terminate()
    this.#await(thread, exitWithinMs, () => this.#port.gaveUp(thread))
  }

  #await(thread: LaneThread, ms: number, then: () => void): void {
    thread.patience?.disarm()
    thread.patience = this.#port.agenda.alarm(this.#port.clock.now() + ms, then)
  }
}
