/** Measuring on a machine where others want the cores too. */

/** The one in the middle: half of the values are no larger. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}
