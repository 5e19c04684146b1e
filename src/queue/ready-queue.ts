/**
 * The ready jobs of one lane, in the order of the rule: the smallest `readyAt − priority × aging` first, ties by
 * acceptance. Every `aging` waited is worth one priority level, so nothing starves.
 *
 * One ring per priority level; within a level the rule is plain age, so only the heads need comparing. A job that comes
 * back older than the youngest of its level (interrupted, or due while the loop was blocked) goes into a small heap
 * beside the ring.
 */
import { ReadyRing } from './ready-ring.js'
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
    if (rank < (this.#ranks[level] ?? Infinity)) this.#ranks[level] = rank
  }

  /** The next item by the rule, without taking it. */
  peek(): T | undefined {
    const level = this.#bestLevel()
    return level < 0 ? undefined : this.#first(level)
  }

  /** Takes the next item by the rule. */
  pop(): T | undefined {
    const level = this.#bestLevel()
    if (level < 0) return undefined
    const ring = this.#rings[level]
    const returned = this.#returned[level]
    if (ring === undefined || returned === undefined) return undefined
    this.size--
    const item = returned.size > 0 && this.#first(level) === returned.first ? returned.shift() : ring.shift()
    this.#rerank(level)
    return item
  }

  /** Takes an item out, wherever it is. */
  remove(item: T): void {
    const level = item.priority
    if (item.place < 0) this.#returned[level]?.remove(item)
    else this.#rings[level]?.remove(item)
    this.size--
    this.#rerank(level)
  }

  /** When the item that is longest ready became so, or Infinity. Costs O(levels). */
  get oldestAt(): number {
    let oldest = Infinity
    for (let level = 0; level < levels; level++)
      oldest = Math.min(oldest, this.#first(level)?.readyAt ?? Infinity)
    return oldest
  }

  #bestLevel(): number {
    let best = -1
    let bestRank = Infinity
    for (let level = levels - 1; level >= 0; level--) {
      const rank = this.#ranks[level] ?? Infinity
      if (rank < bestRank || (rank === bestRank && rank !== Infinity && this.#isOlder(level, best))) {
        best = level
        bestRank = rank
      }
    }
    return best
  }

  #isOlder(level: number, than: number): boolean {
    return (this.#first(level)?.seq ?? Infinity) < (this.#first(than)?.seq ?? Infinity)
  }

  #first(level: number): T | undefined {
    const queued = this.#rings[level]?.head
    const returned = this.#returned[level]?.first
    if (queued === undefined || returned === undefined) return queued ?? returned
    if (returned.readyAt !== queued.readyAt) return returned.readyAt < queued.readyAt ? returned : queued
    return returned.seq < queued.seq ? returned : queued
  }

  #rerank(level: number): void {
    const ring = this.#rings[level]
    const returned = this.#returned[level]
    if (ring === undefined || returned === undefined) return
    const at = Math.min(ring.size > 0 ? ring.headAt : Infinity, returned.firstAt)
    this.#ranks[level] = at === Infinity ? Infinity : at - level * this.#agingMs
  }
}
