/**
 * The scheduler: builds the rooms, is the public surface, starts and closes. READ FIRST; wiring only, each method hands
 * on to the room that knows.
 *
 *      defer ──▶ acceptance ──▶ queue ──▶ dispatcher ──▶ threads | main lane
 *                                 ▲           │ how it ended
 *                                 └─ settler ◀┘ ──▶ journal ──▶ events, log, history
 */
import { Acceptance, Duplicate } from './defer/acceptance.js'
import { DedupeIndex } from './defer/dedupe-index.js'
import { Drafts } from './defer/draft.js'
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
import { isSettled, type JobState } from './job/lifecycle.js'
import { serializeError, type SerializedError } from './job/serialized-error.js'
import type { JobSnapshot, Lane, Progress, RequestContext } from './job/snapshot.js'
import { takeSnapshot, type SnapshotForm, type SnapshotView } from './job/take-snapshot.js'
import { payloadLimits, type PayloadLimits } from './job/payload-limits.js'
import { decodePayload, toPlain } from './job/payload.js'
import { Operations, type JobFilter } from './operations.js'
import { durationMs, key, ownOptions, show, type Duration, type Priority } from './options.js'
import { Agenda } from './queue/agenda.js'
import { LimitBook } from './queue/limit-book.js'
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
export type { JobFilter } from './operations.js'
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

/** One of many jobs for `deferMany`. */
export interface DeferItem {
  readonly task: Task | string
  readonly payload?: unknown
  readonly options?: DeferOptions
}

const closeNames: ReadonlySet<string> = new Set(['timeout', 'drain'])
const itemNames: ReadonlySet<string> = new Set(['task', 'payload', 'options'])
const taskNames: ReadonlySet<string> = new Set(['task'])

/** Takes jobs and sees them through. Made by `createScheduler`. */
export class Scheduler {
  readonly #settings: Settings
  readonly #payloadLimits: PayloadLimits
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
  readonly #drafts: Drafts
  readonly #dedupe: DedupeIndex
  readonly #limits: LimitBook
  readonly #acceptance: Acceptance
  readonly #operations: Operations
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
    this.#payloadLimits = payloadLimits(settings.maxPayloadBytes, settings.maxQueuedBytes)
    this.#book = new TaskBook(settings.defaults)
    this.#world = makeWorld({ settings, definitionOf: (task, id) => this.#definitionOf(task, id) })
    const world = this.#world
    const idOf = (job: JobRecord): string => this.#table.idOf(job)
    this.#log = new LogBook(settings.logger, idOf)
    this.#emitter = new Emitter(world, (event, error) => this.#log.listenerThrew(event, error))
    this.#announce = new Announcements(this.#emitter, world.clock, this.#log, idOf)
    this.#table = new JobTable(world.randomId)
    this.#history = new History(settings.keep, world.clock, (job) => this.#table.remove(job))
    this.#admission = new Admission(settings.maxQueued, settings.maxQueuedBytes)
    this.#journal = new Journal(this.#announce, world.clock)
    this.#agenda = new Agenda(world, () => this.#tick())
    this.#limits = new LimitBook(settings.limits, this.#agenda, world.clock)
    this.#queue = new Queue(
      { agenda: this.#agenda, journal: this.#journal, limits: this.#limits, clock: world.clock },
      settings.agingMs,
      (lane) => this.#dispatcher.wake(lane),
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
    this.#drafts = new Drafts({
      clock: world.clock,
      payloadLimits: this.#payloadLimits,
      hasTaskModules: settings.hasTaskModules,
      hasSharedLimit: (name) => this.#limits.hasShared(name),
      sharedLimitNames: this.#limits.sharedNames,
    })
    this.#dedupe = new DedupeIndex(this.#agenda, settings.maxQueued)
    const rooms = {
      clock: world.clock,
      table: this.#table,
      history: this.#history,
      journal: this.#journal,
      queue: this.#queue,
      agenda: this.#agenda,
      admission: this.#admission,
      dedupe: this.#dedupe,
      settler: this.#settler,
      dispatcher: this.#dispatcher,
      book: this.#book,
      renew: (job: JobRecord, now: number) => this.#acceptance.renew(job, now),
    }
    this.#operations = new Operations(rooms)
    this.#acceptance = new Acceptance({
      ...rooms,
      nextSeq: () => this.#drafts.nextSeq(),
      reclaim: (job) => this.#operations.reclaim(job),
      cancelHeld: (job, error) => this.#operations.cancelWith(job, error),
      deduplicated: (job) => this.#announce.deduplicated(job),
      expire: (job, now) => this.#expire(job, now),
      abort: (job, reason) =>
        this.#operations.cancel(job, reason instanceof Error ? serializeError(reason).message : undefined),
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
  // The compiler explains a mismatch by the last signature, so the usual one is last.
  defer(task: string, payload?: unknown, options?: DeferOptions): Job
  defer<R>(fn: InlineHandler<R>, options?: DeferOptions): Job<Awaited<R>>
  defer<R>(task: Task<undefined, R>): Job<R>
  defer<I, R>(task: Task<I, R>, payload: NoInfer<I>, options?: DeferOptions): Job<R>
  defer(task: unknown, payload?: unknown, options?: unknown): Job {
    if (this.#closing !== undefined) throw this.#refused(task, new ClosedError())
    return this.#defer(undefined, task, payload, options)
  }

  /** @internal `defer` for a request in flight: its context travels along, and closing does not refuse it yet. */
  deferWithRequest(
    request: RequestContext | undefined,
    task: unknown,
    payload?: unknown,
    options?: unknown,
  ): Job {
    if (this.#closing?.acceptsChildren === false) throw this.#refused(task, new ClosedError())
    return this.#defer(request, task, payload, options)
  }

  /**
   * Hands over many jobs: all or none.
   * @throws like `defer`, for the first that is refused; then nothing was accepted
   */
  deferMany(items: readonly DeferItem[]): Job[] {
    if (this.#closing !== undefined) throw this.#refused(undefined, new ClosedError())
    if (!Array.isArray(items))
      throw new OptionError(`deferMany got ${show(items)}. Give an array of { task, payload, options }.`)
    const drafts = items.map((item: unknown) => {
      const own = ownOptions('An item of deferMany', item, itemNames)
      return this.#drafts.draft(this.#book.find(own['task']), own['payload'], own['options'], undefined)
    })
    const accepted = this.#acceptance.acceptAll(drafts)
    this.#keepAlive()
    return accepted.map((one) => this.#handle(one))
  }

  /** @internal A job that waits for its response: see `releaseHeld` and `discardHeld`. */
  hold(request: RequestContext | undefined, task: unknown, payload?: unknown, options?: unknown): Job {
    if (this.#closing?.acceptsChildren === false) throw this.#refused(task, new ClosedError())
    try {
      const draft = this.#draft(request, task, payload, options)
      this.#acceptance.hold(draft)
      this.#keepAlive()
      return this.#handle(draft)
    } catch (error) {
      throw this.#refused(task, error)
    }
  }

  /** @internal Lets held jobs go on, all together. Others are left as they are. */
  releaseHeld(ids: readonly string[]): void {
    for (const id of ids) {
      const job = this.#operations.find(id)
      if (job?.state === 'held') this.#acceptance.release(job)
    }
  }

  /** @internal Cancels held jobs: they never were. */
  discardHeld(ids: readonly string[], reason: string): void {
    for (const id of ids) {
      const job = this.#operations.find(id)
      if (job?.state === 'held') this.#operations.cancel(job, reason)
    }
  }

  /** The job as it is now, or undefined for an unknown id or one that is kept no longer. */
  job(id: string): JobSnapshot | undefined {
    const job = this.#operations.find(id)
    return job === undefined ? undefined : this.#snapshot(job, 'plain')
  }

  /** Jobs, newest first. @throws OptionError for an unknown filter, state or a bad limit; UnknownTaskError */
  jobs(filter: JobFilter = {}): JobSnapshot[] {
    return this.#operations.list(filter).map((job) => this.#snapshot(job, 'plain'))
  }

  /** Cancels a job, whatever its state. @returns false when it is settled or unknown */
  cancel(id: string, reason?: string): boolean {
    const job = this.#operations.find(id)
    return job !== undefined && this.#operations.cancel(job, reason)
  }

  /** Cancels every unsettled job (of a task). @returns how many */
  cancelAll(filter: { task?: string | Task } = {}): number {
    return this.#operations.cancelAll(ownOptions('cancelAll', filter, taskNames)['task'])
  }

  /**
   * Begins a new generation of a failed, cancelled or expired job: attempts start again, its history is kept. It joins
   * its ordering key's line at the end. @returns false when there is nothing to retry, or when another job stands for
   * its dedupe key now
   * @throws QueueFullError, ClosedError
   */
  retry(id: string): boolean {
    const job = this.#operations.find(id)
    if (job === undefined || !isSettled(job.state)) return false
    if (this.#closing !== undefined) throw new ClosedError()
    const isRetried = this.#operations.retry(job)
    this.#keepAlive()
    return isRetried
  }

  /** Retries every failed, cancelled or expired job (of a task) that is still kept. @returns how many */
  retryAll(filter: { task?: string | Task } = {}): number {
    if (this.#closing !== undefined) throw new ClosedError()
    const count = this.#operations.retryAll(ownOptions('retryAll', filter, taskNames)['task'])
    this.#keepAlive()
    return count
  }

  /** Lets a scheduled or retrying job run as soon as a place is free. @returns false when it waits for no time */
  runNow(id: string): boolean {
    const job = this.#operations.find(id)
    return job !== undefined && this.#operations.runNow(job)
  }

  /** @returns false when the job is settled or unknown @throws OptionError for a bad priority */
  setPriority(id: string, priority: Priority): boolean {
    const job = this.#operations.find(id)
    return job !== undefined && this.#operations.setPriority(job, priority)
  }

  /** No new starts (of the task, or at all); running jobs go on. */
  pause(task?: string | Task): void {
    if (this.#closing !== undefined) return
    const record = task === undefined ? undefined : this.#book.find(task)
    const wasRunning = record === undefined ? !this.#dispatcher.isPaused : this.#limits.pauseTask(record.name)
    if (!wasRunning) return
    if (record === undefined) this.#dispatcher.isPaused = true
    this.#dispatcher.recallAll()
    if (record !== undefined) this.#queue.regate(record)
    this.#tellPaused('paused', record?.name)
  }

  /** Starts go on after a `pause()` of the same. */
  resume(task?: string | Task): void {
    if (this.#closing !== undefined) return
    const record = task === undefined ? undefined : this.#book.find(task)
    const wasPaused = record === undefined ? this.#dispatcher.isPaused : this.#limits.resumeTask(record.name)
    if (!wasPaused) return
    if (record === undefined) this.#dispatcher.isPaused = false
    for (const room of Object.values(this.#dispatcher.lanes)) this.#dispatcher.dispatch(room)
    this.#tellPaused('resumed', record?.name)
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
    const head = own['retry'] === true ? this.#operations.find(id) : undefined
    const revived = head?.state === 'failed' && this.#operations.revive(head) ? head : undefined
    // While its last execution is still ending it stands at the head of the line and goes on from there.
    const isEnding = revived?.details?.isLingering === true
    if (isEnding) revived.more().afterLingering = 'go-on'
    this.#queue.releaseKey(key, this.#world.clock.now(), isEnding ? undefined : revived)
    this.#keepAlive()
    if (this.#emitter.wants['key:released']) {
      this.#emitter.emit('key:released', { key, at: this.#world.clock.wall() })
    }
    return true
  }

  /**
   * Lets nothing that passes this shared limit start for a while; a longer pause that is under way stays.
   * @throws OptionError for an unknown limit or a bad delay
   */
  pauseLimit(name: string, delay: Duration): void {
    const delayMs = durationMs('delay', delay, { zero: true })
    if (!this.#limits.pauseShared(key('name', name), delayMs)) {
      const known = this.#limits.sharedNames.join(', ') || 'none'
      throw new OptionError(`No limit is named '${name}'. Known are: ${known}.`, 'ERR_SIDEWORK_UNKNOWN_LIMIT')
    }
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
      restoreJob(snapshot, (name) => this.#book.find(name), this.#payloadLimits, clock),
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
    return this.#operations.find(id)?.task.policy.sensitive ?? true
  }

  /** @internal Sizes of everything that grows with jobs: all 0 when all have settled, the kept history excepted. */
  inspect(): Record<string, number> {
    const { lanes } = this.#dispatcher
    return {
      history: this.#history.size,
      jobs: this.#table.size - this.#history.size,
      agenda: this.#agenda.size,
      lines: this.#queue.lines.size,
      halted: this.#queue.lines.halted.size,
      groups: lanes.cpu.ready.groupCount + lanes.io.ready.groupCount + lanes.main.ready.groupCount,
      limits: this.#limits.size,
      dedupe: this.#dedupe.size,
      queuedBytes: this.#admission.bytes,
      idlers: this.#idlers.length,
    }
  }

  #defer(request: RequestContext | undefined, task: unknown, payload: unknown, options: unknown): Job {
    try {
      if (typeof task === 'function' && options !== undefined) {
        throw new OptionError('defer got three arguments for a closure. Give defer(fn, options).')
      }
      const accepted = this.#acceptance.accept(this.#draft(request, task, payload, options))
      if (!this.#isKeptAlive) this.#keepAlive()
      return this.#handle(accepted)
    } catch (error) {
      throw this.#refused(task, error)
    }
  }

  #draft(request: RequestContext | undefined, task: unknown, payload: unknown, options: unknown): JobRecord {
    return typeof task === 'function'
      ? this.#drafts.draftInline(this.#book.inline, task as InlineHandler, payload, request)
      : this.#drafts.draft(this.#book.find(task), payload, options, request)
  }

  #handle(accepted: JobRecord | Duplicate): Job {
    return accepted instanceof Duplicate
      ? new JobHandle(accepted.of, this.#handlePort, true)
      : new JobHandle(accepted, this.#handlePort)
  }

  #tellPaused(event: 'paused' | 'resumed', task: string | undefined): void {
    const at = this.#world.clock.wall()
    this.#emitter.emit(event, task === undefined ? { at } : { task, at })
  }

  readonly #handlePort = {
    idOf: (job: JobRecord): string => this.#table.idOf(job),
    cancel: (job: JobRecord, reason: string | undefined): boolean => this.#operations.cancel(job, reason),
    snapshot: (job: JobRecord): JobSnapshot => this.#snapshot(job, 'plain'),
    alarm: (delayMs: number, run: () => void) => this.#agenda.alarm(this.#world.clock.now() + delayMs, run),
  }

  #snapshot(job: JobRecord, form: SnapshotForm): JobSnapshot {
    return takeSnapshot(job, this.#view, form === 'plain' && job.task.policy.sensitive ? 'bare' : form)
  }

  #expire(job: JobRecord, now: number): void {
    if (isSettled(job.state) || job.state === 'running' || job.token !== 0) return
    this.#settler.expireWaiting(job, now)
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
    this.#admission.release(job.payload, job.endedAt)
    const { details } = job
    const follower = details?.dedupe === undefined ? undefined : this.#dedupe.settled(job, job.endedAt)
    const waiters = details?.waiters
    this.#history.keep(job)
    if (waiters !== undefined && details !== undefined) {
      details.waiters = undefined
      for (const waiter of waiters) waiter.settled()
    }
    if (follower !== undefined) this.#acceptance.releaseFollower(follower, job.endedAt)
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
    if (this.#emitter.wants.refused && error instanceof SideworkError) {
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
    if (this.#emitter.wants['key:halted'])
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
      progress: (job, encoded) => {
        const value = toPlain(encoded) as Progress // checked where it was reported (attempt.ts)
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
      // Its own schema, keys and limits apply as to any other job, so the value is looked at once more.
      const draft = this.#drafts.draft(record, decodePayload(message.payload), message.options, undefined)
      const accepted = this.#acceptance.accept(draft)
      this.#keepAlive()
      const deduplicated = accepted instanceof Duplicate
      const id = this.#table.idOf(deduplicated ? accepted.of : accepted)
      thread.port.post({ kind: 'deferred', call: message.call, id, deduplicated })
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
