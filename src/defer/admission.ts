/**
 * How much may wait: every unsettled job counts, from held to running, by number and by bytes. Refusing costs nothing
 * and leaves no trace; the answer says when to come back, from the rate at which jobs have lately settled.
 */
import { QueueFullError } from '../errors.js'
import { encodedSizeBytes, type EncodedPayload } from '../job/payload.js'

/** While no rate has been measured. */
const defaultRetryAfterMs = 1000
const longestRetryAfterMs = 60_000
const rateWindowMs = 5000

export class Admission {
  readonly #maxQueued: number
  readonly #maxBytes: number
  #jobs = 0
  bytes = 0
  #windowStart = 0
  #settledInWindow = 0
  /** Jobs settled per ms in the last full window. */
  #drainRate = 0

  constructor(maxQueued: number, maxBytes: number) {
    this.#maxQueued = maxQueued
    this.#maxBytes = maxBytes
  }

  /**
   * Counts `count` jobs of together `bytes` in.
   * @throws QueueFullError, having counted nothing
   */
  admit(count: number, bytes: number): void {
    if (this.#jobs + count > this.#maxQueued) {
      const many = count === 1 ? '' : `, ${count} more wanted`
      throw this.#refusal(
        `Queue is full (${this.#jobs} of ${this.#maxQueued} jobs${many}). Raise maxQueued or answer 503.`,
      )
    }
    if (this.bytes + bytes > this.#maxBytes) {
      const never = bytes > this.#maxBytes ? ' It never holds as many.' : ''
      throw this.#refusal(
        `Queue is full (${this.bytes} of ${this.#maxBytes} bytes, ${bytes} more wanted).${never} Raise maxQueuedBytes or answer 503.`,
      )
    }
    this.#jobs += count
    this.bytes += bytes
  }

  /** Takes back what `admit` counted for one payload. */
  withdraw(payload: EncodedPayload): void {
    this.#jobs--
    this.giveBackBytes(encodedSizeBytes(payload))
  }

  /** Bytes that were counted for a payload of which no job was made. */
  giveBackBytes(bytes: number): void {
    this.bytes -= bytes
  }

  /** One payload takes another's place in an unsettled job. @throws QueueFullError when it is too large */
  swap(old: EncodedPayload, replacement: EncodedPayload): void {
    const grows = encodedSizeBytes(replacement) - encodedSizeBytes(old)
    this.admit(0, Math.max(0, grows))
    this.bytes += Math.min(0, grows)
  }

  /** Counts out a job that settled `now`. @param readyAt when it had become ready: a window begins when there is something to do */
  release(payload: EncodedPayload, readyAt: number, now: number): void {
    this.withdraw(payload)
    if (this.#settledInWindow++ === 0) this.#windowStart = Math.max(this.#windowStart, readyAt)
    const elapsedMs = now - this.#windowStart
    if (elapsedMs < rateWindowMs) return
    this.#drainRate = this.#settledInWindow / elapsedMs
    this.#windowStart = now
    this.#settledInWindow = 0
  }

  #refusal(message: string): QueueFullError {
    const waitMs = this.#drainRate > 0 ? (this.#jobs * 0.1) / this.#drainRate : defaultRetryAfterMs
    return new QueueFullError(message, Math.round(Math.max(1, Math.min(longestRetryAfterMs, waitMs))))
  }
}
