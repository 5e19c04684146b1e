import { JobError, type JobErrorCode, ResultError, ResultTimeoutError } from '../errors.js'
import type { Disarmable, Job as JobRecord } from '../job/job.js'
import { isSettled, type JobState } from '../job/lifecycle.js'
import { decodePayload } from '../job/payload.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { durationMs, ownOptions, type Duration } from '../options.js'

/** The handle that `defer` answers. Not thenable: awaiting it does not wait for the job. */
export interface Job<out R = unknown> {
  /** 26 URL-safe characters that nobody can guess (128 random bits), or your own. */
  readonly id: string
  readonly task: string
  /** Whether `defer` found this job already there instead of accepting another. */
  readonly deduplicated: boolean
  /** The state at this moment. */
  readonly state: JobState
  /**
   * The handler's result, when the job has completed.
   * @param options `timeout`: give up waiting after this long; the job goes on
   * @throws (rejects) JobError, ResultError, ResultTimeoutError
   */
  result(options?: { timeout?: Duration }): Promise<R>
  /** Cancels the job, whatever its state. @returns false when it was settled already */
  cancel(reason?: string): boolean
  snapshot(): JobSnapshot
}

/** What handles need of their scheduler. */
export interface HandlePort {
  idOf(job: JobRecord): string
  cancel(job: JobRecord, reason: string | undefined): boolean
  snapshot(job: JobRecord): JobSnapshot
  /** Calls `run` after `delayMs`. */
  alarm(delayMs: number, run: () => void): Disarmable
}

const resultOptions: ReadonlySet<string> = new Set(['timeout'])

export class JobHandle implements Job {
  readonly #job: JobRecord
  readonly #port: HandlePort
  readonly deduplicated: boolean

  constructor(job: JobRecord, port: HandlePort, deduplicated = false) {
    this.#job = job
    this.#port = port
    this.deduplicated = deduplicated
  }

  get id(): string {
    return this.#port.idOf(this.#job)
  }

  get task(): string {
    return this.#job.task.name
  }

  get state(): JobState {
    return this.#job.state
  }

  cancel(reason?: string): boolean {
    return this.#port.cancel(this.#job, reason)
  }

  snapshot(): JobSnapshot {
    return this.#port.snapshot(this.#job)
  }

  result(options?: { timeout?: Duration }): Promise<unknown> {
    const { timeout } = ownOptions('result', options, resultOptions)
    const timeoutMs = timeout === undefined ? undefined : durationMs('timeout', timeout)
    const job = this.#job
    if (isSettled(job.state)) {
      return new Promise((resolve, reject) => settle(job, this.id, resolve, reject))
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        settled: () => {
          alarm?.disarm()
          settle(job, this.id, resolve, reject)
        },
      }
      const alarm =
        timeoutMs === undefined
          ? undefined
          : this.#port.alarm(timeoutMs, () => {
              const { details } = job
              if (details?.waiters !== undefined)
                details.waiters = details.waiters.filter((other) => other !== waiter)
              reject(
                new ResultTimeoutError(
                  `Job ${this.id} is ${job.state} after ${timeoutMs} ms of waiting; it goes on.`,
                ),
              )
            })
      ;(job.more().waiters ??= []).push(waiter)
    })
  }
}

/** Hands a settled job's end to whoever waits for it. */
function settle(
  job: JobRecord,
  id: string,
  resolve: (result: unknown) => void,
  reject: (error: Error) => void,
): void {
  if (job.state !== 'completed') reject(jobError(job, id))
  else if (job.details?.resultRefused !== undefined) {
    reject(new ResultError(`Job ${id} completed, but its result was dropped: ${job.details.resultRefused}`))
  } else resolve(decodePayload(job.details?.result))
}

const codes: Record<JobState, JobErrorCode | undefined> = {
  held: undefined,
  scheduled: undefined,
  blocked: undefined,
  ready: undefined,
  running: undefined,
  retrying: undefined,
  completed: undefined,
  failed: 'ERR_SIDEWORK_FAILED',
  cancelled: 'ERR_SIDEWORK_CANCELLED',
  expired: 'ERR_SIDEWORK_EXPIRED',
}

function jobError(job: JobRecord, id: string): JobError {
  const cause = job.details?.error
  const isClosed = job.state === 'cancelled' && cause?.code === 'ERR_SIDEWORK_CLOSED'
  const code = isClosed ? 'ERR_SIDEWORK_CLOSED' : (codes[job.state] ?? 'ERR_SIDEWORK_FAILED')
  const why = cause === undefined ? '' : `: ${cause.message}`
  return new JobError(code, `Job ${id} of task '${job.task.name}' ${job.state}${why}`, id, cause)
}
