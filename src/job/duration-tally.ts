/** How many durations fell into which bucket: what a histogram shows, kept so that adding one costs a few nanoseconds. */

/** Upper bounds of the buckets, ms; one more bucket is for what is longer. */
export const bucketBoundsMs: readonly number[] = [
  5, 25, 100, 250, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000,
]

/** Durations up to here find their bucket in a table. */
const tableMs = 1_000
const bucketOfMs = Uint8Array.from({ length: tableMs + 1 }, (_, ms) => firstBucket(ms))

export class DurationTally {
  /** Parallel to `bucketBoundsMs`, and one for what is longer. Not cumulative. */
  readonly counts = new Float64Array(bucketBoundsMs.length + 1)
  sumMs = 0

  /** @param ms whole, from 0 */
  add(ms: number): void {
    const bucket = ms <= tableMs ? (bucketOfMs[ms] ?? 0) : firstBucket(ms)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sumMs += ms
  }
}

function firstBucket(ms: number): number {
  const bucket = bucketBoundsMs.findIndex((bound) => ms <= bound)
  return bucket < 0 ? bucketBoundsMs.length : bucket
}
