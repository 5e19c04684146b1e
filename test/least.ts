/**
 * How long something takes by itself: a neighbour that takes the core away can only make a measurement longer, hardly each of
 * several.
 */

/** The least of what `measure` answers in so many rounds. */
export function leastOf(rounds: number, measure: () => number): number {
  return Math.min(...Array.from({ length: rounds }, measure))
}

/** The least time of so many runs, real ms. */
export function leastMs(rounds: number, run: () => void): number {
  return leastOf(rounds, () => {
    const startedAt = performance.now()
    run()
    return performance.now() - startedAt
  })
}
