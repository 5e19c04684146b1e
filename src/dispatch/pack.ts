/** Packs executions into the one message that starts them. */
import type { Job, JobDetails } from '../job/job.js'
import type { RunExtra, RunMessage } from '../threads/protocol.js'
import type { Execution } from './execution.js'

/** Writes a batch; jobs are added in the order of their tokens. */
export class Batch {
  readonly #generation: number
  readonly #isConsecutive: boolean
  readonly #idOf: (job: Job) => string
  readonly #tokens: number[] = []
  readonly #ids: string[] = []
  readonly #tasks: [string, number][] = []
  readonly #which: number[] = []
  #lastTask: object | undefined
  #lastIndex = 0
  #isUniform = true
  #payloads = ''
  #extras: RunExtra[] | undefined

  /** @param isConsecutive whether tokens count up by one, as they do on cpu threads */
  constructor(generation: number, isConsecutive: boolean, idOf: (job: Job) => string) {
    this.#generation = generation
    this.#isConsecutive = isConsecutive
    this.#idOf = idOf
  }

  get size(): number {
    return this.#ids.length
  }

  add(execution: Execution, job: Job): void {
    const at = this.#ids.length
    this.#tokens.push(execution.token)
    this.#ids.push(this.#idOf(job))
    if (job.task !== this.#lastTask) this.#changeTask(job)
    this.#which.push(this.#lastIndex)
    const { payload } = job
    const json = typeof payload === 'string' ? payload : 'null'
    this.#payloads += at === 0 ? json : ',' + json
    if (typeof payload !== 'string' || job.attempt > 0 || hasOwnFacts(job.details)) this.#addExtra(at, job)
  }

  message(): RunMessage {
    return {
      kind: 'run',
      first: this.#tokens[0] ?? 0,
      ...(this.#isConsecutive ? undefined : { tokens: this.#tokens }),
      generation: this.#generation,
      tasks: this.#tasks,
      ...(this.#isUniform ? undefined : { which: this.#which }),
      ids: this.#ids,
      payloads: `[${this.#payloads}]`,
      ...(this.#extras === undefined ? undefined : { extras: this.#extras }),
    }
  }

  #changeTask(job: Job): void {
    this.#lastTask = job.task
    const known = this.#tasks.findIndex(([name]) => name === job.task.name)
    if (known >= 0) this.#lastIndex = known
    else this.#lastIndex = this.#tasks.push([job.task.name, job.task.policy.maxAttempts]) - 1
    this.#isUniform = this.#tasks.length === 1
  }

  #addExtra(at: number, job: Job): void {
    const { payload, details } = job
    const isRunning = job.state === 'running' // its attempt is charged already
    const extra: RunExtra = {
      at,
      attempt: isRunning || details?.isAttemptCharged === true ? job.attempt : job.attempt + 1,
      maxAttempts: details?.policy?.maxAttempts ?? job.task.policy.maxAttempts,
      ...(payload === undefined ? { isVoid: true } : undefined),
      ...(typeof payload === 'object' ? { bytes: payload } : undefined),
      ...(details?.request === undefined ? undefined : { request: details.request }),
    }
    ;(this.#extras ??= []).push(extra)
  }
}

function hasOwnFacts(details: JobDetails | undefined): boolean {
  return details?.request !== undefined || details?.policy?.maxAttempts !== undefined
}
