/**
 * The scheduler: builds the rooms, is the public surface, starts and closes. READ FIRST; wiring only, each method hands
 * on to the room that knows.
 *
 *      defer ──▶ acceptance ──▶ queue ──▶ dispatcher ──▶ threads | main lane
 *                                 ▲           │ how it ended
 *                                 └─ settler ◀┘ ──▶ journal ──▶ events, log, history
 */
import { Acceptance, type DeferRequest } from './defer/acceptance.js'
import { Admission } from './defer/admission.js'
import { JobHandle, type Job } from './defer/job-handle.js'
import { TaskBook } from './defer/task-book.js'
import { Closing } from './closing.js'
import { Dispatcher } from './dispatch/dispatcher.js'
import { LaneRoom } from './dispatch/lane-room.js'
import { ClosedError, OptionError, SideworkError } from './errors.js'
import { Announcements } from './events/announcements.js'
import { Emitter } from './events/emitter.js'
import type { EventName, SchedulerEvents } from './events/event-types.js'
import { History } from './events/history.js'
import { LogBook } from './events/log-book.js'
import type { Job as JobRecord } from './job/job.js'
import { JobTable } from './job/job-table.js'
import { Journal } from './job/journal.js'
import { isSettled, transitions, type JobState } from './job/lifecycle.js'
import { encodedSizeBytes } from './job/payload.js'
import { serializeError, type SerializedError } from './job/serialized-error.js'
import type { JobSnapshot, Lane, RequestContext } from './job/snapshot.js'
import { takeSnapshot, type SnapshotForm, type SnapshotView } from './job/take-snapshot.js'
import { durationMs, integer, key as readKey, ownOptions, show, type Duration } from './options.js'
import { Agenda } from './queue/agenda.js'
import { Queue } from './queue/queue.js'
import { realWorld, type WorldNeeds } from './real-world.js'
import { restoreJob } from './defer/restore.js'
import { readSettings, type SchedulerOptions, type Settings } from './scheduler-options.js'
import { Settler } from './settle/settler.js'
import { takeStats, type Stats } from './stats.js'
import type { TaskContext } from './task/context.js'
import type { DeferOptions } from './task/defer-options.js'
import type { Task, TaskDefinition } from './task/define-task.js'
import { isSchedulerThread } from './task/registry.js'
import type { DeferMessage } from './threads/protocol.js'
import type { LaneThread } from './dispatch/lane-thread.js'
import { whenReady } from './ready.js'
import type { World } from './world.js'

export type { Job } from './defer/job-handle.js'
export type { Stats } from './stats.js'
export type { SchedulerOptions, ThreadOptions } from './scheduler-options.js'

/** A closure deferred as a job: runs on the main lane under the task name '(inline)', with retries like any other. */
export type InlineHandler<R = unknown> = (context: TaskContext) => R

/** What `close()` resolves with. */
export interface CloseReport {
  /** Jobs that reached each end since `close()` was called, lost ones excepted. */
  readonly settled: Readonly<Record<'completed' | 'failed' | 'cancelled' | 'expired', number>>
  /** Jobs that were not settled, in the state they had: plain JSON that `restore` takes back. */
  readonly lost: readonly JobSnapshot[]
}

/** What `jobs()` looks for. */
export interface JobFilter {
  state?: JobState
  task?: string | Task
  /** An ordering key. */
  key?: string
  /** 1–1,000; default 100. */
  limit?: number
  /** Only jobs accepted before the one with this id. */
  before?: string
}

const filterNames: ReadonlySet<string> = new Set(['state', 'task', 'key', 'limit', 'before'])
const closeNames: ReadonlySet<string> = new Set(['timeout', 'drain'])

/** Takes jobs and sees them through. Made by `createScheduler`. */
export class Scheduler {
  readonly #settings: Settings
  readonly #world: World
  readonly #book: TaskBook
  readonly #emitter: Emitter
  readonly #log: LogBook
  readonly #announce: Announcements
  readonly #table: JobTable
  readonly #history: History
  readonly #admission: Admission
  readonly #journal: Journal
  readonly #agenda: Agenda
  readonly #queue: Queue
  readonly #settler: Settler
  readonly #dispatcher: Dispatcher
  readonly #acceptance: Acceptance
  readonly #view: SnapshotView
  #isKeptAlive = false
  /** Calls of `ready()` and `close()` under way. */
  #waits = 0
  #willCheckRest = false
  #idlers: (() => void)[] = []
  #closing: Closing | undefined
  #closed: Promise<CloseReport> | undefined
  #lost: JobSnapshot[] = []

  /** @internal Use `createScheduler`. */
  constructor(settings: Settings, makeWorld: (needs: WorldNeeds) => World) {
    this.#settings = settings
    this.#book = new TaskBook(settings.defaults)
    this.#world = makeWorld({ settings, definitionOf: (task, id) => this.#definitionOf(task, id) })
    const world = this.#world
    const idOf = (job: JobRecord): string => this.#table.idOf(job)
    this.#log = new LogBook(settings.logger, idOf)
    this.#emitter = new Emitter(world, (event, error) => this.#log.listenerThrew(event, error))
    this.#announce = new Announcements(this.#emitter, world.clock, this.#log, idOf)
    this.#table = new JobTable(() => world.randomId())
    this.#history = new History(settings.keep, world.clock, (job) => this.#table.remove(job))
    this.#admission = new Admission(settings.maxQueued, settings.maxQueuedBytes)
    this.#journal = new Journal(this.#announce, world.clock)
    this.#agenda = new Agenda(world, () => this.#tick())
    this.#queue = new Queue(this.#agenda, this.#journal, settings.agingMs, (lane) =>
      this.#dispatcher.wake(lane),
    )
    this.#settler = new Settler(world, this.#journal, this.#queue, {
      settled: (job) => this.#settled(job),
      moved: () => this.#mayRest(),
      backoffFault: (job, fault) => this.#log.backoffFault(job, fault),
      resultRefused: (job, why) => this.#log.resultRefused(job, why),
      keyHalted: (job, key) => this.#keyHalted(job, key),
    })
    this.#dispatcher = new Dispatcher(this.#makeLanes(), {
      world,
      agenda: this.#agenda,
      queue: this.#queue,
      journal: this.#journal,
      settler: this.#settler,
      idOf,
      listener: this.#dispatchListener(),
    })
    this.#acceptance = new Acceptance({
      clock: world.clock,
      table: this.#table,
      journal: this.#journal,
      queue: this.#queue,
      agenda: this.#agenda,
      admission: this.#admission,
      maxPayloadBytes: settings.maxPayloadBytes,
      maxQueuedBytes: settings.maxQueuedBytes,
      hasTaskModules: settings.hasTaskModules,
      expire: (job, now) => this.#expire(job, now),
      abort: (job, reason) => void this.#cancel(job, reason instanceof Error ? reason.message : undefined),
    })
    this.#view = { idOf, clock: world.clock, startError: (job) => this.#startErrorOf(job) }
  }

  /**
   * Starts one thread per lane and waits until it has imported the task modules.
   * @throws (rejects) ThreadStartError with the real import error, or naming a task that the modules do not define
   */
  async ready(): Promise<void> {
    if (this.#closing !== undefined) throw new ClosedError()
    if (!this.#settings.hasTaskModules) return
    this.#waits++
    this.#keepAlive()
    try {
      await whenReady(this.#dispatcher, this.#book)
    } finally {
      this.#waits--
      this.#keepAlive()
    }
  }

  /**
   * Hands over a job: accepts it or throws, synchronously, never half.
   * @param task a task, its name, or a closure `(context) => result` that runs on the main thread
   * @param payload JSON, with `Uint8Array` leaves allowed; copied at the call
   * @throws OptionError, UnknownTaskError, PayloadError (422), PayloadTooLargeError (413), QueueFullError (503),
   *   ClosedError (503)
   */
  defer<I, R>(task: Task<I, R>, ...rest: [payload: I, options?: DeferOptions]): Job<R>
  defer<R>(task: Task<void, R>): Job<R>
  defer<R>(fn: InlineHandler<R>, options?: DeferOptions): Job<Awaited<R>>
  defer(task: string, payload?: unknown, options?: DeferOptions): Job
  defer(task: unknown, ...rest: unknown[]): Job {
    if (this.#closing !== undefined) throw this.#refused(task, new ClosedError())
    return this.#defer(undefined, task, rest)
  }

  /** @internal `defer` for a request in flight: its context travels along, and closing does not refuse it yet. */
  deferWithRequest(request: RequestContext | undefined, task: unknown, ...rest: unknown[]): Job {
    if (this.#closing?.acceptsChildren === false) throw this.#refused(task, new ClosedError())
    return this.#defer(request, task, rest)
  }

  /** The job as it is now, or undefined for an unknown id or one that is kept no longer. */
  job(id: string): JobSnapshot | undefined {
    const job = this.#find(id)
    return job === undefined ? undefined : this.#snapshot(job, 'plain')
  }

  /** Jobs, newest first. @throws OptionError for an unknown filter or a bad state, key or limit; UnknownTaskError */
  jobs(filter: JobFilter = {}): JobSnapshot[] {
    const own = ownOptions('jobs', filter, filterNames)
    const limit = integer('limit', own['limit'] ?? 100, 1, 1000)
    const state = own['state'] === undefined ? undefined : jobState(own['state'])
    const orderingKey = own['key'] === undefined ? undefined : readKey('key', own['key'])
    const task = own['task'] === undefined ? undefined : this.#book.find(own['task']).name
    const before = own['before'] === undefined ? Infinity : (this.#find(own['before'])?.seq ?? -1)
    const found: JobRecord[] = []
    for (const job of this.#table.values()) {
      if (job.seq >= before || (state !== undefined && job.state !== state)) continue
      if (task !== undefined && job.task.name !== task) continue
      if (orderingKey !== undefined && job.details?.orderingKey !== orderingKey) continue
      if (!isSettled(job.state) || this.#history.has(job)) found.push(job)
    }
    found.sort((a, b) => b.seq - a.seq)
    return found.slice(0, limit).map((job) => this.#snapshot(job, 'plain'))
  }

  /** Cancels a job, whatever its state. @returns false when it is settled or unknown */
  cancel(id: string, reason?: string): boolean {
    const job = this.#find(id)
    return job !== undefined && this.#cancel(job, reason)
  }

  /**
   * Begins a new generation of a failed, cancelled or expired job: attempts start again, its history is kept. It joins
   * its ordering key's line at the end. @returns false when there is nothing to retry
   * @throws QueueFullError, ClosedError
   */
  retry(id: string): boolean {
    const job = this.#find(id)
    if (job === undefined || !isSettled(job.state) || job.state === 'completed') return false
    if (this.#closing !== undefined) throw new ClosedError()
    this.#revive(job)
    if (job.details?.isLingering === true) job.details.afterLingering = 'join-again'
    else this.#queue.enterAgain(job)
    return true
  }

  /** No new starts; running jobs go on. */
  pause(): void {
    if (this.#dispatcher.isPaused || this.#closing !== undefined) return
    this.#dispatcher.isPaused = true
    for (const thread of this.#dispatcher.lanes.cpu.threads) this.#dispatcher.recall(thread)
  }

  /** Starts go on after a `pause()`. */
  resume(): void {
    if (!this.#dispatcher.isPaused || this.#closing !== undefined) return
    this.#dispatcher.isPaused = false
    for (const room of Object.values(this.#dispatcher.lanes)) this.#dispatcher.dispatch(room)
  }

  /** Keys whose line stands still after a final failure (`onExhausted: 'halt'`). */
  haltedKeys(): string[] {
    return [...this.#queue.lines.halted.keys()]
  }

  /**
   * Lets a halted key go on.
   * @param options `retry`: the job at which it halted runs first, in a new generation
   * @returns false when the key is not halted
   */
  releaseKey(key: string, options: { retry?: boolean } = {}): boolean {
    const own = ownOptions('releaseKey', options, new Set(['retry']))
    const id = this.#queue.lines.halted.get(key)
    if (id === undefined) return false
    const head = own['retry'] === true ? this.#find(id) : undefined
    const revived = head?.state === 'failed' ? head : undefined
    if (revived !== undefined) this.#revive(revived)
    // While its last execution is still ending it stands at the head of the line and goes on from there.
    const isEnding = revived?.details?.isLingering === true
    if (isEnding) revived.more().afterLingering = 'go-on'
    this.#queue.releaseKey(key, this.#world.clock.now(), isEnding ? undefined : revived)
    if (this.#emitter.wants('key:released'))
      this.#emitter.emit('key:released', { key, at: this.#world.clock.wall() })
    return true
  }

  /** Figures of this moment. Costs O(number of tasks). */
  stats(): Stats {
    return takeStats({
      journal: this.#journal,
      book: this.#book,
      dispatcher: this.#dispatcher,
      admission: this.#admission,
      now: this.#world.clock.now(),
    })
  }

  /** Calls `listener` at every such event, in order, after the call or message that caused it. */
  on<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#emitter.add(event, listener, false)
    return this
  }

  /** Calls `listener` at the next such event only. */
  once<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#emitter.add(event, listener, true)
    return this
  }

  /** Takes a listener off. */
  off<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#emitter.remove(event, listener)
    return this
  }

  /** Resolves when no job is blocked, ready or running. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers.push(resolve)
      this.#mayRest()
    })
  }

  /**
   * Closes: finishes what is ready, then stops everything. Done within `timeout` + 1 s. A second call answers the same
   * promise.
   * @param options `timeout`: the deadline, default '25s', 0 allowed; `drain: false`: ready jobs are not run any more
   */
  close(options: { timeout?: Duration; drain?: boolean } = {}): Promise<CloseReport> {
    if (this.#closed !== undefined) return this.#closed
    const own = ownOptions('close', options, closeNames)
    const timeoutMs = durationMs('timeout', own['timeout'] ?? '25s', { zero: true })
    const before = { ...this.#journal.counts }
    this.#waits++
    this.#keepAlive()
    this.#closed = new Promise((resolve) => {
      this.#emitter.emit('closing', { at: this.#world.clock.wall() })
      this.#closing = new Closing(
        this.#closingPort(() => resolve(this.#report(before))),
        timeoutMs,
        own['drain'] !== false,
      )
      this.#closing.moved()
    })
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Takes back the jobs that a CloseReport listed as lost, keeping id, attempt, due time and order.
   * @throws OptionError for a snapshot that is none, or an id in use; UnknownTaskError; QueueFullError. All or nothing.
   */
  restore(jobs: readonly JobSnapshot[]): Job[] {
    if (this.#closing !== undefined) throw new ClosedError()
    if (!Array.isArray(jobs))
      throw new OptionError(`restore got ${show(jobs)}. Give the \`lost\` list of a CloseReport.`)
    const { clock } = this.#world
    const read = jobs.map((snapshot: unknown) =>
      restoreJob(snapshot, (name) => this.#book.find(name), this.#acceptance.limits, clock),
    )
    const accepted = this.#acceptance.readmit(read, clock.now())
    this.#keepAlive()
    return accepted.map((job) => this.#handle(job))
  }

  /** @internal Whether `close()` has been called. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** @internal Whether payload and result of this job must not leave the process; true for an unknown id. */
  isSensitive(id: string): boolean {
    return this.#find(id)?.task.policy.sensitive ?? true
  }

  #defer(request: RequestContext | undefined, task: unknown, rest: unknown[]): Job {
    try {
      const asked: DeferRequest =
        typeof task === 'function'
          ? { payload: undefined, options: rest[0], request, inline: task as (context: never) => unknown } // any function takes a context
          : { payload: rest[0], options: rest[1], request, inline: undefined }
      const record = typeof task === 'function' ? this.#book.inline : this.#book.find(task)
      const job = this.#acceptance.accept(record, asked)
      if (!this.#isKeptAlive) this.#keepAlive()
      return this.#handle(job)
    } catch (error) {
      throw this.#refused(task, error)
    }
  }

  #handle(job: JobRecord): Job {
    return new JobHandle(job, this.#handlePort)
  }

  readonly #handlePort = {
    idOf: (job: JobRecord): string => this.#table.idOf(job),
    cancel: (job: JobRecord, reason: string | undefined): boolean => this.#cancel(job, reason),
    snapshot: (job: JobRecord): JobSnapshot => this.#snapshot(job, 'plain'),
    alarm: (delayMs: number, run: () => void) => this.#agenda.alarm(this.#world.clock.now() + delayMs, run),
  }

  #find(id: unknown): JobRecord | undefined {
    const job = typeof id === 'string' ? this.#table.find(id) : undefined
    if (job === undefined || !isSettled(job.state) || this.#history.has(job)) return job
    return undefined
  }

  #snapshot(job: JobRecord, form: SnapshotForm): JobSnapshot {
    return takeSnapshot(job, this.#view, form === 'plain' && job.task.policy.sensitive ? 'bare' : form)
  }

  #cancel(job: JobRecord, reason: string | undefined): boolean {
    if (isSettled(job.state)) return false
    const message = reason ?? 'The job was cancelled.'
    const error: SerializedError = { name: 'JobError', message, code: 'ERR_SIDEWORK_CANCELLED' }
    const thread = this.#dispatcher.threadOf(job)
    if (thread !== undefined && job.state === 'ready') this.#dispatcher.recall(thread)
    if (job.token === 0) this.#settler.cancelWaiting(job, error, this.#world.clock.now())
    else this.#dispatcher.stop(job, { kind: 'cancelled', error }, error.code ?? '', message)
    return true
  }

  #expire(job: JobRecord, now: number): void {
    if (isSettled(job.state) || job.state === 'running' || job.token !== 0) return
    this.#settler.expireWaiting(job, now)
  }

  /** Begins the next generation of a settled job. It stands nowhere yet. */
  #revive(job: JobRecord): void {
    this.#admission.admit(1, encodedSizeBytes(job.payload))
    this.#history.take(job)
    this.#journal.revive(job)
    job.readyAt = this.#world.clock.now()
    this.#acceptance.renew(job, job.readyAt)
    this.#keepAlive()
  }

  /** The one timer fired: everything due is done, jobs first in order, then the timer is set anew. */
  #tick(): void {
    const now = this.#world.clock.now()
    for (let job = this.#agenda.takeDueJob(now); job !== undefined; job = this.#agenda.takeDueJob(now)) {
      this.#settler.due(job, now)
    }
    this.#agenda.rearm()
  }

  #settled(job: JobRecord): void {
    this.#admission.release(job.payload, this.#world.clock.now())
    const waiters = job.details?.waiters
    this.#history.keep(job)
    if (waiters !== undefined && job.details !== undefined) {
      job.details.waiters = undefined
      for (const waiter of waiters) waiter.settled()
    }
    this.#mayRest()
  }

  /** Perhaps nothing is left to do: looked at once, after the current call. */
  #mayRest(): void {
    if (this.#willCheckRest) return
    this.#willCheckRest = true
    this.#world.soon(this.#checkRest)
  }

  readonly #checkRest = (): void => {
    this.#willCheckRest = false
    const { blocked, ready, running } = this.#journal.counts
    this.#closing?.moved()
    if (this.#idlers.length > 0 && blocked + ready + running === 0) {
      const idlers = this.#idlers
      this.#idlers = []
      for (const resolve of idlers) resolve()
    }
    this.#keepAlive()
  }

  /** The process stays alive exactly while a job is unsettled, or `ready()` or `close()` is under way. */
  #keepAlive(): void {
    const isNeeded = this.#journal.unsettled > 0 || this.#waits > 0
    if (isNeeded === this.#isKeptAlive) return
    this.#isKeptAlive = isNeeded
    this.#world.keepAlive(isNeeded)
  }

  #refused(task: unknown, error: unknown): unknown {
    if (this.#emitter.wants('refused') && error instanceof SideworkError) {
      const name: unknown =
        typeof task === 'object' && task !== null ? (task as { name?: unknown }).name : task
      const shown = typeof name === 'string' ? name.slice(0, 128) : typeof task
      this.#emitter.emit('refused', { task: shown, code: error.code, at: this.#world.clock.wall() })
    }
    return error
  }

  #keyHalted(job: JobRecord, key: string): void {
    const id = this.#table.idOf(job)
    this.#queue.lines.halt(key, id)
    this.#log.keyHalted(job, key)
    if (this.#emitter.wants('key:halted'))
      this.#emitter.emit('key:halted', { key, id, at: this.#world.clock.wall() })
  }

  #definitionOf(task: string, id: string): TaskDefinition | undefined {
    const inline = this.#table.find(id)?.details?.inline
    if (inline === undefined) return this.#book.definitionOf(task)
    // Only the closure matters here; it was deferred as `(context) => result`.
    return { name: task, options: {}, run: (_payload, context) => inline(context as never) }
  }

  #startErrorOf(job: JobRecord): SerializedError | undefined {
    const error = this.#dispatcher.lanes[job.task.policy.lane].startError
    return error === undefined ? undefined : serializeError(error)
  }

  #makeLanes(): Record<Lane, LaneRoom> {
    const make = (lane: Lane): LaneRoom =>
      new LaneRoom(lane, this.#settings.lanes[lane], this.#queue.ready[lane])
    return { cpu: make('cpu'), io: make('io'), main: make('main') }
  }

  #dispatchListener(): ConstructorParameters<typeof Dispatcher>[1]['listener'] {
    const { clock } = this.#world
    return {
      progress: (job, value) => {
        job.more().progress = value
        this.#announce.progress(job, value)
      },
      log: (job, message) => this.#log.fromHandler(job, message),
      defer: (_job, message, thread) => this.#deferChild(message, thread),
      threadStarted: ({ lane, number }) => {
        this.#log.threadStarted(lane, number)
        this.#emitter.emit('thread:started', { lane, thread: number, at: clock.wall() })
      },
      threadExited: ({ lane, number }, reason, exitCode) => {
        this.#log.threadExited(lane, number, reason, exitCode)
        this.#emitter.emit('thread:exited', { lane, thread: number, reason, exitCode, at: clock.wall() })
        this.#mayRest()
      },
      startFailed: (lane, error) => this.#log.startFailed(lane, error),
    }
  }

  /** A handler defers a child: accepted also while closing, until the deadline. */
  #deferChild(message: DeferMessage, thread: LaneThread): void {
    try {
      if (this.#closing?.acceptsChildren === false) throw new ClosedError()
      const record = this.#book.find(message.task)
      const job = this.#acceptance.acceptEncoded(record, message.payload, message.options)
      this.#keepAlive()
      thread.port.post({
        kind: 'deferred',
        call: message.call,
        id: this.#table.idOf(job),
        deduplicated: false,
      })
    } catch (error) {
      thread.port.post({ kind: 'deferred', call: message.call, error: serializeError(error) })
    }
  }

  #closingPort(finished: () => void): ConstructorParameters<typeof Closing>[0] {
    const { counts } = this.#journal
    return {
      clock: this.#world.clock,
      agenda: this.#agenda,
      dispatcher: this.#dispatcher,
      get busyJobs() {
        return counts.ready + counts.running
      },
      get runningJobs() {
        return counts.running
      },
      abandonJobs: () => this.#abandonJobs(),
      finished,
    }
  }

  /** Everything unsettled is lost: listed in the state it has, then settled as cancelled. */
  #abandonJobs(): void {
    const error: SerializedError = {
      name: 'JobError',
      message: 'The scheduler closed before the job had settled.',
      code: 'ERR_SIDEWORK_CLOSED',
    }
    const left = [...this.#table.values()]
      .filter((job) => !isSettled(job.state))
      .sort((a, b) => a.seq - b.seq)
    this.#lost = left.map((job) => this.#snapshot(job, 'portable'))
    const now = this.#world.clock.now()
    for (const job of left) {
      if (isSettled(job.state)) continue
      // A thread may have taken a job that was sent ahead and not said so yet: it stands in no queue.
      if (job.state === 'ready' && job.token !== 0) this.#journal.start(job, now)
      if (job.state === 'running') this.#settler.endedEarly(job, { kind: 'cancelled', error }, now)
      else this.#settler.cancelWaiting(job, error, now)
    }
    this.#log.lost(this.#lost)
  }

  #report(before: Readonly<Record<JobState, number>>): CloseReport {
    const { counts } = this.#journal
    const settledSince = (state: 'completed' | 'failed' | 'cancelled' | 'expired'): number =>
      counts[state] - before[state]
    this.#emitter.emit('closed', { at: this.#world.clock.wall(), lost: this.#lost.length })
    this.#agenda.close()
    this.#world.close()
    return Object.freeze({
      settled: Object.freeze({
        completed: settledSince('completed'),
        failed: settledSince('failed'),
        cancelled: settledSince('cancelled') - this.#lost.length,
        expired: settledSince('expired'),
      }),
      lost: Object.freeze(this.#lost),
    })
  }
}

function jobState(value: unknown): JobState {
  if (typeof value === 'string' && Object.hasOwn(transitions, value)) return value as JobState // looked up just now
  throw new OptionError(`state is ${show(value)}. Give one of: ${Object.keys(transitions).join(', ')}.`)
}

/**
 * Makes a scheduler. Starts no timer and no thread and touches no file; threads start on demand or with `ready()`.
 * @throws OptionError for options that are not what they must be, and inside a scheduler's own thread
 * @example
 * const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url) })
 */
export function createScheduler(options: SchedulerOptions = {}): Scheduler {
  if (isSchedulerThread()) {
    throw new OptionError(
      "createScheduler was called inside one of a scheduler's own threads. A task module imports the server: " +
        'move what both need into a module of its own.',
      'ERR_SIDEWORK_NESTED_SCHEDULER',
    )
  }
  return new Scheduler(readSettings(options), realWorld)
}
