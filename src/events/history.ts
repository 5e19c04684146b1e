/**
 * Settled jobs, kept for a while so that their state and result can be asked for: completed ones apart from the others,
 * so that a flood of successes does not wash the failures away. Bounded by count, bytes and age.
 */
import { errorBytes, heldBytes } from '../job/held-bytes.js'
import type { Job } from '../job/job.js'
import { encodedSizeBytes, type EncodedPayload } from '../job/payload.js'
import { halfOf, type KeepSettings, Shelf } from '../shelf.js'
import type { Clock } from '../world.js'

type JobShelf = Shelf<number, Job>

/** What a kept job takes beside payload, result and errors, roughly. */
const recordBytes = 300

export class History {
  readonly #completed: JobShelf | undefined
  readonly #others: JobShelf | undefined
  /** Completed jobs that have not entered their cache yet, oldest first: they do when somebody asks. */
  #recent: Job[] = []
  /** Bytes that came in since they last entered: at least what they hold. */
  #recentBytes = 0
  readonly #dropped: (job: Job) => void
  readonly #clock: Clock
  /** What the shelves take for now: one reading serves all jobs of a report. */
  #now = 0

  /** @param dropped told when a job is kept no longer */
  constructor(settings: KeepSettings, clock: Clock, dropped: (job: Job) => void) {
    this.#dropped = dropped
    this.#clock = clock
    const bounds = { mostBytes: halfOf(settings), forMs: settings.forMs }
    const shelf = (most: number): JobShelf | undefined =>
      most === 0 ? undefined : new Shelf({ most, ...bounds }, () => this.#now, dropped)
    this.#completed = shelf(settings.completed)
    this.#others = shelf(settings.failed)
  }

  keep(job: Job): void {
    const shelf = this.#shelfOf(job)
    const most = mostBytesOf(job)
    if (shelf === undefined || (most > shelf.mostBytes && sizeOf(job) > shelf.mostBytes))
      return this.#dropped(job)
    if (shelf === this.#others) return this.#enter(shelf, job)
    this.#recent.push(job)
    this.#recentBytes += most
    // In a flood most would be pushed out again before anybody asked: those never enter the cache.
    if (this.#recent.length >= 2 * shelf.most)
      for (const old of this.#recent.splice(0, shelf.most)) this.#dropped(old)
    if (this.#recentBytes > shelf.mostBytes / 4) this.#enterRecent()
  }

  /** Settled jobs that are kept, those included whose time is over and that nobody asked for since. */
  get size(): number {
    this.#enterRecent()
    return (this.#completed?.size ?? 0) + (this.#others?.size ?? 0)
  }

  /** Whether the settled job is still kept. */
  has(job: Job): boolean {
    this.#enterRecent()
    this.#now = this.#clock.now()
    return this.#shelfOf(job)?.has(job.slot, job) ?? false
  }

  /** Gives a job up to its next generation. */
  take(job: Job): void {
    this.#shelfOf(job)?.take(job.slot)
  }

  #enterRecent(): void {
    const recent = this.#recent
    if (recent.length === 0 || this.#completed === undefined) return
    this.#recent = []
    this.#recentBytes = 0
    for (const job of recent) this.#enter(this.#completed, job)
  }

  #enter(shelf: JobShelf, job: Job): void {
    this.#now = job.endedAt
    shelf.put(job.slot, job, sizeOf(job))
  }

  #shelfOf(job: Job): JobShelf | undefined {
    return job.state === 'completed' ? this.#completed : this.#others
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
