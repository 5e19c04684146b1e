import type { Job } from '../job/job.js'
import type { Lane } from '../job/snapshot.js'
import type { Limit } from './limit.js'
import type { ReadyQueue } from './ready-queue.js'
import type { HeapItem } from './time-heap.js'

/** What a group needs of its lane's queue. */
export interface GroupPort {
  opened(group: GatedGroup): void
}

/** Where a group stands among all of its lane, open or shut, by the job that is longest ready. Lane queue only. */
export interface GroupAge extends HeapItem {
  /** When that job became ready; Infinity while there is none. */
  oldestAt: number
}

/** The ready jobs of a lane that have to pass the same limits, in the order of the rule. */
export class GatedGroup {
  readonly name: string
  readonly lane: Lane
  readonly limits: readonly Limit[]
  readonly ready: ReadyQueue<Job>
  readonly #port: GroupPort
  /** The limit that keeps it shut; undefined while it is open. */
  shutBy: Limit | undefined = undefined
  /** Whether it stands among its lane's open groups. Lane queue only. */
  isListed = false
  /** Rank of its first job. */
  rank = Infinity
  /** Acceptance number of that job. */
  seq = 0
  place = 0
  readonly age: GroupAge = { oldestAt: Infinity, seq: 0, place: 0 }

  constructor(name: string, lane: Lane, limits: readonly Limit[], ready: ReadyQueue<Job>, port: GroupPort) {
    this.name = name
    this.lane = lane
    this.limits = limits
    this.ready = ready
    this.#port = port
    for (const limit of limits) limit.users++
  }

  /** The first limit that lets no job start now. */
  closedLimit(now: number): Limit | undefined {
    return this.limits.find((limit) => limit.available(now) <= 0)
  }

  /** Takes the rank of its first job. Only while it stands in no heap, which would lose it. */
  rerank(): void {
    this.rank = this.ready.firstRank
    this.seq = this.ready.peek()?.seq ?? 0
  }

  /** Leaves the limit that kept it shut and stands among the open groups again. */
  reopen(): void {
    this.shutBy?.release(this)
    this.#port.opened(this)
  }
}
