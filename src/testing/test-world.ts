/**
 * The World of a test: virtual time, seeded chance. Between two runs it stands still: no timer fires, no job starts, and
 * what threads say is kept. What is told to the outside (events, results) goes on as in production.
 *
 *      standing still ──move()──▶ moving: what was kept is done; timers fire as the driver goes through time
 *             ▲                     │
 *             └───────stand()───────┘
 */
import { setImmediate } from 'node:timers'
import { idKeyBytes } from '../job/job-ids.js'
import type { Lane } from '../job/snapshot.js'
import type { ThreadListener, ThreadPort, World } from '../world.js'
import { seededBytes, seededRandom } from './seeded.js'
import { VirtualClock } from './virtual-clock.js'

/** A test may have put fakes in the place of the global ones. */
const { queueMicrotask } = globalThis
const nextTick = process.nextTick.bind(process)

interface Alarm {
  readonly at: number
  readonly run: () => void
}

export class TestWorld implements World {
  readonly clock: VirtualClock
  readonly random: () => number
  readonly idKey: Uint8Array
  /** Set when the scheduler is made. */
  startThread: (lane: Lane, listener: ThreadListener) => ThreadPort = () => {
    throw new Error('This world has no scheduler yet.')
  }
  /** Set when the scheduler is made. */
  ask: World['ask'] = (hook) => hook()
  /** Whether a handler may be waiting for its turn, so that the event loop has to turn for it. */
  isAnyoneWaiting: () => boolean = () => true
  /** Counts up whenever something happens. */
  happened = 0
  /** Told when something happens. */
  onHappening: (() => void) | undefined
  #isMoving = false
  #soon: (() => void)[] = []
  #willFlush = false
  /** Kept until time goes on. */
  #kept: (() => void)[] = []
  #turns = 0
  #timer: { at: number; wake: () => void } | undefined
  /** By instant; of one instant, in the order in which they were set. */
  readonly #alarms: Alarm[] = []

  constructor(wall: number, seed: number) {
    this.clock = new VirtualClock(wall, false)
    this.random = seededRandom(seed)
    this.idKey = seededBytes(seededRandom(seed ^ 0x1d5), idKeyBytes)
  }

  /** Whether something is to run in a later turn of the event loop. */
  get awaitsTurn(): boolean {
    return this.#turns > 0
  }

  /** When the next thing falls due, or Infinity. */
  get nextAt(): number {
    return Math.min(this.#timer?.at ?? Infinity, this.#alarms[0]?.at ?? Infinity)
  }

  soon(task: () => void): void {
    this.#soon.push(task)
    this.#happening()
    if (this.#willFlush) return
    this.#willFlush = true
    queueMicrotask(() => this.flush())
  }

  startSoon(task: () => void): void {
    if (this.#isMoving) this.soon(task)
    else this.#kept.push(task)
  }

  /** Something happened that this world was not asked to do. */
  notice(): void {
    this.#happening()
  }

  nextTurn(task: () => void): void {
    // Turning the loop costs ten times what a job does, and only handlers could tell.
    if (this.#isMoving && !this.isAnyoneWaiting()) return this.soon(task)
    this.#turns++
    setImmediate(() => {
      this.#turns--
      this.#happening()
      task()
    })
  }

  armTimer(at: number | undefined, wake: () => void): void {
    this.#timer = at === undefined ? undefined : { at, wake }
  }

  /** A test runner looks after its process itself. */
  keepAlive(): void {}

  close(): void {
    this.#timer = undefined
  }

  /** Does at once what is to be done soon. */
  flush(): void {
    this.#willFlush = false
    for (let task = this.#soon.shift(); task !== undefined; task = this.#soon.shift()) task()
  }

  /** Lets a thread be heard: at once while time moves, else when it goes on. */
  hear(task: () => void): void {
    if (!this.#isMoving) this.#kept.push(task)
    else {
      this.#happening()
      task()
    }
  }

  move(): void {
    this.#isMoving = true
    for (const task of this.#kept.splice(0)) this.soon(task)
  }

  stand(): void {
    this.#isMoving = false
  }

  /** Calls `run` after `delayMs` of virtual time; returns what calls it off. */
  after(delayMs: number, run: () => void): () => void {
    const alarm = { at: this.clock.now() + Math.ceil(delayMs), run }
    const later = this.#alarms.findIndex(({ at }) => at > alarm.at)
    this.#alarms.splice(later < 0 ? this.#alarms.length : later, 0, alarm)
    return () => {
      const index = this.#alarms.indexOf(alarm)
      if (index >= 0) this.#alarms.splice(index, 1)
    }
  }

  /** Goes to the instant at which the next thing falls due, and does it. */
  fireNext(): void {
    const at = this.nextAt
    this.clock.goTo(at)
    this.#happening()
    // A handler that ends at the instant of its deadline has ended in time.
    if (this.#alarms[0]?.at === at) return this.#alarms.shift()?.run()
    const timer = this.#timer
    this.#timer = undefined
    timer?.wake()
  }

  #happening(): void {
    this.happened++
    this.onHappening?.()
  }
}

/** Resolves when every promise that could go on has gone on. */
export function tick(): Promise<void> {
  // A tick that is asked for by a promise's reaction comes when no other reaction is left.
  return new Promise((resolve) => nextTick(resolve))
}

/** Resolves in the next turn of the event loop, after promises have gone on and pending I/O was looked at. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
