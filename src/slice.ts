import type { Clock } from './world.js'

const sliceMs = 2

/** About two milliseconds of many short steps: whoever has more to do goes on in a later turn, and requests come in between. */
export class Slice {
  readonly #clock: Pick<Clock, 'precise'>
  readonly #stepsPerReading: number
  readonly #start: number
  #steps = 0

  /** @param stepsPerReading after how many steps the clock is looked at, which costs as much as a short one */
  constructor(clock: Pick<Clock, 'precise'>, stepsPerReading: number) {
    this.#clock = clock
    this.#stepsPerReading = stepsPerReading
    this.#start = clock.precise()
  }

  /** Counts a step. @returns whether it was the last of the slice */
  step(): boolean {
    return ++this.#steps % this.#stepsPerReading === 0 && this.#clock.precise() - this.#start > sliceMs
  }
}
