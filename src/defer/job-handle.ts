import { inspect, type InspectOptions } from 'node:util'
import { type JobError, ResultError, ResultTimeoutError } from '../errors.js'
import { endError } from '../job/end-error.js'
import type { Disarmable, Job as JobRecord, Waiter } from '../job/job.js'
import { isSettled, type JobState } from '../job/lifecycle.js'
import type { SerializedError } from '../job/serialized-error.js'
import { decodePayload } from '../job/payload.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { durationMs, ownOptions, type Duration } from '../options.js'

/** The handle that `defer` answers. Not thenable: awaiting it does not wait for the job. */
export interface Job<out R = unknown> {
  /** 26 URL-safe characters that nobody can guess (128 random bits), or your own. */
  readonly id: string
  /** The task's name. */
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
  result(options?: { timeout?: Duration | undefined }): Promise<R>
  /**
   * Cancels the job, whatever its state.
   * @returns false when it was settled already
   * @throws OptionError for a reason that is no text
   */
  cancel(reason?: string): boolean
  /** The job as it is now: frozen plain data. */
  snapshot(): JobSnapshot
  /** What `JSON.stringify` and `res.json` show of it. */
  toJSON(): Pick<Job, 'id' | 'task' | 'state' | 'deduplicated'>
}

/** What handles need of their scheduler. */
export interface HandlePort {
  idOf(job: JobRecord): string
  cancel(job: JobRecord, reason: string | undefined): boolean
  snapshot(job: JobRecord): JobSnapshot
  /** Why jobs of its lane cannot start at the moment, if so. */
  startError(job: JobRecord): SerializedError | undefined
  /** What is paused, so that it does not start. */
  paused(job: JobRecord): 'scheduler' | 'task' | undefined
  /** Whether it stands in the line of an ordering key that waits for `releaseKey`. */
  isHalted(job: JobRecord): boolean
  /** Somebody waits, without a bound, for a job that waits for a response. */
  heldAwaited(job: JobRecord): void
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

  toJSON(): Pick<Job, 'id' | 'task' | 'state' | 'deduplicated'> {
    const { id, task, state, deduplicated } = this
    return { id, task, state, deduplicated }
  }

  /** What the console shows. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Job ${inspect(this.toJSON(), options)}`
  }

  result(options?: { timeout?: Duration }): Promise<unknown> {
    const timeoutMs = options === undefined ? undefined : readTimeout(options)
    return new Promise((resolve, reject) => {
      const waiting = new ResultWaiter(this.#job, this.#port, resolve, reject)
      if (isSettled(this.#job.state)) waiting.settled()
      else waiting.begin(timeoutMs)
    })
  }
}

function readTimeout(options: unknown): number | undefined {
  const { timeout } = ownOptions('result', options, resultOptions)
  return timeout === undefined ? undefined : durationMs('timeout', timeout)
}

/** One call of `result()`. */
class ResultWaiter implements Waiter {
  readonly #job: JobRecord
  readonly #port: HandlePort
  readonly #resolve: (result: unknown) => void
  readonly #reject: (error: Error) => void
  #alarm: Disarmable | undefined

  constructor(
    job: JobRecord,
    port: HandlePort,
    resolve: (result: unknown) => void,
    reject: (error: Error) => void,
  ) {
    this.#job = job
    this.#port = port
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(timeoutMs: number | undefined): void {
    this.#job.tell(this)
    if (timeoutMs === undefined && this.#job.state === 'held') this.#port.heldAwaited(this.#job)
    if (timeoutMs !== undefined) this.#alarm = this.#port.alarm(timeoutMs, () => this.#giveUp(timeoutMs))
  }

  /** Hands the job's end to who waits. */
  settled(): void {
    this.#alarm?.disarm()
    const job = this.#job
    const { details } = job
    if (job.state !== 'completed') this.#reject(jobError(job, this.#port.idOf(job)))
    else if (details?.resultRefused !== undefined) {
      const id = this.#port.idOf(job)
      this.#reject(
        new ResultError(`Job ${id} completed, but its result was dropped: ${details.resultRefused}`),
      )
    } else this.#resolve(decodePayload(details?.result))
  }

  #giveUp(timeoutMs: number): void {
    const job = this.#job
    const { details } = job
    if (details?.waiters !== undefined) details.waiters = details.waiters.filter((other) => other !== this)
    this.#reject(
      new ResultTimeoutError(
        `Job ${this.#port.idOf(job)} of task '${job.task.name}' has not settled after ${timeoutMs} ms: ` +
          `${whyUnsettled(job, this.#port)} (state '${job.state}'). It goes on.`,
      ),
    )
  }
}

/** What an unsettled job waits for, in words. */
function whyUnsettled(job: JobRecord, port: HandlePort): string {
  switch (job.state) {
    case 'held':
      return 'it is held until the response of its request has ended'
    case 'scheduled':
      return 'it is not due yet'
    case 'blocked':
      return port.isHalted(job)
        ? 'its ordering key is halted, and nothing of it starts before releaseKey()'
        : 'it waits for other jobs'
    case 'ready':
      return whyReady(job, port)
    case 'running':
      return `attempt ${job.attempt} is running`
    case 'retrying':
      return `attempt ${job.attempt} failed, and the next is not due yet`
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'expired':
      return 'it has settled'
  }
}

function whyReady(job: JobRecord, port: HandlePort): string {
  const paused = port.paused(job)
  if (paused === 'scheduler') return 'the scheduler is paused, and nothing starts before resume()'
  if (paused === 'task') return `its task is paused, and does not start before resume('${job.task.name}')`
  const error = port.startError(job)
  if (error !== undefined) return `no thread of its lane can be started: ${error.message.replace(/\.$/, '')}`
  const place = job.details?.gates?.limits === undefined ? 'a place' : 'its limits and a place'
  return `it is still waiting for ${place}`
}

function jobError({ state, task, details }: JobRecord, id: string): JobError {
  const end = state === 'cancelled' || state === 'expired' ? state : 'failed'
  return endError(end, `Job ${id} of task '${task.name}' ${state}`, id, details?.error)
}
