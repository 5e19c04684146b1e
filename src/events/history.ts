/**
 * Settled jobs, kept for a while so that their state and result can be asked for: completed ones apart from the others,
 * so that a flood of successes does not wash the failures away. Bounded by count, bytes and age.
 */
import { LRUCache } from 'lru-cache'
import type { Job } from '../job/job.js'
import { encodedSizeBytes, type EncodedPayload } from '../job/payload.js'
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
  /** Completed jobs that have not entered their cache yet, oldest first: they do when somebody asks. */
  #recent: Job[] = []
  /** Bytes that came in since they last entered: at least what they hold. */
  #recentBytes = 0
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
    const most = mostBytesOf(job)
    if (cache === undefined || (most > cache.maxSize && sizeOf(job) > cache.maxSize))
      return this.#dropped(job)
    if (cache === this.#others) return this.#enter(cache, job)
    this.#recent.push(job)
    this.#recentBytes += most
    // In a flood most would be pushed out again before anybody asked: those never enter the cache.
    if (this.#recent.length >= 2 * cache.max)
      for (const old of this.#recent.splice(0, cache.max)) this.#dropped(old)
    if (this.#recentBytes > cache.maxSize / 4) this.#enterRecent()
  }

  /** Settled jobs that are kept, those included whose time is over and that nobody asked for since. */
  get size(): number {
    this.#enterRecent()
    return (this.#completed?.size ?? 0) + (this.#others?.size ?? 0)
  }

  /** Whether the settled job is still kept. */
  has(job: Job): boolean {
    this.#enterRecent()
    this.#now = this.#clock.now() + 1
    return this.#cacheOf(job)?.peek(job.slot) === job
  }

  /** Gives a job up to its next generation. */
  take(job: Job): void {
    this.#cacheOf(job)?.delete(job.slot)
  }

  #enterRecent(): void {
    const recent = this.#recent
    if (recent.length === 0 || this.#completed === undefined) return
    this.#recent = []
    this.#recentBytes = 0
    for (const job of recent) this.#enter(this.#completed, job)
  }

  #enter(cache: LRUCache<number, Job>, job: Job): void {
    this.#now = job.endedAt + 1
    this.#setOptions.size = sizeOf(job)
    cache.set(job.slot, job, this.#setOptions)
  }

  #cacheOf(job: Job): LRUCache<number, Job> | undefined {
    return job.state === 'completed' ? this.#completed : this.#others
  }
}

/** At least what `sizeOf` answers, without looking at the text. */
function mostBytesOf(job: Job): number {
  const result = job.details?.result
  return recordBytes + mostEncodedBytes(job.payload) + (result === undefined ? 0 : mostEncodedBytes(result))
}

function mostEncodedBytes(encoded: EncodedPayload): number {
  return typeof encoded === 'string' ? 3 * encoded.length : encodedSizeBytes(encoded)
}

function sizeOf(job: Job): number {
  return recordBytes + encodedSizeBytes(job.payload) + encodedSizeBytes(job.details?.result)
}
