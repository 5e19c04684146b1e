/**
 * The ports of the core: all that it knows of time, chance and threads. Production, the test kit and the simulation
 * run the very same rooms with other implementations of this page.
 */
import type { Lane } from './job/snapshot.js'
import type { FromThread, ToThread } from './threads/protocol.js'

/** Reads time. All instants inside the core are on the `now()` scale; only snapshots and events show the wall clock. */
export interface Clock {
  /** Monotonic whole milliseconds; 0 is the scheduler's creation. Never goes back. */
  now(): number
  /** Like `now()` but unrounded, for measuring how long something took. */
  precise(): number
  /** Ms since the epoch. May jump. */
  wall(): number
  /** Ms since the epoch of an instant on the `now()` scale; the same answer each time unless the wall clock jumped. */
  wallAt(instant: number): number
  /**
   * A reading is floored: an instant `t` has surely passed when `now() >= t + resolutionMs`. 1 for a real clock, 0 for
   * a virtual one.
   */
  readonly resolutionMs: number
  /** Whether the wall clock may be set, or go on while the monotonic one stands still. False where it only follows it. */
  readonly wallMayJump: boolean
}

/** Why a thread is gone. */
export interface ThreadExit {
  readonly exitCode: number
  /** What was thrown outside any handler, as it arrived. */
  readonly error?: unknown
}

/** What a thread tells the core. */
export interface ThreadListener {
  message(message: FromThread): void
  exited(exit: ThreadExit): void
}

/** The core's end of one thread (or of the main lane, which behaves like one). */
export interface ThreadPort {
  post(message: ToThread): void
  /** Hands over messages that have arrived but not been delivered yet. */
  drain(): void
  /** Stops the thread by force; `exited` follows. */
  terminate(): void
  /** Shared memory with the thread: see threads/claims.ts. Absent where nothing is prefetched. */
  readonly shared: Int32Array | undefined
}

export interface World {
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  /** The secret behind the ids of this scheduler's jobs: 16 random bytes. */
  readonly idKey: Uint8Array
  /** Arms the one timer (`undefined` disarms it): `wake` is called at `at` or soon after. */
  armTimer(at: number | undefined, wake: () => void): void
  /** Runs `task` when the current call has returned, before anything else. */
  soon(task: () => void): void
  /** Like `soon`, for what starts jobs: a world whose time stands still keeps it until time goes on. */
  startSoon(task: () => void): void
  /** Runs `task` in a later turn of the event loop, after pending I/O. */
  nextTurn(task: () => void): void
  /** While true, the process stays alive. */
  keepAlive(active: boolean): void
  /** Starts a thread of the lane. @throws when it cannot be started */
  startThread(lane: Lane, listener: ThreadListener): ThreadPort
  /**
   * Calls a hook of the user's, which may answer with a promise, and hands its answer back. A world whose time stands still
   * while somebody works waits for it.
   */
  ask(hook: () => unknown): unknown
  /** What the whole process holds in memory. Absent where threads have none of it. */
  readonly rssBytes?: () => number
  /** Lets go of timers. */
  close(): void
}
