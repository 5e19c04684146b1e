/**
 * Room 1: a defer becomes a job or an error, never half of one. Everything that can be refused is looked at before
 * anything is stored.
 */
import { OptionError, PayloadError, SideworkError, type PayloadIssue } from '../errors.js'
import { Job, type JobDetails } from '../job/job.js'
import type { JobTable } from '../job/job-table.js'
import type { Journal } from '../job/journal.js'
import { decodePayload, encodedSizeBytes, encodePayload, type EncodedPayload } from '../job/payload.js'
import { payloadLimits, type PayloadLimits } from '../job/payload-limits.js'
import type { RequestContext } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import { key } from '../options.js'
import type { Agenda } from '../queue/agenda.js'
import type { Queue } from '../queue/queue.js'
import type { Clock } from '../world.js'
import type { Admission } from './admission.js'
import { readDeferOptions, type ReadOptions } from './read-defer-options.js'
import type { RestoredJob } from './restore.js'

/** The rooms an acceptance works with. */
export interface AcceptanceRooms {
  readonly clock: Clock
  readonly table: JobTable
  readonly journal: Journal
  readonly queue: Queue
  readonly agenda: Agenda
  readonly admission: Admission
  readonly maxPayloadBytes: number
  readonly maxQueuedBytes: number
  /** Whether the lanes cpu and io have modules to import. */
  readonly hasTaskModules: boolean
  /** Told when a waiting job's time is over. */
  expire(job: Job, now: number): void
  /** Told when the caller's signal aborts. */
  abort(job: Job, reason: unknown): void
}

/** What a defer asks for, beside the task. */
export interface DeferRequest {
  readonly payload: unknown
  readonly options: unknown
  readonly request: RequestContext | undefined
  /** The closure, for an inline job. */
  readonly inline: ((context: never) => unknown) | undefined
}

export class Acceptance {
  readonly #rooms: AcceptanceRooms
  readonly #limits: PayloadLimits
  #lastSeq = 0

  constructor(rooms: AcceptanceRooms) {
    this.#rooms = rooms
    this.#limits = payloadLimits(rooms.maxPayloadBytes, rooms.maxQueuedBytes)
  }

  /** @throws OptionError, PayloadError, PayloadTooLargeError, QueueFullError */
  accept(task: TaskRecord, asked: DeferRequest): Job {
    const { policy } = task
    if (!this.#rooms.hasTaskModules && policy.lane !== 'main') throw noModules(task)
    const payload = policy.input === undefined ? asked.payload : validated(task, asked.payload)
    const encoded = encodePayload(payload, this.#limits)
    const { clock } = this.#rooms
    const now = clock.now()
    const job = new Job(task, ++this.#lastSeq, 'ready', policy.priority, now, encoded)
    const isPlain =
      asked.options === undefined &&
      policy.orderingKey === undefined &&
      policy.expiresInMs === Infinity &&
      asked.request === undefined &&
      asked.inline === undefined
    const options = isPlain ? undefined : this.#describe(job, asked, payload)
    this.#rooms.admission.admit(1, encodedSizeBytes(encoded))
    this.#store(job, options, now)
    return job
  }

  /** A child whose payload its thread has serialised. @throws like `accept` */
  acceptEncoded(task: TaskRecord, payload: EncodedPayload, options: unknown): Job {
    // Its own schema, keys and limits apply as to any other job, so the value is looked at once more.
    return this.accept(task, {
      payload: decodePayload(payload),
      options,
      request: undefined,
      inline: undefined,
    })
  }

  /** Jobs that another scheduler accepted and lost. All or nothing. @throws OptionError, QueueFullError */
  readmit(restored: readonly RestoredJob[], now: number): Job[] {
    const { admission, table } = this.#rooms
    const ids = new Set<string>()
    for (const { id } of restored) {
      if (table.find(id) !== undefined || ids.has(id)) throw taken(id)
      ids.add(id)
    }
    const bytes = restored.reduce((sum, { payload }) => sum + encodedSizeBytes(payload), 0)
    admission.admit(restored.length, bytes)
    const jobs = restored.map((facts) => ({ ...facts, job: facts.make(++this.#lastSeq) }))
    // A line is joined in the order of its jobs' due times, but nothing goes before a head that is being retried.
    const standing = jobs.filter(({ lineRank }) => lineRank !== undefined)
    standing.sort((a, b) => (a.lineRank ?? 0) - (b.lineRank ?? 0) || a.runAt - b.runAt)
    for (const { job } of standing) this.#rooms.queue.joinLine(job)
    for (const { id, job } of jobs) {
      this.#store(job, { id, signal: undefined, expiresInMs: Infinity }, now)
    }
    return jobs.map(({ job }) => job)
  }

  /** A new generation of a job is due at once, and its time to start begins anew. */
  renew(job: Job, now: number): void {
    const details = job.more()
    details.runAt = now
    if (details.expiresInMs < Infinity) this.#armExpiry(job, details, now)
  }

  get limits(): PayloadLimits {
    return this.#limits
  }

  /** The facts that only some jobs have. */
  #describe(job: Job, asked: DeferRequest, payload: unknown): ReadOptions {
    const options = readDeferOptions(job, asked.options, this.#rooms.clock)
    if (options.id !== undefined && this.#rooms.table.find(options.id) !== undefined) throw taken(options.id)
    if (job.details?.orderingKey === undefined) {
      const orderingKey = keyOf(job.task, payload)
      if (orderingKey !== undefined) job.more().orderingKey = orderingKey
    }
    if (asked.request !== undefined) job.more().request = asked.request
    if (asked.inline !== undefined) job.more().inline = asked.inline
    return options
  }

  #store(job: Job, options: ReadOptions | undefined, now: number): void {
    const { journal, queue, table } = this.#rooms
    table.add(job)
    if (options?.id !== undefined) table.addOwnId(job, options.id)
    if (job.details === undefined) queue.enterReady(job)
    else queue.place(job, now)
    journal.accept(job)
    if (options !== undefined) this.#arm(job, options, now)
  }

  #armExpiry(job: Job, details: JobDetails, runAt: number): void {
    details.expiresAt = runAt + details.expiresInMs
    details.expiry = this.#rooms.agenda.alarm(details.expiresAt, (at) => this.#rooms.expire(job, at))
  }

  #arm(job: Job, options: ReadOptions, now: number): void {
    if (options.expiresInMs < Infinity) {
      const details = job.more()
      details.expiresInMs = Math.ceil(options.expiresInMs)
      this.#armExpiry(job, details, details.runAt ?? now)
    }
    const { signal } = options
    if (signal === undefined) return
    if (signal.aborted) return this.#rooms.abort(job, signal.reason)
    const onAbort = (): void => this.#rooms.abort(job, signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    job.more().unlisten = () => signal.removeEventListener('abort', onAbort)
  }
}

function keyOf(task: TaskRecord, payload: unknown): string | undefined {
  const { orderingKey } = task.policy
  if (orderingKey === undefined) return undefined
  const answered = orderingKey(payload as never) // this task's own payload
  return answered === undefined ? undefined : key(`Task '${task.name}': orderingKey's answer`, answered)
}

/** The schema's output. Standard Schema: https://standardschema.dev */
function validated(task: TaskRecord, payload: unknown): unknown {
  const answer: unknown = task.policy.input?.['~standard'].validate(payload)
  if (typeof (answer as { then?: unknown } | undefined)?.then === 'function') {
    throw new SideworkError(
      'ERR_SIDEWORK_SCHEMA_ASYNC',
      `The input schema of task '${task.name}' answers with a promise, but defer is synchronous. Use a schema without asynchronous checks.`,
    )
  }
  const { issues, value } = answer as {
    issues?: readonly { message: string; path?: readonly unknown[] }[]
    value?: unknown
  } // as the specification says
  if (issues === undefined) return value
  const read: PayloadIssue[] = issues.map((issue) => ({
    message: issue.message,
    path: (issue.path ?? []).map((part) => String((part as { key?: unknown }).key ?? part)).join('.'),
  }))
  const first = read[0]
  const where = first === undefined || first.path === '' ? 'payload' : `payload.${first.path}`
  throw new PayloadError(
    `The payload for task '${task.name}' is not valid: ${read.map((issue) => `${issue.path || 'payload'}: ${issue.message}`).join('; ')}.`,
    where,
    read,
  )
}

function taken(id: string): OptionError {
  return new OptionError(
    `A job with id '${id}' exists already. Give another id, or none.`,
    'ERR_SIDEWORK_ID_TAKEN',
  )
}

function noModules(task: TaskRecord): OptionError {
  return new OptionError(
    `Task '${task.name}' runs in lane '${task.policy.lane}', but this scheduler has no task modules for its threads. ` +
      `Pass createScheduler({ tasks: new URL('./tasks.js', import.meta.url) }), or give the task lane: 'main'.`,
  )
}
