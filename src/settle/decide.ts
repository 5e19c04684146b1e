/**
 * What becomes of a job after an attempt: pure, from the outcome and the facts. The caller writes and tells.
 *
 *     completed ─────────────────────────────────────────────▶ complete
 *     threw, timed out, thread lost ─┬─ permanent, last ─────▶ fail
 *     asked for a retry ─────────────┤  or no retry wanted
 *                                    └─ else ──┬─────────────▶ retry
 *     snoozed ─────────────────────────────────┼─────────────▶ snooze   (attempt not charged)
 *     interrupted ─────────────────────────────┼─────────────▶ requeue  (attempt not charged)
 *                                              └─ expired ───▶ expire
 *     cancelled ─────────────────────────────────────────────▶ cancel
 */
import type { Outcome } from '../job/outcome.js'
import type { EncodedPayload } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { BackoffPolicy } from '../job/backoff-policy.js'
import { retryDelayMs } from './backoff.js'

/** What a decision depends on besides the outcome. */
export interface Facts {
  /** The attempt that ended, 1 for the first. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly backoff: BackoffPolicy
  /** 0 ≤ number < 1; read only when a delay has jitter. */
  readonly random: () => number
  /** Whether an earlier attempt of this generation ran out of memory: such a job is retried once at most. */
  readonly outOfMemoryBefore: boolean
  /** Ms until the job expires, negative when it should have started before; absent when it never expires. */
  readonly expiresInRemainingMs?: number
}

/** What becomes of the job. */
export type Verdict =
  | { readonly kind: 'complete'; readonly result?: EncodedPayload; readonly resultRefused?: string }
  | { readonly kind: 'fail'; readonly error: SerializedError }
  /** `backoffFault`: the user's backoff function failed and the default was used. To be logged. */
  | {
      readonly kind: 'retry'
      readonly delayMs: number
      readonly error: SerializedError
      readonly backoffFault?: SerializedError
    }
  | { readonly kind: 'snooze'; readonly delayMs: number }
  | { readonly kind: 'requeue' }
  | { readonly kind: 'cancel'; readonly error: SerializedError }
  /** It would have to run again, and its time to start is over. */
  | { readonly kind: 'expire'; readonly error?: SerializedError }

/** The verdict on an attempt. A retry due after the job's expiry is still a retry: the expiry's timer ends it. */
export function decide(outcome: Outcome, facts: Facts): Verdict {
  switch (outcome.kind) {
    case 'completed':
      return { ...outcome, kind: 'complete' }
    case 'threw':
      return outcome.permanent ? { kind: 'fail', error: outcome.error } : failedAttempt(outcome.error, facts)
    case 'timed-out':
      return failedAttempt(outcome.error, facts)
    case 'lost-thread':
      return outcome.error.code === 'ERR_SIDEWORK_OUT_OF_MEMORY' && facts.outOfMemoryBefore
        ? { kind: 'fail', error: outcome.error }
        : failedAttempt(outcome.error, facts)
    case 'retry-later':
      if (facts.attempt >= facts.maxAttempts) return { kind: 'fail', error: outcome.error }
      return unlessExpired({ kind: 'retry', delayMs: outcome.delayMs, error: outcome.error }, facts)
    case 'snoozed':
      return unlessExpired({ kind: 'snooze', delayMs: outcome.delayMs }, facts)
    case 'interrupted':
      return unlessExpired({ kind: 'requeue' }, facts)
    case 'cancelled':
      return { kind: 'cancel', error: outcome.error }
  }
}

function failedAttempt(error: SerializedError, facts: Facts): Verdict {
  if (facts.attempt >= facts.maxAttempts) return { kind: 'fail', error }
  const { delayMs, fault } = retryDelayMs(facts.backoff, facts.attempt, error, facts.random)
  if (delayMs === false) return { kind: 'fail', error }
  return unlessExpired({ kind: 'retry', delayMs, error, ...(fault && { backoffFault: fault }) }, facts)
}

function unlessExpired(verdict: Verdict, facts: Facts): Verdict {
  if ((facts.expiresInRemainingMs ?? Infinity) > 0) return verdict
  return verdict.kind === 'retry' ? { kind: 'expire', error: verdict.error } : { kind: 'expire' }
}
