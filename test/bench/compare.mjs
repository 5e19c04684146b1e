/**
 * Turns samples into rows. The ratio is taken within each round, where both sides met the same machine, and the median
 * of those is reported; so it may differ a little from the ratio of the two medians.
 */

/**
 * @returns `{ row: { name, ours, peer, ratio, unit, rounds }, goal }` per comparison; figures that are not there are `null`
 */
export function compare(comparisons, results) {
  return comparisons.map(({ name, unit, figure, ours, peer, goal }) => {
    const our = samplesOf(results, ours, figure)
    const their = samplesOf(results, peer, figure)
    const ratios = our.length === their.length ? our.map((value, round) => value / their[round]) : []
    const rounds = Math.max(our.length, their.length)
    return {
      row: { name, ours: median(our), peer: median(their), ratio: median(ratios), unit, rounds },
      goal,
    }
  })
}

function samplesOf(results, { group, contender }, figure) {
  const result = results.find((each) => each.group === group && each.contender === contender)
  return values(result, figure)
}

/** One figure of a result in the order of the rounds; empty when the contender could not be measured. */
export function values(result, figure) {
  if (result.failure !== undefined) return []
  return result.samples.map((figures) => figures[figure]).filter((value) => typeof value === 'number')
}

/** The middle value, `null` of none. */
export function median(numbers) {
  if (numbers.length === 0) return null
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
