/**
 * A deterministic World: virtual time, seeded chance, and a loop that the test turns. Everything that is to happen is a
 * happening on a channel; those of one channel keep their order, as messages of one port do, while those of different
 * channels at the same instant may come in any order: as they were planned, or shuffled by the seed.
 *
 *      advance(ms) ─▶ [ soon queue empty ] ─▶ earliest happening ─▶ [ soon queue empty ] ─▶ … ─▶ now + ms
 */
import { idKeyBytes, JobIds } from '../../src/job/job-ids.js'
import type { Lane } from '../../src/job/snapshot.js'
import { seededBytes, seededRandom } from '../../src/testing/seeded.js'
import type { ThreadListener, ThreadPort, World } from '../../src/world.js'
import { WatchedClock } from './watched-clock.js'

interface Happening {
  readonly at: number
  readonly order: number
  readonly channel: string
  readonly run: () => void
}

/** More happenings than this in one `advance` is a loop without end. */
const mostHappenings = 2_000_000

/** Told after each happening, when nothing is left to do at once. */
export interface Watcher {
  quiet(): void
}

export interface VirtualWorldOptions {
  seed?: number
  /** Simultaneous happenings of different channels come in an order that the seed decides. Default: as planned. */
  shuffle?: boolean
  /** The wall clock at the start, ms since the epoch. */
  wall?: number
  /** In [0, 1): how much too early the timer wakes, as a share of the wait. Default: never. */
  early?: () => number
}

export class VirtualWorld implements World {
  readonly clock: WatchedClock
  readonly random: () => number
  idKey!: Uint8Array
  ids!: JobIds
  readonly #chooses: () => number
  readonly #shuffles: boolean
  readonly #early: (() => number) | undefined
  #soon: (() => void)[] = []
  readonly #channels = new Map<string, Happening[]>()
  /** What could come next, while it is being chosen. */
  readonly #heads: Happening[] = []
  #planned = 0
  #timer: Happening | undefined
  isKeptAlive = false
  isClosed = false
  /** When the timer was due whose call is under way. */
  firingAt: number | undefined
  /** How often the one timer was armed. */
  timersArmed = 0
  watcher: Watcher | undefined
  starter: Pick<World, 'startThread'> | undefined

  constructor({ seed = 1, shuffle = false, wall = Date.UTC(2026, 0, 1), early }: VirtualWorldOptions = {}) {
    this.#early = early
    this.clock = new WatchedClock(wall)
    this.random = seededRandom(seed)
    this.changeIds()
    this.#chooses = seededRandom(seed ^ 0x5eed)
    this.#shuffles = shuffle
  }

  /** Each scheduler has a key of its own: call before the next one is made in this world. */
  changeIds(): void {
    this.idKey = seededBytes(this.random, idKeyBytes)
    this.ids = new JobIds(this.idKey)
  }

  armTimer(at: number | undefined, wake: () => void): void {
    if (at === undefined) this.#timer = undefined
    else {
      const tooEarly = Math.floor((this.#early?.() ?? 0) * Math.max(0, at - this.clock.now()))
      const timer: Happening = {
        at: at - tooEarly,
        order: Infinity,
        channel: '',
        run: () => this.#fire(timer, wake),
      }
      this.#timer = timer
      this.timersArmed++
    }
  }

  soon(task: () => void): void {
    this.#soon.push(task)
  }

  startSoon(task: () => void): void {
    this.soon(task)
  }

  nextTurn(task: () => void): void {
    this.plan('turn', 0, task)
  }

  ask(hook: () => unknown): unknown {
    return hook()
  }

  startThread(lane: Lane, listener: ThreadListener): ThreadPort {
    if (this.starter === undefined) throw new Error('This world starts no threads.')
    return this.starter.startThread(lane, listener)
  }

  keepAlive(active: boolean): void {
    this.isKeptAlive = active
  }

  close(): void {
    this.isClosed = true
    this.isKeptAlive = false
    this.#timer = undefined
  }

  /** When the one timer fires, or undefined. */
  get timerAt(): number | undefined {
    return this.#timer?.at
  }

  /** Runs `task` after `delayMs`; returns what calls it off. Happenings of one channel keep their order. */
  plan(channel: string, delayMs: number, task: () => void): () => void {
    const happening = { at: this.clock.now() + delayMs, order: ++this.#planned, channel, run: task }
    let line = this.#channels.get(channel)
    if (line === undefined) this.#channels.set(channel, (line = []))
    let after = line.length
    while (after > 0 && (line[after - 1]?.at ?? 0) > happening.at) after--
    if (after === line.length) line.push(happening)
    else line.splice(after, 0, happening)
    return () => {
      const index = line.indexOf(happening)
      if (index >= 0) line.splice(index, 1)
    }
  }

  /** Lets time pass, doing whatever falls due on the way. */
  advance(ms: number): void {
    const end = this.clock.now() + ms
    for (let count = 0; ; count++) {
      if (count > mostHappenings)
        throw new Error(`more than ${mostHappenings} happenings: a loop without end`)
      this.#drainSoon()
      this.watcher?.quiet()
      const next = this.#next(end)
      if (next === undefined) break
      this.clock.goTo(next.at)
      next.run()
    }
    this.clock.goTo(end)
  }

  /** The event loop is blocked: time passes and nothing happens. */
  block(ms: number): void {
    this.clock.goTo(this.clock.now() + ms)
  }

  /** The wall clock jumps; the monotonic one does not notice. */
  jumpWall(ms: number): void {
    this.clock.jumpWall(ms)
  }

  #drainSoon(): void {
    for (let count = 0; this.#soon.length > 0; count++) {
      if (count > mostHappenings) throw new Error('a soon queue that never empties: a loop without end')
      const tasks = this.#soon
      this.#soon = []
      for (const task of tasks) task()
    }
  }

  #fire(timer: Happening, wake: () => void): void {
    if (this.#timer === timer) this.#timer = undefined
    this.firingAt = timer.at
    wake()
    this.firingAt = undefined
  }

  /** The heads of all channels that are due first: one of them. */
  #next(end: number): Happening | undefined {
    const heads = this.#heads
    heads.length = 0
    const now = this.clock.now()
    let at = end
    const timer = this.#timer
    if (timer !== undefined) {
      // What fell due while the loop was blocked is all due at this moment.
      const due = Math.max(timer.at, now)
      if (due <= at) {
        at = due
        heads.push(timer)
      }
    }
    for (const [channel, line] of this.#channels) {
      const head = line[0]
      if (head === undefined) {
        this.#channels.delete(channel)
        continue
      }
      const due = Math.max(head.at, now)
      if (due > at) continue
      if (due < at) heads.length = 0
      at = due
      heads.push(head)
    }
    const head = this.#shuffles ? heads[Math.floor(this.#chooses() * heads.length)] : earliest(heads)
    if (head !== undefined && head !== timer) this.#channels.get(head.channel)?.shift()
    return head
  }
}

function earliest(heads: readonly Happening[]): Happening | undefined {
  let first = heads[0]
  for (const head of heads) {
    const isBefore =
      first !== undefined && (head.at < first.at || (head.at === first.at && head.order < first.order))
    if (isBefore) first = head
  }
  return first
}
