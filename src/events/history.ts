/**
 * Settled jobs, kept for a while so that their state and result can be asked for: completed ones apart from the others,
 * so that a flood of successes does not wash the failures away. Bounded by count, bytes and age.
 */
import { LRUCache } from 'lru-cache'
import { errorBytes, heldBytes } from '../job/held-bytes.js'
import type { Job } from '../job/job.js'
import { encodedSizeBytes, type EncodedPayload } from '../job/payload.js'
import type { Clock } from '../world.js'

export interface HistorySettings {
  /** Completed jobs kept. */
  readonly completed: number
  /** Failed, cancelled and expired jobs kept. */
  readonly failed: number
  /** Bytes of payloads, results and errors, for each of the two groups half. */
  readonly bytes: number
  readonly forMs: number
}

/** What a kept job takes beside payload, result and errors, roughly. */
const recordBytes = 300

export class History {
  readonly #completed: Shelf | undefined
  readonly #others: Shelf | undefined
  /** Completed jobs that have not entered their cache yet, oldest first: they do when somebody asks. */
  #recent: Job[] = []
  /** Bytes that came in since they last entered: at least what they hold. */
  #recentBytes = 0
  readonly #dropped: (job: Job) => void
  readonly #clock: Clock
  /** What the caches take for now: one reading serves all jobs of a report. Above 0, which would mean "no age". */
  #now = 1

  /** @param dropped told when a job is kept no longer */
  constructor(settings: HistorySettings, clock: Clock, dropped: (job: Job) => void) {
    this.#dropped = dropped
    this.#clock = clock
    const shelf = (max: number): Shelf | undefined =>
      max === 0
        ? undefined
        : new Shelf({
            max,
            maxSize: Math.max(1, Math.floor(settings.bytes / 2)),
            ttl: settings.forMs,
            ttlResolution: 0,
            perf: { now: () => this.#now },
            dispose: (job, _slot, reason) => {
              if (reason !== 'delete') dropped(job)
            },
          })
    this.#completed = shelf(settings.completed)
    this.#others = shelf(settings.failed)
  }

  keep(job: Job): void {
    const shelf = this.#shelfOf(job)
    const most = mostBytesOf(job)
    if (shelf === undefined || (most > shelf.maxSize && sizeOf(job) > shelf.maxSize))
      return this.#dropped(job)
    if (shelf === this.#others) return this.#enter(shelf, job)
    this.#recent.push(job)
    this.#recentBytes += most
    // In a flood most would be pushed out again before anybody asked: those never enter the cache.
    if (this.#recent.length >= 2 * shelf.max)
      for (const old of this.#recent.splice(0, shelf.max)) this.#dropped(old)
    if (this.#recentBytes > shelf.maxSize / 4) this.#enterRecent()
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
    return this.#shelfOf(job)?.has(job) ?? false
  }

  /** Gives a job up to its next generation. */
  take(job: Job): void {
    this.#shelfOf(job)?.delete(job)
  }

  #enterRecent(): void {
    const recent = this.#recent
    if (recent.length === 0 || this.#completed === undefined) return
    this.#recent = []
    this.#recentBytes = 0
    for (const job of recent) this.#enter(this.#completed, job)
  }

  #enter(shelf: Shelf, job: Job): void {
    this.#now = job.endedAt + 1
    shelf.add(job)
  }

  #shelfOf(job: Job): Shelf | undefined {
    return job.state === 'completed' ? this.#completed : this.#others
  }
}

/**
 * One of the two groups. Its cache is made for the first job: lru-cache sets up all it may ever hold, which for 10,000 takes
 * a millisecond and a megabyte, and most schedulers of a test suite never fail a job.
 */
class Shelf {
  readonly max: number
  readonly maxSize: number
  readonly #options: LRUCache.Options<number, Job, unknown>
  readonly #setOptions = { size: 1 }
  #cache: LRUCache<number, Job> | undefined

  constructor(options: LRUCache.Options<number, Job, unknown> & { max: number; maxSize: number }) {
    this.max = options.max
    this.maxSize = options.maxSize
    this.#options = options
  }

  get size(): number {
    return this.#cache?.size ?? 0
  }

  add(job: Job): void {
    this.#cache ??= new LRUCache(this.#options)
    this.#setOptions.size = sizeOf(job)
    this.#cache.set(job.slot, job, this.#setOptions)
  }

  has(job: Job): boolean {
    return this.#cache?.peek(job.slot) === job
  }

  delete(job: Job): void {
    this.#cache?.delete(job.slot)
  }
}

/** At least what `sizeOf` answers, without looking at the text. */
function mostBytesOf({ payload, details }: Job): number {
  const bytes = recordBytes + mostEncodedBytes(payload)
  if (details === undefined) return bytes
  const { result } = details
  return bytes + (result === undefined ? 0 : mostEncodedBytes(result)) + errorBytes(details)
}

function mostEncodedBytes(encoded: EncodedPayload): number {
  return typeof encoded === 'string' ? 3 * encoded.length : encodedSizeBytes(encoded)
}

function sizeOf(job: Job): number {
  return recordBytes + heldBytes(job)
}
