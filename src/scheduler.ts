/**
 * The public surface. READ FIRST: each method hands on to the room that knows; rooms.ts builds and connects the rooms.
 *
 *      defer ──▶ acceptance ──▶ queue ──▶ dispatcher ──▶ threads | main lane
 *                                 ▲           │ how it ended
 *                                 └─ settler ◀┘ ──▶ journal ──▶ events, log, history
 */
import { type Job } from './defer/job-handle.js'
import type { AddOn, AddOnPort } from './add-on-port.js'
import { closeRooms, type CloseReport } from './close-rooms.js'
import { Deferring, type DeferItem, type InlineHandler } from './deferring.js'
import { ClosedError, fromCallerOf, fromCallerUnlessFull, fromLineOf, OptionError } from './errors.js'
import type { EventName, SchedulerEvents } from './events/event-types.js'
import { bucketBoundsMs } from './job/duration-tally.js'
import type { FlowKind } from './job/flow-step.js'
import { isSettled } from './job/lifecycle.js'
import { takeBack } from './left-jobs.js'
import type { JobSnapshot, RequestContext } from './job/snapshot.js'
import type { Measurements } from './measurements.js'
import { type JobFilter } from './operations.js'
import { durationMs, flag, orDefault, ownOptions, type Duration, type Priority } from './options.js'
import { realWorld, type WorldNeeds } from './real-world.js'
import type { Batch, Flow } from './flows/flow-handle.js'
import { overviewOf, type FlowOverview } from './flows/flow-snapshot.js'
import { Pausing } from './pausing.js'
import { Rooms } from './rooms.js'
import { readSettings, type Settings } from './read-settings.js'
import type { SchedulerOptions } from './scheduler-options.js'
import { oldestWaitMs, takeStats, type Stats } from './stats.js'
import type { DeferOptions } from './task/defer-options.js'
import type { Task } from './task/define-task.js'
import type {
  AnyTask,
  BatchOptions,
  ChainStepSpec,
  FlowOptions,
  FlowStepSpec,
  PayloadOf,
  ResultOf,
} from './task/flow-options.js'
import { isSchedulerThread } from './task/registry.js'
import { whenReady } from './ready.js'
import type { World } from './world.js'

export type { CloseReport } from './close-rooms.js'
export type { Job } from './defer/job-handle.js'
export type { DeferItem, InlineHandler } from './deferring.js'
export type { JobFilter } from './operations.js'
export type { Stats } from './stats.js'
export type { SchedulerOptions, ThreadOptions } from './scheduler-options.js'

const closeNames: ReadonlySet<string> = new Set(['timeout', 'drain'])

/** Takes jobs and sees them through. Made by `createScheduler`. */
export class Scheduler {
  readonly #rooms: Rooms
  readonly #deferring: Deferring
  readonly #pausing: Pausing
  #closed: Promise<CloseReport> | undefined

  /** @internal Use `createScheduler`. */
  constructor(settings: Settings, makeWorld: (needs: WorldNeeds) => World) {
    this.#rooms = new Rooms(settings, makeWorld)
    this.#deferring = new Deferring(this.#rooms)
    this.#pausing = new Pausing(this.#rooms)
  }

  /**
   * Starts a thread of lane `cpu` and one of lane `io` and waits until they have imported the task modules; without `tasks`
   * it resolves at once. After a start that failed it waits for the next one, which comes 0.5 to 30 s later.
   * @throws (rejects) ThreadStartError with the real import error, or naming a task that the modules do not define;
   *   ClosedError
   */
  async ready(): Promise<void> {
    if (this.#rooms.closing !== undefined) throw new ClosedError()
    if (!this.#rooms.settings.hasTaskModules) return
    this.#rooms.rest.begin()
    try {
      await whenReady(this.#rooms.dispatcher, this.#rooms.book)
    } finally {
      this.#rooms.rest.end()
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
    try {
      return this.#deferring.defer(task, payload, options)
    } catch (error) {
      throw fromCallerUnlessFull(defer, error)
    }
  }

  /** @internal `defer` for a request in flight: its context travels along, and closing does not refuse it yet. */
  deferWithRequest(
    request: RequestContext | undefined,
    task: unknown,
    payload?: unknown,
    options?: unknown,
  ): Job {
    return this.#deferring.deferWithRequest(request, task, payload, options)
  }

  /**
   * Hands over many jobs: all or none.
   * @throws like `defer`, for the first that is refused; then nothing was accepted
   */
  deferMany(items: readonly DeferItem[]): Job[] {
    try {
      return this.#deferring.deferMany(items)
    } catch (error) {
      throw fromCallerUnlessFull(deferMany, error)
    }
  }

  /**
   * Hands over jobs that come after one another: all or none. A step waits, `blocked`, for those its `after` names.
   * @throws OptionError, also for unknown refs and steps that wait for each other, naming their path; what `defer` throws
   * @example
   * scheduler.flow({
   *   encode: { task: encodeVideo, payload: { file } },
   *   notify: { task: notifyUser, payload: { userId }, after: ['encode'] },
   * }, { deadline: '1h' })
   */
  flow<T extends Record<string, AnyTask>>(
    steps: { [Ref in keyof T]: FlowStepSpec<T[Ref], keyof T & string> },
    options?: FlowOptions,
  ): Flow<{ readonly [Ref in keyof T]: ResultOf<T[Ref]> }> {
    return this.#flow('flow', [steps, options]) as never // as its steps say
  }

  /** Hands over jobs that run one after another. @throws like `flow` */
  chain<const T extends readonly AnyTask[]>(
    steps: { readonly [Position in keyof T]: ChainStepSpec<T[Position]> },
    options?: FlowOptions,
  ): Flow {
    return this.#flow('chain', [steps, options]) // refs are known at run time only
  }

  /** Hands over one task for many payloads, and perhaps a job after them all. @throws like `flow` */
  batch<T extends AnyTask, C extends AnyTask = AnyTask>(
    task: T,
    payloads: readonly PayloadOf<T>[],
    options?: BatchOptions<C>,
  ): Batch<ResultOf<T>> {
    return this.#flow('batch', [task, payloads, options]) as never // as the task says
  }

  /** @internal `flow`, `chain` or `batch` for a request in flight. */
  flowWithRequest(
    request: RequestContext | undefined,
    isHeld: boolean,
    kind: FlowKind,
    args: readonly unknown[],
  ): Flow {
    return this.#deferring.flowWithRequest(request, isHeld, kind, args)
  }

  /** @internal A flow as it is now, without its steps; undefined for an unknown id or one that is kept no longer. */
  flowOverview(id: string): FlowOverview | undefined {
    const flow = this.#rooms.flows.find(id)
    return flow === undefined ? undefined : overviewOf(flow, this.#rooms.world.clock)
  }

  /** @internal The first step's job, for whoever has to decide about the whole flow. */
  firstOfFlow(id: string): JobSnapshot | undefined {
    const job = this.#rooms.flows.find(id)?.steps.find((step) => step.job !== undefined)?.job
    return job === undefined ? undefined : this.#rooms.snapshot(job, 'plain')
  }

  /** @internal A job that waits for its response: see `releaseHeld` and `discardHeld`. */
  hold(request: RequestContext | undefined, task: unknown, payload?: unknown, options?: unknown): Job {
    return this.#deferring.hold(request, task, payload, options)
  }

  /** @internal Lets held jobs go on, all together. Others are left as they are. */
  releaseHeld(ids: readonly string[]): void {
    this.#deferring.release(ids)
  }

  /** @internal Cancels held jobs: they never were. @returns how many were held */
  discardHeld(ids: readonly string[], reason: string): number {
    return this.#deferring.discard(ids, reason)
  }

  /** The job as it is now, or undefined for an unknown id or one that is kept no longer. @throws OptionError for an object */
  job(id: string): JobSnapshot | undefined {
    const job = this.#rooms.operations.find(id)
    return job === undefined ? undefined : this.#rooms.snapshot(job, 'plain')
  }

  /** Jobs, newest first. @throws OptionError for an unknown filter or state, a bad limit, key or id; UnknownTaskError */
  jobs(filter: JobFilter = {}): JobSnapshot[] {
    const found = fromLineOf(jobs, () => this.#rooms.operations.list(filter))
    return found.map((job) => this.#rooms.snapshot(job, 'plain'))
  }

  /**
   * Cancels a job, whatever its state, or a flow with all its steps.
   * @returns false when it is settled or unknown
   * @throws OptionError for an object as id, and for a reason that is no text
   */
  cancel(id: string, reason?: string): boolean {
    return fromLineOf(cancel, () => {
      const job = this.#rooms.operations.find(id)
      if (job !== undefined) return this.#rooms.operations.cancel(job, reason)
      const flow = this.#rooms.flows.find(id)
      return flow !== undefined && this.#rooms.flowRoom.cancel(flow, reason)
    })
  }

  /**
   * Cancels every unsettled job (of a task).
   * @returns how many of them, steps after a cancelled one included
   * @throws UnknownTaskError for a name that no task has, OptionError for a `task` that is undefined: leave it out for all
   */
  cancelAll(filter: { task?: string | Task } = {}): number {
    return fromLineOf(cancelAll, () => this.#rooms.operations.cancelAll(filter))
  }

  /**
   * Begins a new generation of a failed, cancelled or expired job: attempts start again, its history is kept. It joins
   * its ordering key's line at the end. @returns false when there is nothing to retry, or when another job stands for
   * its dedupe key now. A step's descendants that its flow cancelled begin theirs with it; a step after one that keeps it
   * from running, or of a flow that is kept no longer, is not retried
   * @throws QueueFullError, ClosedError; OptionError for an object as id
   */
  retry(id: string): boolean {
    return fromLineOf(retry, () => {
      const job = this.#rooms.operations.find(id)
      if (job === undefined || !isSettled(job.state)) return false
      if (this.#rooms.closing !== undefined) throw new ClosedError()
      const isRetried = this.#rooms.operations.retry(job)
      this.#rooms.rest.jobCame()
      return isRetried
    })
  }

  /**
   * Retries every failed, cancelled or expired job (of a task) that is still kept: all of them, or none.
   * @returns how many of them, steps after a retried one included
   * @throws QueueFullError when there is no room for all, ClosedError, UnknownTaskError, OptionError like `cancelAll`
   */
  retryAll(filter: { task?: string | Task } = {}): number {
    return fromLineOf(retryAll, () => {
      if (this.#rooms.closing !== undefined) throw new ClosedError()
      const count = this.#rooms.operations.retryAll(filter)
      this.#rooms.rest.jobCame()
      return count
    })
  }

  /**
   * Lets a scheduled or retrying job run as soon as a place is free.
   * @returns false when it waits for no time
   * @throws OptionError for an object as id
   */
  runNow(id: string): boolean {
    const job = this.#rooms.operations.find(id)
    return job !== undefined && this.#rooms.operations.runNow(job)
  }

  /**
   * Gives an unsettled job another priority.
   * @returns false when it is settled or unknown
   * @throws OptionError for a bad priority, and for an object as id
   */
  setPriority(id: string, priority: Priority): boolean {
    return fromLineOf(setPriority, () => {
      const job = this.#rooms.operations.find(id)
      return job !== undefined && this.#rooms.operations.setPriority(job, priority)
    })
  }

  /**
   * No new starts (of the task, or at all), also while `close()` drains; running jobs go on.
   * @throws UnknownTaskError for a name that no task has
   */
  pause(task?: string | Task): void {
    fromLineOf(pause, () => this.#pausing.pause(task))
  }

  /** Starts go on after a `pause()` of the same, unless the scheduler closes. @throws UnknownTaskError for a name that no task has */
  resume(task?: string | Task): void {
    fromLineOf(resume, () => this.#pausing.resume(task))
  }

  /**
   * Keys whose line stands still after a final failure (`onExhausted: 'halt'`). Each is kept until its `releaseKey`: a key
   * of which no job is left too, without a bound.
   */
  haltedKeys(): string[] {
    return [...this.#rooms.queue.lines.halted.keys()]
  }

  /**
   * Lets a halted key go on.
   * @param options `retry`: the job at which it halted runs first, in a new generation or in that of a `retry(id)` since
   * @returns false when the key is not halted; with `retry` also, leaving it halted, when that job cannot run again: it is
   *   kept no longer, was cancelled or has expired since, or another job stands for its dedupe key
   * @throws OptionError for what is no key; QueueFullError, ClosedError, with `retry`: then the key stays halted
   */
  releaseKey(key: string, options: { retry?: boolean } = {}): boolean {
    return fromLineOf(releaseKey, () => this.#pausing.releaseKey(key, options))
  }

  /**
   * Lets nothing that passes this shared limit start for a while; a longer pause that is under way stays.
   * @throws OptionError for an unknown limit or a bad delay
   */
  pauseLimit(name: string, delay: Duration): void {
    fromLineOf(pauseLimit, () => this.#pausing.pauseLimit(name, delay))
  }

  /** Figures of this moment. Costs O(number of tasks). */
  stats(): Stats {
    return takeStats({
      journal: this.#rooms.journal,
      book: this.#rooms.book,
      dispatcher: this.#rooms.dispatcher,
      admission: this.#rooms.admission,
      now: this.#rooms.world.clock.now(),
      eventLoopDelayMs: this.#rooms.eventLoopDelayMs,
    })
  }

  /**
   * Calls `listener` at every such event, in order, after the call or message that caused it. What it throws, or rejects with
   * if it is asynchronous, is logged.
   * @throws OptionError for an event there is none of, and for what is no function
   */
  on<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#rooms.emitter.add(event, listener, false)
    return this
  }

  /** Calls `listener` at the next such event only. @throws OptionError like `on` */
  once<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#rooms.emitter.add(event, listener, true)
    return this
  }

  /** Takes a listener off, if it is on. @throws OptionError like `on` */
  off<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): this {
    this.#rooms.emitter.remove(event, listener)
    return this
  }

  /** Resolves when no job is blocked, ready or running. */
  idle(): Promise<void> {
    return new Promise((resolve) => this.#rooms.rest.whenIdle(resolve))
  }

  /**
   * Closes: finishes what is ready, then stops everything. Done within `timeout` + 1 s. A second call answers the same
   * promise.
   * @param options `timeout`: the deadline, default '25s', 0 allowed; `drain: false`: ready jobs are not run any more
   * @throws OptionError, at the call, for unknown options and a bad timeout
   */
  close(options: { timeout?: Duration | undefined; drain?: boolean | undefined } = {}): Promise<CloseReport> {
    if (this.#closed !== undefined) return this.#closed
    const own = ownOptions('close', options, closeNames)
    const timeoutMs = durationMs('timeout', orDefault(own['timeout'], '25s'), { zero: true })
    const drains = flag('drain', orDefault(own['drain'], true))
    let finished: (report: CloseReport) => void = () => undefined
    // Kept before anything happens: a handler or logger that hears of it may call close() too.
    this.#closed = new Promise((resolve) => (finished = resolve))
    closeRooms(this.#rooms, timeoutMs, drains, finished)
    return this.#closed
  }

  /** `close()` with its defaults, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Takes back the jobs that a CloseReport listed as lost, keeping id, attempt, due time, expiry and order. Left out,
   * with one warning each, are deferred closures, as a function does not travel, and held jobs, as no response released
   * them; give one with its state changed to 'ready' to run it all the same.
   * @throws OptionError for a snapshot that is none, or an id in use; UnknownTaskError; PayloadError; QueueFullError;
   *   ClosedError. All or nothing.
   */
  restore(jobs: readonly JobSnapshot[]): Job[] {
    return fromLineOf(restore, () => {
      if (this.#rooms.closing !== undefined) throw new ClosedError()
      const accepted = takeBack(this.#rooms, jobs)
      this.#rooms.rest.jobCame()
      return accepted.map((job) => this.#rooms.handle(job))
    })
  }

  /** @internal What an add-on that acts by itself works with; `stop` is called by `close()`. @throws ClosedError */
  attach(addOn: AddOn): AddOnPort {
    return this.#rooms.addOns.attach(addOn)
  }

  /** @internal Whether `close()` has been called. */
  get isClosing(): boolean {
    return this.#rooms.closing !== undefined
  }

  /** @internal Whether payload and result of this job, or of a step of this flow, must not leave the process; true for an unknown id. */
  isSensitive(id: string): boolean {
    const job = this.#rooms.operations.find(id)
    if (job !== undefined) return job.task.policy.sensitive
    return this.#rooms.flows.find(id)?.isSensitive ?? true
  }

  /** @internal The job with its payload and result, also of a sensitive task. */
  peek(id: string): JobSnapshot | undefined {
    const job = this.#rooms.operations.find(id)
    return job === undefined ? undefined : this.#rooms.snapshot(job, 'whole')
  }

  /** @internal What waits, read at each request that `admit` looks at: O(1), unlike `stats()`. */
  backlog(): Pick<Stats, 'ready' | 'oldestWaitMs'> & { readonly unsettled: number } {
    const { journal, dispatcher, world } = this.#rooms
    const { counts, unsettled } = journal
    return { ready: counts.ready, unsettled, oldestWaitMs: oldestWaitMs(dispatcher, world.clock.now()) }
  }

  /** @internal What is counted beside `stats()`. Durations are tallied from the first call on. */
  measure(): Measurements {
    const { book, journal, refusals, settings } = this.#rooms
    journal.isMeasuring = true
    const { maxQueued, maxQueuedBytes } = settings
    return { tasks: () => book.records(), refusals, maxQueued, maxQueuedBytes, bucketBoundsMs }
  }

  /** @internal Sizes of everything that grows with jobs: all 0 when all have settled, the kept history excepted. */
  inspect(): Record<string, number> {
    return this.#rooms.inspect()
  }

  #flow(kind: FlowKind, args: readonly unknown[]): Flow {
    try {
      return this.#deferring.flow(kind, args)
    } catch (error) {
      throw fromCallerOf(flowMethods[kind], error)
    }
  }
}

// As they stand on the stack, whatever somebody puts in their places later.
// eslint-disable-next-line @typescript-eslint/unbound-method -- never called
const { defer, deferMany, flow, chain, batch, jobs, cancel, cancelAll, retry, retryAll } = Scheduler.prototype
// eslint-disable-next-line @typescript-eslint/unbound-method -- as above
const { setPriority, pause, resume, releaseKey, pauseLimit, restore } = Scheduler.prototype
const flowMethods = { flow, chain, batch }

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
  try {
    return new Scheduler(readSettings(options), realWorld)
  } catch (error) {
    throw fromCallerOf(createScheduler, error)
  }
}
