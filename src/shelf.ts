/** What has settled and is kept for a while, bounded by count, bytes and age. */
import { LRUCache } from 'lru-cache'

/** The `keep` option of the scheduler. */
export interface KeepSettings {
  /** Completed jobs kept. */
  readonly completed: number
  /** Failed, cancelled and expired jobs kept. */
  readonly failed: number
  /** Bytes of payloads, results and errors, for each of the two groups half. */
  readonly bytes: number
  readonly forMs: number
}

export interface ShelfBounds {
  /** 1 or more. */
  readonly most: number
  readonly mostBytes: number
  readonly forMs: number
}

/**
 * Its cache is made for the first value: lru-cache sets up all it may ever hold, which for 10,000 takes a millisecond and a
 * megabyte, and most schedulers of a test suite never fail a job.
 */
export class Shelf<K extends string | number, V extends object> {
  readonly most: number
  readonly mostBytes: number
  readonly #options: LRUCache.Options<K, V, unknown>
  readonly #setOptions = { size: 1 }
  #cache: LRUCache<K, V> | undefined

  /**
   * @param now the instant by which ages are counted
   * @param dropped told of a value that is kept no longer, unless it was taken out
   */
  constructor({ most, mostBytes, forMs }: ShelfBounds, now: () => number, dropped: (value: V) => void) {
    this.most = most
    this.mostBytes = mostBytes
    this.#options = {
      max: most,
      maxSize: mostBytes,
      ttl: forMs,
      ttlResolution: 0,
      // Above 0, which would mean "no age".
      perf: { now: () => now() + 1 },
      dispose: (value, _key, reason) => {
        if (reason !== 'delete') dropped(value)
      },
    }
  }

  get size(): number {
    return this.#cache?.size ?? 0
  }

  put(key: K, value: V, bytes: number): void {
    this.#cache ??= new LRUCache(this.#options)
    this.#setOptions.size = bytes
    this.#cache.set(key, value, this.#setOptions)
  }

  /** Who is looked up stays longer than others. */
  lookUp(key: K): V | undefined {
    return this.#cache?.get(key)
  }

  has(key: K, value: V): boolean {
    return this.#cache?.peek(key) === value
  }

  take(key: K): void {
    this.#cache?.delete(key)
  }
}

/** Bytes of each of the two groups. */
export function halfOf({ bytes }: KeepSettings): number {
  return Math.max(1, Math.floor(bytes / 2))
}
