/** What a settled job holds on to: by this, those that are kept for a while are bounded. */
import type { Job, JobDetails } from './job.js'
import { encodedSizeBytes } from './payload.js'
import type { SerializedError } from './serialized-error.js'

/** Bytes of its payload, its result and the errors of its attempts. */
export function heldBytes({ payload, details }: Job): number {
  if (details === undefined) return encodedSizeBytes(payload)
  return encodedSizeBytes(payload) + encodedSizeBytes(details.result) + errorBytes(details)
}

/** Bytes of the errors of its attempts, and of why it was cancelled; a character counts as one. */
export function errorBytes({ error, errors }: JobDetails): number {
  let bytes = 0
  let before: SerializedError | undefined
  for (const failure of errors) {
    if (failure.error !== before) bytes += lengthOf(failure.error) // else it is the same object: see the journal
    before = failure.error
  }
  return error === undefined || error === before ? bytes : bytes + lengthOf(error)
}

function lengthOf({ name, message, code = '', stack = '', cause }: SerializedError): number {
  const own = name.length + message.length + code.length + stack.length
  return cause === undefined ? own : own + lengthOf(cause)
}
