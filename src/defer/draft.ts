/** Makes a job out of what a defer says, checking everything that can be refused. Nothing is stored yet. */
import { CapturedContext } from '../async-context.js'
import { OptionError, UnknownTaskError } from '../errors.js'
import { Job, type LimitKeys } from '../job/job.js'
import { decodePayload, encodePayload, type EncodedPayload } from '../job/payload.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import type { RequestContext } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import { key } from '../options.js'
import { inlineTaskName } from '../task/task-name.js'
import { validateInput } from '../task/validate-input.js'
import type { Clock } from '../world.js'
import { readDeferOptions } from './read-defer-options.js'

/** What drafting needs of the scheduler. */
export interface DraftRooms {
  readonly clock: Clock
  readonly payloadLimits: PayloadLimits
  /** Whether the lanes cpu and io have modules to import. */
  readonly hasTaskModules: boolean
  hasSharedLimit(name: string): boolean
  readonly sharedLimitNames: readonly string[]
}

/** What a recurring job defers again and again: read, checked and serialised once. */
export interface PreparedJob {
  /** A task, its name or a closure; a task's policy is looked up each time. */
  readonly task: unknown
  readonly payload: EncodedPayload
  /** As `defer` takes them. */
  readonly options: unknown
}

/** Called with the context of its attempt. */
export type Closure = (context: never) => unknown

/** The next acceptance number, and the drafts made with it. */
export class Drafts {
  readonly #rooms: DraftRooms
  #lastSeq = 0

  constructor(rooms: DraftRooms) {
    this.#rooms = rooms
  }

  nextSeq(): number {
    return ++this.#lastSeq
  }

  /**
   * @param isValidated the payload is what the task's schema has made of it already
   * @throws OptionError, PayloadError, PayloadTooLargeError
   */
  draft(
    task: TaskRecord,
    payload: unknown,
    options: unknown,
    request: RequestContext | undefined,
    isValidated = false,
  ): Job {
    const { policy } = task
    this.#checkTask(task)
    const input = isValidated ? payload : validateInput(task.name, policy.input, payload)
    const job = this.#blank(task, encodePayload(input, this.#rooms.payloadLimits, task.name))
    const isPlain = options === undefined && request === undefined && !policy.describesJobs
    if (!isPlain) this.#describe(job, input, options, request)
    if (policy.lane === 'main') job.mainWork = { closure: undefined, context: new CapturedContext() }
    return job
  }

  /** One more job of what was drafted, hence checked, before. @throws OptionError */
  draftAgain(task: TaskRecord, { task: prepared, payload, options }: PreparedJob): Job {
    const { describesJobs } = task.policy
    const isClosure = typeof prepared === 'function'
    if (!isClosure) this.#checkTask(task)
    const job = this.#blank(task, payload)
    if (isClosure) job.mainWork = { closure: prepared as Closure, context: undefined } // it was deferred as one
    if (options === undefined && !describesJobs) return job
    this.#describe(job, describesJobs ? decodePayload(payload) : undefined, options, undefined)
    return job
  }

  /** A deferred closure. @throws OptionError */
  draftInline(task: TaskRecord, inline: Closure, options: unknown, request: RequestContext | undefined): Job {
    const job = this.#blank(task, undefined)
    job.mainWork = { closure: inline, context: new CapturedContext() }
    const isPlain = options === undefined && request === undefined && !task.policy.describesJobs
    if (!isPlain) this.#describe(job, undefined, options, request)
    return job
  }

  #checkTask(task: TaskRecord): void {
    const { policy } = task
    if (task.name === inlineTaskName) throw onlyClosures()
    if (!this.#rooms.hasTaskModules && policy.lane !== 'main') throw noModules(task)
    if (policy.limits !== undefined) this.#checkShared(task, policy.limits.shared)
  }

  #blank(task: TaskRecord, payload: EncodedPayload): Job {
    return new Job(task, this.nextSeq(), 'ready', task.policy.priority, this.#rooms.clock.now(), payload)
  }

  /** The facts that only some jobs have. */
  #describe(job: Job, payload: unknown, options: unknown, request: RequestContext | undefined): void {
    const details = job.more()
    details.wanted = readDeferOptions(job, options, this.#rooms.clock)
    const { policy } = job.task
    details.orderingKey ??= this.#orderingKeyOf(job.task, payload)
    details.limitKeys = limitKeysOf(job.task, payload)
    if (details.dedupe === undefined && policy.dedupe !== undefined) {
      const dedupeKey = keyFrom(job.task, 'dedupe', policy.dedupe.key(payload as never)) // the task's own payload
      details.dedupe = { ...policy.dedupe, key: dedupeKey }
    }
    details.request = request
  }

  /** Not every payload has one. */
  #orderingKeyOf(task: TaskRecord, payload: unknown): string | undefined {
    const answered = task.policy.orderingKey?.(payload as never) // the task's own payload
    return answered === undefined ? undefined : keyFrom(task, 'orderingKey', answered)
  }

  #checkShared(task: TaskRecord, names: readonly string[]): void {
    const unknown = names.find((name) => !this.#rooms.hasSharedLimit(name))
    if (unknown === undefined) return
    const known = this.#rooms.sharedLimitNames.map((name) => `'${name}'`).join(', ') || 'none'
    throw new OptionError(
      `Task '${task.name}' names the limit '${unknown}', which this scheduler does not have. ` +
        `Known are: ${known}. Add it to createScheduler({ limits }).`,
      'ERR_SIDEWORK_UNKNOWN_LIMIT',
    )
  }
}

/** The keys that a payload gives to its task's limits. @throws OptionError for what is no key */
export function limitKeysOf(task: TaskRecord, payload: unknown): LimitKeys | undefined {
  const { limits } = task.policy
  const concurrency = limits?.concurrency?.key
  const rate = limits?.rate?.key
  if (concurrency === undefined && rate === undefined) return undefined
  return {
    ...(concurrency && { concurrency: keyFrom(task, 'concurrency.key', concurrency(payload as never)) }), // its own payload
    ...(rate && { rate: keyFrom(task, 'rateLimit.key', rate(payload as never)) }),
  }
}

/** What a key function answered for the payload. @throws OptionError for what is no key */
function keyFrom(task: TaskRecord, option: string, answered: unknown): string {
  return key(`Task '${task.name}': the answer of ${option}`, answered)
}

function onlyClosures(): UnknownTaskError {
  return new UnknownTaskError(
    `'${inlineTaskName}' is the name under which deferred closures run. Give defer the function itself.`,
  )
}

function noModules(task: TaskRecord): OptionError {
  return new OptionError(
    `Task '${task.name}' runs in lane '${task.policy.lane}', but this scheduler has no task modules for its threads. ` +
      `Pass createScheduler({ tasks: new URL('./tasks.js', import.meta.url) }), in CommonJS ` +
      `{ tasks: path.join(__dirname, 'tasks.js') }, or give the task lane: 'main'.`,
  )
}
