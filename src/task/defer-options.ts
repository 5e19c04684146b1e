import type { Duration, Priority } from '../options.js'
import type { Backoff, DedupeOptions } from './task-options.js'

/** What one `defer` can say for itself; everything here wins over the task's options. */
export interface DeferOptions {
  /** 0–9 or 'low' (2), 'normal' (5), 'high' (8). */
  priority?: Priority | undefined
  /** Not before this long from now. Default 0. */
  delay?: Duration | undefined
  /**
   * Not before this instant: a Date or ms since the epoch, at most 10 years ahead; one that has passed: at once. Not
   * together with `delay`.
   */
  runAt?: Date | number | undefined
  /** Jobs of one key run one at a time, in the order in which they joined the key's line. 1–256 bytes. */
  orderingKey?: string | undefined
  /** Takes jobs of this key for one: the key (1–256 bytes), or the key with mode and ttl. */
  dedupe?: string | (DedupeOptions & { key: string }) | undefined
  /** Most attempts, 1–100. */
  attempts?: number | undefined
  /** When a failed attempt is tried again; see Backoff. */
  backoff?: Backoff | undefined
  /** Longest one attempt may run; `false` for no limit. */
  timeout?: Duration | false | undefined
  /** No attempt starts later than this after `runAt`: the job settles as expired then. */
  expiresIn?: Duration | undefined
  /** When it aborts, the job is cancelled, whatever its state or generation. */
  signal?: AbortSignal | undefined
  /** An id of your own: 1–256 bytes, not in use, not '.' or '..'. Guessable ids need an `authorize` hook wherever ids are exposed. */
  id?: string | undefined
}
