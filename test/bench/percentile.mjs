/** The value below which the given share (0–1) of the numbers lies; sorts them in place. `undefined` of none. */
export function percentile(numbers, share) {
  numbers.sort((a, b) => a - b)
  return numbers[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]
}
