import { JobError, type JobErrorCode } from '../errors.js'
import type { SerializedError } from './serialized-error.js'

/** Ends that are no completion. */
export type BadEnd = 'failed' | 'cancelled' | 'expired'

const closedCode = 'ERR_SIDEWORK_CLOSED'

const codes: Readonly<Record<BadEnd, JobErrorCode>> = {
  failed: 'ERR_SIDEWORK_FAILED',
  cancelled: 'ERR_SIDEWORK_CANCELLED',
  expired: 'ERR_SIDEWORK_EXPIRED',
}

/** Whether it was cancelled because the scheduler closed. A handler that fails may have met a closed one too. */
export function isEndedByClose(state: BadEnd, cause: SerializedError | undefined): boolean {
  return state === 'cancelled' && cause?.code === closedCode
}

/**
 * What `result()` rejects with.
 * @param what that did not complete, and how it ended
 * @param job id of the job it is about
 */
export function endError(
  state: BadEnd,
  what: string,
  job: string,
  cause: SerializedError | undefined,
): JobError {
  const code = isEndedByClose(state, cause) ? closedCode : codes[state]
  return new JobError(code, cause === undefined ? what : `${what}: ${cause.message}`, job, cause)
}
