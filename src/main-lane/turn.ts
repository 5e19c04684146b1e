/** How much of a turn of the event loop the main lane may take: a budget, and nothing new while other work takes long. */

/** How much of the main thread the lane takes. */
export interface MainLanePace {
  /** Ms of work per turn of the event loop. */
  readonly budgetMs: number
  /** Ms that other work of a turn may take; above it nothing starts. */
  readonly maxDelayMs: number
}

/** However busy the main thread is, a job that waits starts after this long. */
const longestWaitMs = 1_000

/** Instants are precise ms of one clock. */
export class Turn {
  readonly #pace: MainLanePace
  #askedAt = 0
  #beganAt = 0
  /** Other work did not hold this turn up. */
  #isLoopFree = true
  #waitsSince = 0

  constructor(pace: MainLanePace) {
    this.#pace = pace
  }

  /** The event loop was asked for a turn. */
  ask(now: number): void {
    this.#askedAt = now
  }

  begin(now: number): void {
    this.#beganAt = now
    this.#isLoopFree = now - this.#askedAt <= this.#pace.maxDelayMs
  }

  /** A handler starts, or there is something to start again. */
  waitsSince(now: number): void {
    this.#waitsSince = now
  }

  /** More may start in this turn. */
  hasTime(now: number): boolean {
    return this.#isLoopFree && !this.isSpent(now)
  }

  isSpent(now: number): boolean {
    return now - this.#beganAt >= this.#pace.budgetMs
  }

  /** Something has waited so long that it starts whatever else there is to do. */
  isOwed(now: number): boolean {
    return now - this.#waitsSince >= longestWaitMs
  }
}
