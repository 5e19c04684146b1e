/** The handles that `flow`, `chain` and `batch` answer. */
import { inspect, type InspectOptions } from 'node:util'
import type { Job } from '../defer/job-handle.js'
import { type JobError, ResultError, ResultTimeoutError } from '../errors.js'
import { endError, isEndedByClose } from '../job/end-error.js'
import type { BatchCounts, FlowStep } from '../job/flow-step.js'
import type { Disarmable, Job as JobRecord } from '../job/job.js'
import { decodePayload } from '../job/payload.js'
import { durationMs, ownOptions, type Duration } from '../options.js'
import type { Flow as FlowRecord, FlowState } from './flow.js'
import { inOrderGiven, type FlowSnapshot } from './flow-snapshot.js'

/** A flow or chain. Not thenable: awaiting it does not wait for its steps. */
export interface Flow<out R = Readonly<Record<string, unknown>>> {
  /** 26 URL-safe characters that nobody can guess (128 random bits). */
  readonly id: string
  /**
   * 'held' until its response has ended, 'running' until every step has settled; then 'completed' when all completed, else
   * how the first that did not ended.
   */
  readonly state: FlowState
  /** The steps by ref. */
  readonly jobs: { readonly [Ref in keyof R]: Job<R[Ref]> }
  /**
   * The results of all steps by ref, when all have completed.
   * @param options `timeout`: give up waiting after this long; the flow goes on
   * @throws (rejects) JobError of the step because of which it did not, once all have settled; ResultError,
   *   ResultTimeoutError
   */
  result(options?: { timeout?: Duration | undefined }): Promise<R>
  /**
   * Cancels every step that has not settled.
   * @returns false when all had
   * @throws OptionError for a reason that is no text
   */
  cancel(reason?: string): boolean
  /** The flow as it is now, with its steps: frozen plain data. */
  snapshot(): FlowSnapshot
  /** What `JSON.stringify` and `res.json` show of it. */
  toJSON(): Pick<Flow, 'id' | 'state'>
}

/** A batch: one task over many payloads. */
export interface Batch<out R = unknown> extends Omit<Flow, 'jobs' | 'result'> {
  /** In the order of the payloads. */
  readonly jobs: readonly Job<R>[]
  /** The job of its callback, if it has one. */
  readonly callback: Job | undefined
  /**
   * How its jobs ended, once they and the callback have settled: also when some failed, unless `onFailure` is 'cancel'.
   * @param options `timeout`: give up waiting after this long; the batch goes on
   * @throws (rejects) JobError when it was cancelled or its deadline passed; ResultTimeoutError
   */
  result(options?: { timeout?: Duration | undefined }): Promise<BatchCounts>
}

/** What handles need of their scheduler. */
export interface FlowHandlePort {
  handle(job: JobRecord): Job
  idOf(job: JobRecord): string
  cancel(flow: FlowRecord, reason: unknown): boolean
  /** Somebody waits, without a bound, for a flow that waits for a response. */
  heldAwaited(flow: FlowRecord): void
  snapshot(flow: FlowRecord): FlowSnapshot
  alarm(delayMs: number, run: () => void): Disarmable
}

const resultOptions: ReadonlySet<string> = new Set(['timeout'])

/** One class for all kinds; their types say what each answers. */
export class FlowHandle {
  readonly #flow: FlowRecord
  readonly #port: FlowHandlePort
  #jobs: unknown

  constructor(flow: FlowRecord, port: FlowHandlePort) {
    this.#flow = flow
    this.#port = port
  }

  get id(): string {
    return this.#flow.id
  }

  get state(): FlowState {
    return this.#flow.state
  }

  get jobs(): unknown {
    return (this.#jobs ??= this.#makeJobs())
  }

  get callback(): Job | undefined {
    const job = this.#flow.callback?.job
    return job === undefined ? undefined : this.#port.handle(job)
  }

  cancel(reason?: string): boolean {
    return this.#port.cancel(this.#flow, reason)
  }

  snapshot(): FlowSnapshot {
    return this.#port.snapshot(this.#flow)
  }

  toJSON(): Pick<Flow, 'id' | 'state'> {
    const { id, state } = this
    return { id, state }
  }

  /** What the console shows. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Flow ${inspect(this.toJSON(), options)}`
  }

  result(options?: { timeout?: Duration }): Promise<unknown> {
    const { timeout } = ownOptions('result', options, resultOptions)
    const timeoutMs = timeout === undefined ? undefined : durationMs('timeout', timeout)
    const flow = this.#flow
    return new Promise((resolve, reject) => {
      const tell = (): void => {
        try {
          resolve(this.#outcome())
        } catch (error) {
          if (!(error instanceof Error)) throw error
          reject(error)
        }
      }
      if (flow.isSettled) return tell()
      if (timeoutMs === undefined && flow.isHeld) this.#port.heldAwaited(flow)
      const giveUp = (): void => {
        flow.waiters = flow.waiters.filter((other) => other !== waiter)
        const { completed, failed, total } = flow.counts
        const what =
          `Flow ${flow.id} has not settled after ${timeoutMs} ms: ${completed + failed} of ${total} steps have ` +
          `(state '${flow.state}'). It goes on.`
        reject(new ResultTimeoutError(what))
      }
      const alarm = timeoutMs === undefined ? undefined : this.#port.alarm(timeoutMs, giveUp)
      const waiter = {
        settled: () => {
          alarm?.disarm()
          tell()
        },
      }
      flow.waiters.push(waiter)
    })
  }

  #makeJobs(): unknown {
    const { facts, callback } = this.#flow
    const jobs = inOrderGiven(this.#flow.steps).flatMap((step): [string, Job][] =>
      step.job === undefined || step === callback ? [] : [[step.ref, this.#port.handle(step.job)]],
    )
    return Object.freeze(facts.kind === 'batch' ? jobs.map(([, job]) => job) : Object.fromEntries(jobs))
  }

  /** @throws what `result()` rejects with */
  #outcome(): unknown {
    const { id, verdict, failure, facts, counts, isTolerant, steps } = this.#flow
    if (verdict !== undefined) throw endError(verdict.state, `Flow ${id} ${verdict.state}`, id, verdict.error)
    // A batch that goes on tells its counts, whatever became of its callback; unless the scheduler closed.
    if (failure !== undefined && !(isTolerant && !isEndedByClose(failure.state, failure.error)))
      throw this.#failed(failure)
    if (facts.kind === 'batch') return counts
    return Object.fromEntries(steps.map((step) => [step.ref, resultOf(step)]))
  }

  #failed({ step, state, error }: NonNullable<FlowRecord['failure']>): JobError {
    const { id } = this.#flow
    if (step === undefined) return endError(state, `Flow ${id} ${state}`, id, error)
    const job = step.job === undefined ? id : this.#port.idOf(step.job)
    return endError(
      state,
      `Flow ${id} ${state}: step '${step.ref}' (job ${job} of task '${step.task}')`,
      job,
      error,
    )
  }
}

/** @throws ResultError when it was dropped */
function resultOf({ ref, end }: FlowStep): unknown {
  if (end?.state !== 'completed') return undefined
  if (end.refused !== undefined)
    throw new ResultError(`Step '${ref}' completed, but its result was dropped: ${end.refused}`)
  return decodePayload(end.result)
}
