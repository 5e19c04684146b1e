/** Whether there is anything left to do: who waits for that is told, and the process is kept alive until then. */
import type { Journal } from './job/journal.js'
import type { World } from './world.js'

export class Rest {
  readonly #world: World
  readonly #journal: Journal
  /** Told at each look. */
  readonly #looked: () => void
  #isKeptAlive = false
  #waits = 0
  #willLook = false
  #idlers: (() => void)[] = []

  constructor(world: World, journal: Journal, looked: () => void) {
    this.#world = world
    this.#journal = journal
    this.#looked = looked
  }

  /** Who waits in `whenIdle`. */
  get idlers(): number {
    return this.#idlers.length
  }

  /** Calls `rested` when no job is blocked, ready or running. */
  whenIdle(rested: () => void): void {
    this.#idlers.push(rested)
    this.look()
  }

  /** Perhaps nothing is left to do: looked at once, after the current call. */
  look(): void {
    if (this.#willLook) return
    this.#willLook = true
    this.#world.soon(this.#look)
  }

  readonly #look = (): void => {
    this.#willLook = false
    const { blocked, ready, running } = this.#journal.counts
    this.#looked()
    if (this.#idlers.length > 0 && blocked + ready + running === 0) {
      const idlers = this.#idlers
      this.#idlers = []
      for (const resolve of idlers) resolve()
    }
    this.#keepAlive()
  }

  /** Somebody has something to do besides jobs: `ready()`, `close()`, an add-on. */
  begin(): void {
    this.#waits++
    this.#keepAlive()
  }

  /** The end of what `begin` began. */
  end(): void {
    this.#waits--
    this.#keepAlive()
  }

  /** A job was accepted. */
  jobCame(): void {
    if (!this.#isKeptAlive) this.#keepAlive()
  }

  /** The process stays alive exactly while a job is unsettled, or something else is under way. */
  #keepAlive(): void {
    const isNeeded = this.#journal.unsettled > 0 || this.#waits > 0
    if (isNeeded === this.#isKeptAlive) return
    this.#isKeptAlive = isNeeded
    this.#world.keepAlive(isNeeded)
  }
}
