/**
 * The ready jobs of one priority level, oldest first: a circular buffer. Positions count up for ever, so a job's
 * `place` (0 or more) finds its cell, and taking one out of the middle leaves a hole instead of moving the others.
 * Holes are squeezed out before the buffer grows, so it stays within four times the most jobs it held at once.
 */
import type { ReadyItem } from './ready-queue.js'

const firstCapacity = 16
/** What a ring has until its first item: most of them never get one. */
const noKeys = new Float64Array(0)

export class ReadyRing<T extends ReadyItem> {
  #items: (T | undefined)[] = []
  /** `readyAt` and `seq` of each item, in turn: the next head is compared without touching the job's own memory. */
  #keys = noKeys
  #mask = -1
  #head = 0
  #tail = 0
  /** Cells between head and tail whose item was taken out. */
  #holes = 0
  size = 0

  /** The oldest item's instant; only meaningful while `size > 0`. */
  get headAt(): number {
    return this.#keys[2 * (this.#head & this.#mask)] ?? Infinity
  }

  /** The oldest item's acceptance number; only meaningful while `size > 0`. */
  get headSeq(): number {
    return this.#keys[2 * (this.#head & this.#mask) + 1] ?? 0
  }

  get head(): T | undefined {
    return this.size === 0 ? undefined : this.#items[this.#head & this.#mask]
  }

  /** Whether the item may stand at the end: nothing in the ring comes after it. */
  accepts(item: T): boolean {
    if (this.size === 0) return true
    const last = 2 * ((this.#tail - 1) & this.#mask)
    const at = this.#keys[last] ?? Infinity
    return item.readyAt > at || (item.readyAt === at && item.seq > (this.#keys[last + 1] ?? Infinity))
  }

  push(item: T): void {
    if (this.#tail - this.#head > this.#mask) this.#makeRoom()
    const cell = this.#tail & this.#mask
    this.#items[cell] = item
    this.#keys[2 * cell] = item.readyAt
    this.#keys[2 * cell + 1] = item.seq
    item.place = this.#tail++
    this.size++
  }

  /** Takes the oldest item out; only while `size > 0`. */
  shift(): T | undefined {
    const cell = this.#head & this.#mask
    const item = this.#items[cell]
    this.#items[cell] = undefined
    this.#head++
    this.size--
    if (this.size === 0) this.#reset()
    else if (this.#holes > 0) this.#skipHoles()
    return item
  }

  remove(item: T): void {
    if (item.place === this.#head) {
      this.shift()
      return
    }
    this.#items[item.place & this.#mask] = undefined
    this.#holes++
    this.size--
  }

  *values(): IterableIterator<T> {
    for (let at = this.#head; at < this.#tail; at++) {
      const item = this.#items[at & this.#mask]
      if (item !== undefined) yield item
    }
  }

  #skipHoles(): void {
    while (this.#items[this.#head & this.#mask] === undefined) {
      this.#head++
      this.#holes--
    }
  }

  #reset(): void {
    this.#head = this.#tail
    this.#holes = 0
    if (this.#mask >= 4096) this.#allocate(firstCapacity)
  }

  #makeRoom(): void {
    const items = this.#items
    const mask = this.#mask
    const end = this.#tail
    const start = this.#head
    this.#allocate(Math.max(firstCapacity, this.size > (mask + 1) / 2 ? (mask + 1) * 2 : mask + 1))
    this.#head = this.#tail = this.size = this.#holes = 0
    for (let at = start; at < end; at++) {
      const item = items[at & mask]
      if (item !== undefined) this.push(item)
    }
  }

  #allocate(capacity: number): void {
    this.#items = new Array<T | undefined>(capacity).fill(undefined)
    this.#keys = new Float64Array(2 * capacity)
    this.#mask = capacity - 1
  }
}
