/** What the endpoints show of a job: never its payload, its result only where exposed, of its error no stack. */
import type { JobState } from '../job/lifecycle.js'
import type { JobSnapshot, Progress } from '../job/snapshot.js'

/** The JSON of `GET /jobs/:id` and the data of every server-sent event. Instants are ms since the epoch. */
export interface JobStatus {
  readonly id: string
  readonly task: string
  readonly state: JobState
  /** The attempt that runs or ran last; 0 before the first. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly progress?: Progress | undefined
  readonly acceptedAt: number
  readonly runAt: number
  readonly startedAt?: number | undefined
  readonly settledAt?: number | undefined
  /** How it ended, or the last failure of a retrying job. The message of a `sensitive` task's is '(withheld)'. */
  readonly error?: ShownError | undefined
  /** Only with `expose: ['result']`, never of a `sensitive` task. Byte leaves are base64. */
  readonly result?: unknown
  /** Why a completed job's result is not there although it had one; shown where `result` is. */
  readonly resultDropped?: string | undefined
}

/** What may leave the process. The message of an error often quotes the payload. */
export interface Shown {
  readonly result: boolean
  readonly errorMessage: boolean
}

/** What is shown of an error. */
export interface ShownError {
  readonly name: string
  readonly message: string
}

/** @param showsMessage which often quotes the payload */
export function shownError(error: ShownError | undefined, showsMessage: boolean): ShownError | undefined {
  return error && { name: error.name, message: showsMessage ? error.message : '(withheld)' }
}

/** The status of a job. */
export function jobStatus(job: JobSnapshot, shown: Shown): JobStatus {
  return {
    id: job.id,
    task: job.task,
    state: job.state,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    progress: job.progress,
    acceptedAt: job.acceptedAt,
    runAt: job.runAt,
    startedAt: job.startedAt,
    settledAt: job.settledAt,
    error: shownError(job.error, shown.errorMessage),
    result: shown.result ? job.result : undefined,
    resultDropped: shown.result ? job.resultDropped : undefined,
  }
}

/** The status as JSON on one line, with `Uint8Array` leaves as base64. */
export function statusJson(status: object): string {
  return JSON.stringify(status, function (this: Record<string, unknown>, name, value: unknown) {
    const original = this[name] // before a Buffer's toJSON
    return original instanceof Uint8Array ? base64(original) : value
  })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
