/**
 * The ready jobs of one lane, in the order of the rule: the smallest `readyAt − priority × aging` first, ties by
 * acceptance. Every `aging` waited is worth one priority level, so nothing starves.
 *
 * One ring per priority level; within a level the rule is plain age, so only the heads need comparing: they play a
 * knock-out, of which a change of one head replays its own matches only. A job that comes back older than the youngest of
 * its level (interrupted, or due while the loop was blocked) goes into a small heap beside the ring.
 */
import { isBefore, ReadyRing } from './ready-ring.js'
import { TimeHeap } from './time-heap.js'

/** What the queue holds. */
export interface ReadyItem {
  /** 0–9, higher first. Constant while queued. */
  readonly priority: number
  /** When it became ready, whole ms. Constant while queued. */
  readonly readyAt: number
  /** Acceptance number; breaks ties. */
  readonly seq: number
  /** Written by the queue while the item is in it. */
  place: number
}

const levels = 10
/** Stands for `aging: false`: a priority level outweighs any wait. Sums stay exact in a double. */
const endlessAgingMs = 2 ** 44

export class ReadyQueue<T extends ReadyItem> {
  readonly #agingMs: number
  readonly #rings = Array.from({ length: levels }, () => new ReadyRing<T>())
  readonly #returned = Array.from({ length: levels }, () => new TimeHeap<T>())
  /** Per level, the rank of its first item; Infinity when the level is empty. */
  readonly #ranks = new Float64Array(levels).fill(Infinity)
  /** Per level, the acceptance number of its first item, modulo 2^32. */
  readonly #seqs = new Uint32Array(levels)
  /**
   * The knock-out of the levels' first items: match n is between the winners of 2n and 2n + 1, entry 10 + level is the
   * level itself, and entry 1 is the level of the next item.
   */
  readonly #winners = firstOfEach()
  size = 0

  /** @param aging ms of waiting worth one priority level, or false for strict priority */
  constructor(aging: number | false) {
    this.#agingMs = aging === false ? endlessAgingMs : aging
  }

  push(item: T): void {
    const level = item.priority
    const ring = this.#rings[level]
    if (ring === undefined) throw new RangeError(`priority ${level}`)
    if (ring.accepts(item)) ring.push(item)
    else this.#returned[level]?.add(item, item.readyAt)
    this.size++
    const rank = item.readyAt - level * this.#agingMs
    const first = this.#ranks[level] ?? Infinity
    if (rank > first) return
    // A tie is rare here: only an older job that came back.
    if (rank < first || this.#first(level) === item) this.#rank(level, rank, item.seq)
  }

  /** The next item by the rule, without taking it. */
  peek(): T | undefined {
    return this.size === 0 ? undefined : this.#first(this.#best)
  }

  /** Takes the next item by the rule. */
  pop(): T | undefined {
    const level = this.#best
    const ring = this.#rings[level]
    const returned = this.#returned[level]
    if (this.size === 0 || ring === undefined || returned === undefined) return undefined
    this.size--
    const isReturned = returned.size > 0 && this.#first(level) === returned.first
    const item = isReturned ? returned.shift() : ring.shift()
    this.#rerank(level, ring, returned)
    return item
  }

  /** Takes an item out, wherever it is. */
  remove(item: T): void {
    const level = item.priority
    const ring = this.#rings[level]
    const returned = this.#returned[level]
    if (ring === undefined || returned === undefined) return
    if (item.place < 0) returned.remove(item)
    else ring.remove(item)
    this.size--
    this.#rerank(level, ring, returned)
  }

  /** Rank of the next item: `readyAt − priority × aging`; Infinity when empty. */
  get firstRank(): number {
    return this.#ranks[this.#best] ?? Infinity
  }

  /** Whether the rule takes the one before the other. */
  isBefore(one: T, other: T): boolean {
    const lead = one.readyAt - other.readyAt - (one.priority - other.priority) * this.#agingMs
    return lead < 0 || (lead === 0 && one.seq < other.seq)
  }

  /** Every item, in no order. */
  *values(): IterableIterator<T> {
    for (const ring of this.#rings) yield* ring.values()
    for (const returned of this.#returned) yield* returned.values()
  }

  /** When the item that is longest ready became so, or Infinity. Costs O(levels). */
  get oldestAt(): number {
    let oldest = Infinity
    for (let level = 0; level < levels; level++)
      oldest = Math.min(oldest, this.#first(level)?.readyAt ?? Infinity)
    return oldest
  }

  /** The level of the next item; any when there is none. */
  get #best(): number {
    return this.#winners[1] ?? 0
  }

  #first(level: number): T | undefined {
    const queued = this.#rings[level]?.head
    const returned = this.#returned[level]?.first
    if (queued === undefined || returned === undefined) return queued ?? returned
    if (returned.readyAt !== queued.readyAt) return returned.readyAt < queued.readyAt ? returned : queued
    return returned.seq < queued.seq ? returned : queued
  }

  #rerank(level: number, ring: ReadyRing<T>, returned: TimeHeap<T>): void {
    if (returned.size > 0) {
      const first = this.#first(level)
      if (first !== undefined) this.#rank(level, first.readyAt - level * this.#agingMs, first.seq)
    } else if (ring.size === 0) this.#rank(level, Infinity, 0)
    else this.#rank(level, ring.headAt - level * this.#agingMs, ring.headSeq)
  }

  /** Notes the first item of a level, and plays its matches. */
  #rank(level: number, rank: number, seq: number): void {
    const ranks = this.#ranks
    const seqs = this.#seqs
    const winners = this.#winners
    ranks[level] = rank
    seqs[level] = seq
    let winner = level
    let winnersRank = rank
    for (let entry = level + levels; entry > 1; entry >>= 1) {
      const other = winners[entry ^ 1] ?? 0
      const othersRank = ranks[other] ?? Infinity
      if (
        othersRank < winnersRank ||
        (othersRank === winnersRank && isBefore(seqs[other] ?? 0, seqs[winner] ?? 0))
      ) {
        winner = other
        winnersRank = othersRank
      }
      winners[entry >> 1] = winner
    }
  }
}

/** The knock-out of levels without items: whoever stands first wins. */
function firstOfEach(): Uint8Array {
  const winners = new Uint8Array(2 * levels)
  for (let n = 2 * levels - 1; n > 0; n--) winners[n] = n < levels ? (winners[2 * n] ?? 0) : n - levels
  return winners
}
