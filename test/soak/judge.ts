/** What the soak allows: figures of the second fifth of its time against those of the last. */

/** What the app measured of itself at one moment, garbage collected. */
export interface Sample {
  readonly rssMb: number
  readonly heapMb: number
  readonly externalMb: number
  readonly handles: number
  readonly timers: number
  readonly descriptors: number
  readonly threads: number
  readonly unsettled: number
}

export interface Row {
  readonly figure: string
  readonly before?: number
  readonly after: number
  /** Most that `after` may be, or least where `atLeast`. */
  readonly bound: number
  readonly atLeast?: boolean
}

/** How much a figure may grow from the second fifth to the last: a share, and as much besides. */
const growth: Record<keyof Sample, { share: number; besides: number }> = {
  rssMb: { share: 0.05, besides: 5 },
  heapMb: { share: 0.02, besides: 0.5 },
  externalMb: { share: 0.05, besides: 1 },
  handles: { share: 0, besides: 1 },
  timers: { share: 0.1, besides: 2 },
  descriptors: { share: 0.1, besides: 4 },
  threads: { share: 0, besides: 1 },
  unsettled: { share: 0.5, besides: 20 },
}

/** One row for each figure of the samples. */
export function judgeSamples(samples: readonly Sample[]): Row[] {
  const fifth = Math.floor(samples.length / 5)
  if (fifth < 3) throw new Error(`${samples.length} samples are too few to compare fifths of.`)
  const second = samples.slice(fifth, 2 * fifth)
  const last = samples.slice(-fifth)
  return (Object.keys(growth) as (keyof Sample)[]).map((figure) => {
    const before = median(second.map((sample) => sample[figure]))
    const { share, besides } = growth[figure]
    return {
      figure,
      before,
      after: median(last.map((sample) => sample[figure])),
      bound: before * (1 + share) + besides,
    }
  })
}

export const holds = ({ after, bound, atLeast = false }: Row): boolean =>
  atLeast ? after >= bound : after <= bound

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}
