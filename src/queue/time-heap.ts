/**
 * Things by instant, the earliest first, ties by acceptance. One implementation for everything timed: delayed jobs and
 * alarms (the agenda), and jobs that come back to the ready queue out of order.
 *
 * A 4-ary heap whose keys lie in a typed array, so that a walk down touches few cache lines. Each item knows its
 * position (`place` = −1 − index), so removing one costs O(log n) and no search.
 */

/** What the heap holds. */
export interface HeapItem {
  /** Breaks ties: smaller first. */
  readonly seq: number
  /** Written by the heap while the item is in it: −1 − index. */
  place: number
}

const firstCapacity = 64
/** What a heap has until its first item: most of them never get one. */
const noKeys = new Float64Array(0)

export class TimeHeap<T extends HeapItem> {
  #keys = noKeys
  #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** The earliest instant, or Infinity. */
  get firstAt(): number {
    return this.#items.length === 0 ? Infinity : (this.#keys[0] ?? Infinity)
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T, at: number): void {
    const index = this.#items.length
    if (index === this.#keys.length) this.#grow()
    this.#items.push(item)
    this.#up(index, item, at)
  }

  /** Takes the earliest item out. */
  shift(): T | undefined {
    const first = this.#items[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Takes an item out, wherever it is. */
  remove(item: T): void {
    const index = -1 - item.place
    const last = this.#items.pop()
    if (last === undefined) return
    const end = this.#items.length
    if (index < end) {
      const key = this.#keys[end] ?? Infinity
      if (index > 0 && this.#before(last, key, (index - 1) >> 2)) this.#up(index, last, key)
      else this.#down(index, last, key)
    }
    if (end === 0 && this.#keys.length > firstCapacity * 16) this.#keys = noKeys
  }

  /** Every item, in no order. */
  values(): readonly T[] {
    return this.#items
  }

  /** Every item up to the instant, earliest first, or none where there are more than `most`. They stay. O(most). */
  until(at: number, most: number): T[] {
    const found: { readonly item: T; readonly key: number }[] = []
    const open = [0]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const item = this.#items[index]
      const key = this.#keys[index] ?? Infinity
      if (item === undefined || key > at) continue // nor is what lies below it
      if (found.length === most) return []
      found.push({ item, key })
      for (let child = index * 4 + 1; child <= index * 4 + 4; child++) open.push(child)
    }
    found.sort((a, b) => a.key - b.key || a.item.seq - b.item.seq)
    return found.map(({ item }) => item)
  }

  #grow(): void {
    const larger = new Float64Array(Math.max(firstCapacity, this.#keys.length * 2))
    larger.set(this.#keys)
    this.#keys = larger
  }

  #before(item: T, key: number, index: number): boolean {
    const other = this.#keys[index] ?? Infinity
    return key < other || (key === other && item.seq < (this.#items[index]?.seq ?? Infinity))
  }

  #put(index: number, item: T, key: number): void {
    this.#items[index] = item
    this.#keys[index] = key
    item.place = -1 - index
  }

  #up(start: number, item: T, key: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 2
      if (!this.#before(item, key, parent)) break
      this.#move(parent, index)
      index = parent
    }
    this.#put(index, item, key)
  }

  #down(start: number, item: T, key: number): void {
    const size = this.#items.length
    let index = start
    for (;;) {
      const child = this.#leastChild(index, size)
      if (child < 0 || this.#before(item, key, child)) break
      this.#move(child, index)
      index = child
    }
    this.#put(index, item, key)
  }

  #move(from: number, to: number): void {
    const item = this.#items[from]
    if (item !== undefined) this.#put(to, item, this.#keys[from] ?? Infinity)
  }

  #leastChild(index: number, size: number): number {
    const first = index * 4 + 1
    if (first >= size) return -1
    let least = first
    for (let child = first + 1; child < Math.min(first + 4, size); child++) {
      const item = this.#items[child]
      if (item !== undefined && this.#before(item, this.#keys[child] ?? Infinity, least)) least = child
    }
    return least
  }
}
