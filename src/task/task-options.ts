import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { SerializedError } from '../job/serialized-error.js'
import type { Lane } from '../job/snapshot.js'
import type { Duration, Priority } from '../options.js'

/**
 * When a failed attempt is tried again.
 * - `exponential` (default): `delay × factor^(attempt−1)`, at most `max`, ± `jitter`.
 *   Defaults: delay '1m'; factor 2, from 1; max '1h', or `delay` where that is longer (never below `delay`); jitter 0.1, a
 *   share of the wait from 0 to 1. So 1, 2, 4, 8 … minutes, ± 10 %.
 * - `fixed`: always `delay` ± `jitter` (0 unless told otherwise).
 * - a function `(attempt, error) => delay | false`; `false` means no retry. It runs on the main thread and gets the
 *   recorded error data.
 */
export type Backoff =
  | {
      type: 'exponential'
      delay?: Duration | undefined
      factor?: number | undefined
      max?: Duration | undefined
      jitter?: number | undefined
    }
  | { type: 'fixed'; delay: Duration; jitter?: number | undefined }
  | ((attempt: number, error: SerializedError) => Duration | false)

/**
 * How a second job of one key is treated.
 * - `'first'` (default): while the first is unsettled, or until `ttl` after it was accepted, `defer` answers it.
 *   A job that failed, was cancelled or expired frees its key at once.
 * - `'last'`: a job that has not started takes the new payload and starts its delay again (debounce); one that has
 *   started gets at most one follower, with the latest payload, which starts after it has settled.
 */
export interface DedupeOptions {
  /** Default 'first'. */
  mode?: 'first' | 'last' | undefined
  /** A duration above 0; without it the key is free when the job has settled. */
  ttl?: Duration | undefined
}

/** How a task's jobs run. `createScheduler({ defaults })` sets what a task does not say. */
export interface TaskOptions<P = unknown> {
  /** `'cpu'` (default): a thread to itself; `'io'`: shares a thread with waiting jobs; `'main'`: the main thread. */
  lane?: Lane | undefined
  /** Most attempts, 1–100; default 5. Interruptions are not counted. */
  attempts?: number | undefined
  /** When a failed attempt is tried again; see Backoff for the defaults. */
  backoff?: Backoff | undefined
  /** Longest one attempt may run; default '5m', `false` for no limit. */
  timeout?: Duration | false | undefined
  /** Grace between the abort signal and force; default '5s', 0 allowed; at most 800 ms while the scheduler closes. */
  killAfter?: Duration | undefined
  /**
   * Longest silence of a running attempt: it must end, report progress or call `heartbeat()` within it, or it is taken
   * for lost, as after `timeout`. Default: silence is no matter.
   */
  visibilityTimeout?: Duration | undefined
  /** 0–9 or 'low' (2), 'normal' (5, default), 'high' (8). */
  priority?: Priority | undefined
  /** Most running at once: of the task, or of each key. Limited jobs hold no place while they wait. */
  concurrency?: number | { limit: number; key?: ((payload: P) => string) | undefined } | undefined
  /** At most `limit` starts (retries included) in any window of length `per`: of the task, or of each key. */
  rateLimit?: { limit: number; per: Duration; key?: ((payload: P) => string) | undefined } | undefined
  /** Name or names of limits shared between tasks, from `createScheduler({ limits })`. */
  limits?: string | readonly string[] | undefined
  /** Jobs of one key are taken for one; see DedupeOptions. A function alone means mode 'first' without `ttl`. */
  dedupe?: ((payload: P) => string) | (DedupeOptions & { key: (payload: P) => string }) | undefined
  /** Jobs of one key run one at a time, in order; `undefined` for none. Called with the payload at `defer`. */
  orderingKey?: ((payload: P) => string | undefined) | undefined
  /** What a finally failed job does to its key: `'skip'` (default) lets the next run, `'halt'` stops the line. */
  onExhausted?: 'skip' | 'halt' | undefined
  /** No attempt starts later than this after `runAt` (retries included). Default: never expires. */
  expiresIn?: Duration | undefined
  /** Payload and result never appear in logs, events or endpoints. Default false. */
  sensitive?: boolean | undefined
}

/** Task options plus a schema that payloads are validated with, once, synchronously, at `defer`. */
export interface TaskOptionsWithInput<P, I> extends TaskOptions<P> {
  /** Any Standard Schema (zod, valibot, arktype …). Its output is what is serialised and what the handler gets. */
  input?: StandardSchemaV1<I, P> | undefined
}
