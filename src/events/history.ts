/**
 * Settled jobs, kept for a while so that their state and result can be asked for: completed ones apart from the others,
 * so that a flood of successes does not wash the failures away. Bounded by count, bytes and age.
 */
import { LRUCache } from 'lru-cache'
import type { Job } from '../job/job.js'
import { encodedSizeBytes } from '../job/payload.js'
import type { Clock } from '../world.js'

export interface HistorySettings {
  /** Completed jobs kept. */
  readonly completed: number
  /** Failed, cancelled and expired jobs kept. */
  readonly failed: number
  /** Bytes of payloads and results, for each of the two groups half. */
  readonly bytes: number
  readonly forMs: number
}

/** What a kept job takes beside payload and result, roughly. */
const recordBytes = 300

export class History {
  readonly #completed: LRUCache<number, Job> | undefined
  readonly #others: LRUCache<number, Job> | undefined
  readonly #dropped: (job: Job) => void
  readonly #setOptions = { size: 1 }
  readonly #clock: Clock
  /** What the caches take for now: one reading serves all jobs of a report. Above 0, which would mean "no age". */
  #now = 1

  /** @param dropped told when a job is kept no longer */
  constructor(settings: HistorySettings, clock: Clock, dropped: (job: Job) => void) {
    this.#dropped = dropped
    this.#clock = clock
    const cache = (max: number): LRUCache<number, Job> | undefined =>
      max === 0
        ? undefined
        : new LRUCache<number, Job>({
            max,
            maxSize: Math.max(1, Math.floor(settings.bytes / 2)),
            ttl: settings.forMs,
            ttlResolution: 0,
            perf: { now: () => this.#now },
            dispose: (job, _slot, reason) => {
              if (reason !== 'delete') dropped(job)
            },
          })
    this.#completed = cache(settings.completed)
    this.#others = cache(settings.failed)
  }

  keep(job: Job): void {
    const cache = this.#cacheOf(job)
    const size = sizeOf(job)
    if (cache === undefined || size > cache.maxSize) this.#dropped(job)
    else {
      this.#now = job.endedAt + 1
      this.#setOptions.size = size
      cache.set(job.slot, job, this.#setOptions)
    }
  }

  /** Settled jobs that are kept, those included whose time is over and that nobody asked for since. */
  get size(): number {
    return (this.#completed?.size ?? 0) + (this.#others?.size ?? 0)
  }

  /** Whether the settled job is still kept. */
  has(job: Job): boolean {
    this.#now = this.#clock.now() + 1
    return this.#cacheOf(job)?.peek(job.slot) === job
  }

  /** Gives a job up to its next generation. */
  take(job: Job): void {
    this.#cacheOf(job)?.delete(job.slot)
  }

  #cacheOf(job: Job): LRUCache<number, Job> | undefined {
    return job.state === 'completed' ? this.#completed : this.#others
  }
}

function sizeOf(job: Job): number {
  return recordBytes + encodedSizeBytes(job.payload) + encodedSizeBytes(job.details?.result)
}
