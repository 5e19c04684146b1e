/** Measuring on a machine where others want the cores too. */
import { readFileSync } from 'node:fs'

/** Ms for which this thread could have run and other programs had the cores, as Linux counts them; elsewhere 0. */
export function standingMs(): number {
  if (process.platform !== 'linux') return 0
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
}

/** The one in the middle: half of the values are no larger. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}
