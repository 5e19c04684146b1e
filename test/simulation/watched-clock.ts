import { VirtualClock } from '../../src/testing/virtual-clock.js'

/** Looking at the clock more often than this in one happening is a loop without end: whatever goes round looks at it. */
const mostLooks = 20_000_000

/** The test kit's clock, which also notices that the scheduler goes round and round while time stands still. */
export class WatchedClock extends VirtualClock {
  #looks = 0

  override now(): number {
    this.#look()
    return super.now()
  }

  override precise(): number {
    this.#look()
    return super.precise()
  }

  override get resolutionMs(): number {
    this.#look()
    return super.resolutionMs
  }

  override goTo(instant: number): void {
    this.#looks = 0
    super.goTo(instant)
  }

  #look(): void {
    if (++this.#looks <= mostLooks) return
    this.#looks = 0 // whoever tells it wants to know the time
    throw new Error(`the clock was read ${mostLooks} times: a loop without end`)
  }
}
