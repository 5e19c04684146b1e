/** What an operator can do to jobs that are there: look, cancel, retry, run now, change the priority. */
import type { Admission } from './defer/admission.js'
import { dedupeNameOf, type DedupeIndex } from './defer/dedupe-index.js'
import type { TaskBook } from './defer/task-book.js'
import type { Dispatcher } from './dispatch/dispatcher.js'
import type { History } from './events/history.js'
import type { FlowBook } from './flows/flow-book.js'
import type { Job } from './job/job.js'
import type { JobTable } from './job/job-table.js'
import type { Journal } from './job/journal.js'
import { isSettled, transitions, type JobState } from './job/lifecycle.js'
import { encodedSizeBytes } from './job/payload.js'
import { serializeError, type SerializedError } from './job/serialized-error.js'
import { OptionError } from './errors.js'
import { integer, key, orDefault, ownOptions, priorityLevel, show } from './options.js'
import type { Queue } from './queue/queue.js'
import type { Settler } from './settle/settler.js'
import type { Task } from './task/define-task.js'
import type { Clock } from './world.js'

/** What `jobs()` looks for. */
export interface JobFilter {
  /** Only jobs in this state. */
  state?: JobState
  /** Only jobs of this task. */
  task?: string | Task
  /** An ordering key. */
  key?: string
  /** 1–1,000; default 100. */
  limit?: number
  /** Only jobs accepted before the one with this id. */
  before?: string
}

const filterNames: ReadonlySet<string> = new Set(['state', 'task', 'key', 'limit', 'before'])
const taskFilterNames: ReadonlySet<string> = new Set(['task'])

/** The rooms operations work with. */
export interface OperationRooms {
  readonly clock: Clock
  readonly table: JobTable
  readonly history: History
  readonly journal: Journal
  readonly queue: Queue
  readonly settler: Settler
  readonly dispatcher: Dispatcher
  readonly admission: Admission
  readonly dedupe: DedupeIndex
  readonly book: TaskBook
  /** A job that has not started in its generation is due now, and its expiry begins. */
  renew(job: Job, now: number): void
  /** A new generation heeds the signal of its defer. */
  listenAgain(job: Job): void
  readonly flows: FlowBook
}

export class Operations {
  readonly #rooms: OperationRooms

  constructor(rooms: OperationRooms) {
    this.#rooms = rooms
  }

  /** A job that is unsettled or still kept. @throws OptionError for an object, the job itself say */
  find(id: unknown): Job | undefined {
    if (typeof id === 'object' && id !== null)
      throw new OptionError(`${show(id)} is no id. Give the id of a job.`)
    const job = typeof id === 'string' ? this.#rooms.table.find(id) : undefined
    return job === undefined || this.#isKept(job) ? job : undefined
  }

  /** Newest first. @throws OptionError, UnknownTaskError */
  list(filter: unknown): Job[] {
    const own = ownOptions('jobs', filter, filterNames)
    const limit = integer('limit', orDefault(own['limit'], 100), 1, 1000)
    const state = own['state'] === undefined ? undefined : jobState(own['state'])
    const orderingKey = own['key'] === undefined ? undefined : key('key', own['key'])
    const task = own['task'] === undefined ? undefined : this.#rooms.book.named(own['task']).name
    const before = own['before'] === undefined ? Infinity : this.#seqOf(key('before', own['before']))
    const matches = (job: Job): boolean =>
      job.seq < before &&
      (state === undefined || job.state === state) &&
      (task === undefined || job.task.name === task) &&
      (orderingKey === undefined || job.details?.orderingKey === orderingKey) &&
      this.#isKept(job)
    return newest(this.#rooms.table.values(), limit, matches)
  }

  /** −1, before which there is none, when it is unknown or kept no longer. */
  #seqOf(id: string): number {
    return this.find(id)?.seq ?? -1
  }

  /** @returns false when it is settled @throws OptionError for a reason that is no text */
  cancel(job: Job, reason: unknown): boolean {
    return this.cancelWith(job, cancelError(reason, 'The job was cancelled.'))
  }

  cancelWith(job: Job, error: SerializedError): boolean {
    const isWaiting = this.reclaim(job)
    if (isSettled(job.state)) return false
    if (isWaiting) this.#rooms.settler.cancelWaiting(job, error, this.#rooms.clock.now())
    else
      this.#rooms.dispatcher.overdue.stop(job, { kind: 'cancelled', error }, error.code ?? '', error.message)
    return true
  }

  /** Its flow's deadline has passed: a job that waits expires, one that runs is stopped. */
  expireWith(job: Job, error: SerializedError): void {
    const isWaiting = this.reclaim(job)
    if (isSettled(job.state)) return
    if (isWaiting) this.#rooms.settler.expireWaiting(job, this.#rooms.clock.now())
    else
      this.#rooms.dispatcher.overdue.stop(job, { kind: 'cancelled', error }, error.code ?? '', error.message)
  }

  /** @returns how many, those included that went with the step before them @throws OptionError, UnknownTaskError */
  cancelAll(filter: unknown): number {
    const jobs = this.#all('cancelAll', filter, (job) => !isSettled(job.state))
    for (const job of jobs) this.cancel(job, undefined)
    // Some may have ended otherwise meanwhile, others with the step before them.
    return jobs.filter(({ state }) => state === 'cancelled').length
  }

  /** Begins a new generation at the end of its key's line. @returns false when there is nothing to retry */
  retry(job: Job): boolean {
    const isLetGoLater = job.details?.step?.isWaiting === true
    if (!this.revive(job)) return false
    if (isLetGoLater) return true // by its flow, which may have done so
    if (job.details?.isLingering === true) job.details.afterLingering = 'join-again'
    else this.#rooms.queue.enterAgain(job)
    return true
  }

  /** All of them, or none. @returns how many @throws QueueFullError when there is no room for all, OptionError, UnknownTaskError */
  retryAll(filter: unknown): number {
    const { admission } = this.#rooms
    const jobs = firstOfEachKey(this.#all('retryAll', filter, (job) => this.#mayRevive(job)))
    const all = new Set(jobs.flatMap((job) => this.#revivedWith(job) ?? []))
    admission.admit(all.size, bytesOf([...all]))
    // There is room for all: each is counted again by itself, as one whose key another got meanwhile takes none.
    for (const { payload } of all) admission.withdraw(payload)
    for (const job of jobs) this.retry(job)
    return jobs.filter(({ state }) => !isSettled(state)).length // also those that went with a step before them
  }

  /**
   * Begins a new generation; the job stands nowhere yet, unless it is a step that waits for others. The steps after it
   * that its flow ended begin theirs, all or none of them.
   * @throws QueueFullError
   */
  revive(job: Job): boolean {
    const { admission, flows } = this.#rooms
    const jobs = this.#mayRevive(job) ? this.#revivedWith(job) : undefined
    if (jobs === undefined) return false
    admission.admit(jobs.length, bytesOf(jobs))
    flows.reopening(jobs)
    for (const one of jobs) this.#begin(one)
    flows.reopened(jobs)
    return true
  }

  /** The job and the steps that begin a new generation with it; undefined when one of them is kept no longer. */
  #revivedWith(job: Job): Job[] | undefined {
    const { flows, history } = this.#rooms
    const followers = flows.revivedWith(job)
    return followers?.every((other) => history.has(other)) === true ? [job, ...followers] : undefined
  }

  #begin(job: Job): void {
    const { clock, dedupe, history, journal } = this.#rooms
    history.take(job)
    dedupe.claim(job)
    journal.revive(job)
    this.#rooms.listenAgain(job)
    job.readyAt = clock.now()
    // A step that waits for others is due when it is let go.
    if (job.details?.step?.isWaiting !== true) this.#rooms.renew(job, job.readyAt)
  }

  /** Lets a job that waits for its time run. @returns false when it does not wait for that */
  runNow(job: Job): boolean {
    if (job.state !== 'scheduled' && job.state !== 'retrying') return false
    const { queue, settler, clock } = this.#rooms
    if (job.details !== undefined && job.details.afterLingering !== 'stay') return false
    queue.take(job)
    const now = clock.now()
    // The time to start an attempt counts from when the first was due.
    if (job.attempt === 0) this.#rooms.renew(job, now)
    else job.more().runAt = now
    queue.seatDue(job, now)
    settler.due(job, now)
    return true
  }

  /** @returns false when it is settled */
  setPriority(job: Job, priority: unknown): boolean {
    const level = priorityLevel(priority)
    const isWaiting = this.reclaim(job)
    if (isSettled(job.state)) return false
    const isQueued = job.state === 'ready' && isWaiting && job.details?.isLingering !== true
    if (!isQueued) {
      job.priority = level
      return true
    }
    this.#rooms.queue.take(job)
    job.priority = level
    this.#rooms.queue.enterReady(job)
    return true
  }

  /**
   * Makes sure that a job is not with a thread, taking it back if it was sent ahead of time. Messages that wait are read
   * first, so it may turn out to have settled.
   * @returns false when it is running
   */
  reclaim(job: Job): boolean {
    const { dispatcher } = this.#rooms
    const thread = job.state === 'ready' ? dispatcher.threadOf(job) : undefined
    if (thread !== undefined) {
      thread.port.drain()
      // What it said may have had the job sent to another.
      const holder = dispatcher.threadOf(job)
      if (holder !== undefined && job.state === 'ready') dispatcher.recall.from(holder)
      dispatcher.wake(thread.lane)
    }
    return job.token === 0
  }

  #all(call: string, filter: unknown, matches: (job: Job) => boolean): Job[] {
    const task = taskOf(call, filter)
    const name = task === undefined ? undefined : this.#rooms.book.named(task).name
    const found: Job[] = []
    for (const job of this.#rooms.table.values()) {
      if ((name === undefined || job.task.name === name) && matches(job)) found.push(job)
    }
    return found.sort((a, b) => a.seq - b.seq)
  }

  /** Whether it can begin a new generation: kept, ended otherwise than well, and no other job stands for its key. */
  #mayRevive(job: Job): boolean {
    const { clock, dedupe, history } = this.#rooms
    if (!isSettled(job.state) || job.state === 'completed' || !history.has(job)) return false
    return dedupe.find(job, clock.now()) === undefined
  }

  #isKept(job: Job): boolean {
    return !isSettled(job.state) || this.#rooms.history.has(job)
  }
}

/** What a filter for many jobs names; undefined for all tasks. @throws OptionError */
function taskOf(call: string, filter: unknown): unknown {
  const { task } = ownOptions(call, filter, taskFilterNames)
  // Of a task that was looked up under a wrong name; taken for none given, it would take every job there is.
  if (task === undefined && Object.hasOwn(Object(filter) as object, 'task')) {
    throw new OptionError(`task is undefined. Give a task or its name, or leave task out for all: ${call}().`)
  }
  return task
}

/** Of the jobs of one dedupe key only the first can begin a new generation: it stands for the key then. */
function firstOfEachKey(jobs: readonly Job[]): Job[] {
  const names = new Set<string>()
  return jobs.filter((job) => {
    const name = dedupeNameOf(job)
    if (name === undefined) return true
    const isFirst = !names.has(name)
    names.add(name)
    return isFirst
  })
}

function bytesOf(jobs: readonly Job[]): number {
  return jobs.reduce((sum, { payload }) => sum + encodedSizeBytes(payload), 0)
}

/** @throws OptionError for a reason that is no text */
export function cancelError(reason: unknown, usual: string): SerializedError {
  const message = reason ?? usual
  if (typeof message !== 'string') throw new OptionError(`The reason is ${show(reason)}. Give text, or none.`)
  return serializeError({ name: 'JobError', message, code: 'ERR_SIDEWORK_CANCELLED' })
}

function jobState(value: unknown): JobState {
  if (typeof value === 'string' && Object.hasOwn(transitions, value)) return value as JobState // looked up just now
  throw new OptionError(`state is ${show(value)}. Give one of ${Object.keys(transitions).join(', ')}.`)
}

/** The `limit` jobs with the highest acceptance numbers, newest first, in one pass with a bounded list. */
function newest(jobs: Iterable<Job>, limit: number, matches: (job: Job) => boolean): Job[] {
  let found: Job[] = []
  let oldest = -1
  for (const job of jobs) {
    if (job.seq <= oldest || !matches(job)) continue
    found.push(job)
    if (found.length < limit * 2) continue
    found = found.sort((a, b) => b.seq - a.seq).slice(0, limit)
    oldest = found.at(-1)?.seq ?? -1
  }
  return found.sort((a, b) => b.seq - a.seq).slice(0, limit)
}
