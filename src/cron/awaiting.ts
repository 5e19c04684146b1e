/**
 * The schedules that wait for an instant, by the two clocks there are. A wall clock that is set back by up to a minute makes
 * no instant come again; one that is set back by more begins a new count.
 */
import type { AddOnPort } from '../add-on-port.js'
import type { TimeHeap } from '../queue/time-heap.js'
import type { Schedule } from './schedule.js'
import { reading, type Scale, type Timetable } from './timetable.js'

/** The wall clock is looked at so often at least, as the alarm counts on the other. */
const longestWaitMs = 30_000
/** A wall clock that goes back by more than this begins a new count of instants; after less, the same instants go on. */
const setBackMs = 60_000

export const scales: readonly Scale[] = ['wall', 'steady']

export class Awaiting {
  readonly #port: Pick<AddOnPort, 'clock' | 'random' | 'timeHeap'>
  readonly #over: (schedule: Schedule) => void
  #heaps: Record<Scale, TimeHeap<Schedule>>
  /** The highest wall clock seen since it was last set back, and when it was last looked at. */
  #highestWall: number
  #lookedAt: number

  /** @param over told of a schedule that has no instant left once the clock was set back */
  constructor(port: Pick<AddOnPort, 'clock' | 'random' | 'timeHeap'>, over: (schedule: Schedule) => void) {
    this.#port = port
    this.#over = over
    this.#heaps = { wall: port.timeHeap(), steady: port.timeHeap() }
    this.#highestWall = port.clock.wall()
    this.#lookedAt = port.clock.now()
  }

  get isEmpty(): boolean {
    return this.#heaps.wall.size + this.#heaps.steady.size === 0
  }

  get isAnyDue(): boolean {
    return scales.some((scale) => this.#heaps[scale].firstAt <= reading(this.#port.clock, scale))
  }

  /** When to look next, on the steady scale; Infinity when nobody waits. */
  get nextLook(): number {
    if (this.isEmpty) return Infinity
    const { clock } = this.#port
    const now = clock.now()
    const wallAt = now + Math.max(0, Math.ceil(this.#heaps.wall.firstAt - clock.wall()))
    const lookAt = clock.wallMayJump ? now + longestWaitMs : Infinity
    return Math.min(wallAt, this.#heaps.steady.firstAt, lookAt)
  }

  /** The first instant that has not been, also where the wall clock was set back a little: what it showed has been. */
  next(timetable: Timetable): number | undefined {
    this.lookAtClock()
    const now = reading(this.#port.clock, timetable.scale)
    return timetable.next(timetable.scale === 'wall' ? Math.max(now, this.#highestWall) : now)
  }

  /** From here on it waits for the instant `next`. */
  add(schedule: Schedule, next: number): void {
    schedule.nextAt = next
    schedule.jitterMs = this.#jitter(schedule, next)
    schedule.isAwaited = true
    this.#heaps[schedule.timetable.scale].add(schedule, next + schedule.jitterMs)
  }

  /** It waits for no instant any more. */
  leave(schedule: Schedule): void {
    if (!schedule.isAwaited) return
    schedule.isAwaited = false
    this.#heaps[schedule.timetable.scale].remove(schedule)
  }

  /** Takes out the schedule that is due first, if one is due by `now`. */
  takeDue(scale: Scale, now: number): Schedule | undefined {
    if (this.#heaps[scale].firstAt > now) return undefined
    const schedule = this.#heaps[scale].shift()
    if (schedule !== undefined) schedule.isAwaited = false
    return schedule
  }

  /** A wall clock that was set back makes instants come again that have been: they are counted anew from there. */
  lookAtClock(): void {
    const { clock } = this.#port
    const wall = clock.wall()
    const now = clock.now()
    if (wall < this.#highestWall - setBackMs) {
      // What came since it was last looked at is due.
      this.#countAnew(wall - (now - this.#lookedAt))
      this.#highestWall = wall
    }
    this.#highestWall = Math.max(this.#highestWall, wall)
    this.#lookedAt = now
  }

  /** Nobody waits any more. */
  clear(): void {
    this.#heaps = { wall: this.#port.timeHeap(), steady: this.#port.timeHeap() }
  }

  #countAnew(after: number): void {
    const waiting = this.#heaps.wall.values()
    this.#heaps.wall = this.#port.timeHeap()
    for (const schedule of waiting) {
      schedule.isAwaited = false
      const next = schedule.timetable.next(after)
      if (next === undefined) this.#over(schedule)
      else this.add(schedule, next)
    }
  }

  /**
   * Below the wished for, and below the distance to the instant after, so that no run overtakes another; nor does any come
   * after the end.
   */
  #jitter({ policy, timetable }: Schedule, next: number): number {
    if (policy.jitterMs === 0) return 0
    const following = timetable.next(next) ?? timetable.end + 1
    return Math.floor(this.#port.random() * Math.min(policy.jitterMs, following - next))
  }
}
