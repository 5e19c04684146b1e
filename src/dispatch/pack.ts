/** Packs executions into the one message that starts them. */
import type { Job, JobDetails } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'
import type { Introduction, RunExtra, RunMessage } from '../threads/protocol.js'
import type { Execution } from './execution.js'
import type { LaneThread } from './lane-thread.js'

/**
 * Most characters of JSON in a batch of several jobs. A larger payload travels alone: a thread without the memory to parse a
 * batch ends because of its first job.
 */
const mostChars = 2 ** 20

/** Writes a batch; jobs are added in the order of their tokens. */
export class Batch {
  readonly #thread: LaneThread
  readonly #generation: number
  /** Parallel to the jobs; only on shared threads, where tokens do not count up by one. */
  readonly #tokens: number[] | undefined
  readonly #seqs: number[] = []
  readonly #cells: number[] = []
  readonly #payloads: string[] = []
  #introduced: Introduction[] | undefined
  /** Of the job that was added last. */
  #task: TaskRecord | undefined
  #firstTask = 0
  /** Parallel to the jobs, once there is more than one task. */
  #tasks: number[] | undefined
  #first = 0
  #chars = 0
  #priorities: number[] | undefined
  #voids: number[] | undefined
  #extras: RunExtra[] | undefined

  /** @param thread the one it is posted to, before any other batch is begun for it */
  constructor(thread: LaneThread) {
    this.#thread = thread
    this.#generation = thread.claims?.generation ?? 0
    this.#tokens = thread.window === undefined ? [] : undefined
  }

  get size(): number {
    return this.#seqs.length
  }

  /** Whether the job may be added, or should go into another batch. */
  hasRoomFor({ payload, task }: Job): boolean {
    if (this.size === 0) return true
    if (task !== this.#task && this.#isDefinedAnew(task)) return false
    return this.#chars + (typeof payload === 'string' ? payload.length : 0) <= mostChars
  }

  add(execution: Execution, job: Job): void {
    const at = this.#seqs.length
    if (at === 0) this.#first = execution.token
    this.#tokens?.push(execution.token)
    this.#seqs.push(job.seq)
    this.#cells.push(job.slot)
    if (this.#thread.lane === 'main') (this.#priorities ??= []).push(job.priority)
    if (job.task !== this.#task) this.#changeTask(job.task, at)
    this.#tasks?.push(job.task.number)
    const { payload } = job
    const json = typeof payload === 'string' ? payload : 'null'
    this.#payloads.push(json)
    this.#chars += json.length
    if (payload === undefined) (this.#voids ??= []).push(at)
    if (typeof payload === 'object' || job.attempt > 0 || hasOwnFacts(job.details)) this.#addExtra(at, job)
  }

  message(): RunMessage {
    const message: Writable<RunMessage> = {
      kind: 'run',
      first: this.#first,
      generation: this.#generation,
      task: this.#firstTask,
      seqs: this.#seqs,
      cells: this.#cells,
      payloads: this.#payloads.join(','),
    }
    if (this.#tokens !== undefined) message.tokens = this.#tokens
    if (this.#priorities !== undefined) message.priorities = this.#priorities
    if (this.#introduced !== undefined) message.introduced = this.#introduced
    if (this.#tasks !== undefined) message.tasks = this.#tasks
    if (this.#voids !== undefined) message.voids = this.#voids
    if (this.#extras !== undefined) message.extras = this.#extras
    return message
  }

  /** It is told again then, and meant from there on. */
  #isDefinedAnew(task: TaskRecord): boolean {
    const known = this.#thread.introduced[task.number]
    return known !== undefined && known !== task
  }

  #changeTask(task: TaskRecord, at: number): void {
    const { number, name, policy } = task
    if (this.#task === undefined) this.#firstTask = number
    else this.#tasks ??= new Array<number>(at).fill(this.#firstTask)
    this.#task = task
    const { introduced } = this.#thread
    if (introduced[number] === task) return
    while (introduced.length <= number) introduced.push(undefined)
    introduced[number] = task
    ;(this.#introduced ??= []).push([number, name, policy.maxAttempts, policy.sensitive])
  }

  #addExtra(at: number, job: Job): void {
    const { payload, details } = job
    const handed = details?.step?.flow.handedTo(details.step)
    const isRunning = job.state === 'running' // its attempt is charged already
    const extra: RunExtra = {
      at,
      attempt: isRunning || details?.isAttemptCharged === true ? job.attempt : job.attempt + 1,
      maxAttempts: details?.policy?.maxAttempts ?? job.task.policy.maxAttempts,
      ...(details?.ownId === undefined ? undefined : { id: details.ownId }),
      ...(typeof payload === 'object' ? { bytes: payload } : undefined),
      ...(details?.request === undefined ? undefined : { request: details.request }),
      ...(handed === undefined ? undefined : { handed }),
      ...(details?.schedule === undefined ? undefined : { schedule: details.schedule }),
    }
    ;(this.#extras ??= []).push(extra)
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function hasOwnFacts(details: JobDetails | undefined): boolean {
  if (details === undefined) return false
  return (
    details.request !== undefined ||
    details.schedule !== undefined ||
    details.ownId !== undefined ||
    details.policy?.maxAttempts !== undefined ||
    details.step?.isHanded === true
  )
}
