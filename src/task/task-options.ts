import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { SerializedError } from '../job/serialized-error.js'
import type { Lane } from '../job/snapshot.js'
import type { Duration, Priority } from '../options.js'

/**
 * When a failed attempt is tried again.
 * - `exponential` (default): `delay × factor^(attempt−1)`, at most `max`, ± `jitter`.
 *   Defaults: delay '1m', factor 2, max '1h', jitter 0.1; so 1, 2, 4, 8 … minutes, ± 10 %.
 * - `fixed`: always `delay` ± `jitter` (0 unless told otherwise).
 * - a function `(attempt, error) => delay | false`; `false` means no retry. It runs on the main thread and gets the
 *   recorded error data.
 */
export type Backoff =
  | { type: 'exponential'; delay?: Duration; factor?: number; max?: Duration; jitter?: number }
  | { type: 'fixed'; delay: Duration; jitter?: number }
  | ((attempt: number, error: SerializedError) => Duration | false)

/** How a task's jobs run. `createScheduler({ defaults })` sets what a task does not say. */
export interface TaskOptions<P = unknown> {
  /** `'cpu'` (default): a thread to itself; `'io'`: shares a thread with waiting jobs; `'main'`: the main thread. */
  lane?: Lane
  /** Most attempts, 1–100; default 5. Interruptions are not counted. */
  attempts?: number
  backoff?: Backoff
  /** Longest one attempt may run; default '5m', `false` for no limit. */
  timeout?: Duration | false
  /** Grace between the abort signal and force; default '5s'. */
  killAfter?: Duration
  /** 0–9 or 'low' (2), 'normal' (5, default), 'high' (8). */
  priority?: Priority
  /** Jobs of one key run one at a time, in order; `undefined` for none. Called with the payload at `defer`. */
  orderingKey?: (payload: P) => string | undefined
  /** What a finally failed job does to its key: `'skip'` (default) lets the next run, `'halt'` stops the line. */
  onExhausted?: 'skip' | 'halt'
  /** No attempt starts later than this after `runAt` (retries included). Default: never expires. */
  expiresIn?: Duration
  /** Payload and result never appear in logs, events or endpoints. Default false. */
  sensitive?: boolean
}

/** Task options plus a schema that payloads are validated with, once, synchronously, at `defer`. */
export interface TaskOptionsWithInput<P, I> extends TaskOptions<P> {
  /** Any Standard Schema (zod, valibot, arktype …). Its output is what is serialised and what the handler gets. */
  input?: StandardSchemaV1<I, P>
}
