/**
 * The ready jobs of one priority level, oldest first: a circular buffer. Positions count up for ever, so a job's
 * `place` (0 or more) finds its cell, and taking one out of the middle leaves a hole instead of moving the others.
 * Holes are squeezed out before the buffer grows, so it stays within four times the most jobs it held at once.
 */
import type { ReadyItem } from './ready-queue.js'

const firstCapacity = 16
/** What a ring has until its first item: most of them never get one. */
const noKeys = new Uint32Array(0)
/** The last of a ring comes at most so many ms after the first; what comes later waits in the heap until the ring is empty. */
const longestMs = 2 ** 32 - 1

/** Of two acceptance numbers modulo 2^32: fewer than 2^31 jobs ever wait, so their distance tells. */
export function isBefore(seq: number, other: number): boolean {
  return ((seq - other) | 0) < 0
}

export class ReadyRing<T extends ReadyItem> {
  #items: (T | undefined)[] = []
  /**
   * Of each item `readyAt`, counted from the first since the ring was empty, then `seq` modulo 2^32: the next head is compared
   * without touching the job's own memory.
   */
  #keys = noKeys
  #since = 0
  #mask = -1
  #head = 0
  #tail = 0
  /** Cells between head and tail whose item was taken out. */
  #holes = 0
  size = 0

  /** The oldest item's instant; only meaningful while `size > 0`. */
  get headAt(): number {
    return this.#since + (this.#keys[2 * (this.#head & this.#mask)] ?? 0)
  }

  /** The oldest item's acceptance number, modulo 2^32; only meaningful while `size > 0`. */
  get headSeq(): number {
    return this.#keys[2 * (this.#head & this.#mask) + 1] ?? 0
  }

  get head(): T | undefined {
    return this.size === 0 ? undefined : this.#items[this.#head & this.#mask]
  }

  /** Whether the item may stand at the end: nothing in the ring comes after it, and it is within 49 days of the first. */
  accepts({ readyAt, seq }: T): boolean {
    if (this.size === 0) return true
    const last = 2 * ((this.#tail - 1) & this.#mask)
    const afterMs = readyAt - this.#since
    const lastMs = this.#keys[last] ?? 0
    if (afterMs !== lastMs) return afterMs > lastMs && afterMs <= longestMs
    return isBefore(this.#keys[last + 1] ?? 0, seq)
  }

  push(item: T): void {
    if (this.#tail - this.#head > this.#mask) this.#makeRoom()
    if (this.size === 0) this.#since = item.readyAt
    const cell = this.#tail & this.#mask
    this.#items[cell] = item
    this.#keys[2 * cell] = item.readyAt - this.#since
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
    this.#keys = new Uint32Array(2 * capacity)
    this.#mask = capacity - 1
  }
}
