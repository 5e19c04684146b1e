/** A clock that stands still until it is told to go on. Whole milliseconds; nothing is floored. */
import type { Clock } from '../world.js'

export class VirtualClock implements Clock {
  #now = 0
  /** Wall time minus `now()`. */
  #offset: number

  readonly wallMayJump: boolean

  /**
   * @param wall ms since the epoch at the start
   * @param wallMayJump whether `jumpWall` is to be called
   */
  constructor(wall: number, wallMayJump = true) {
    this.#offset = wall
    this.wallMayJump = wallMayJump
  }

  get resolutionMs(): number {
    return 0
  }

  now(): number {
    return this.#now
  }

  precise(): number {
    return this.#now
  }

  wall(): number {
    return this.#now + this.#offset
  }

  wallAt(instant: number): number {
    return instant + this.#offset
  }

  /** Goes on to that instant; an earlier one moves nothing. */
  goTo(instant: number): void {
    if (instant > this.#now) this.#now = instant
  }

  /** The wall clock jumps; the monotonic one does not notice. */
  jumpWall(ms: number): void {
    this.#offset += ms
  }
}
