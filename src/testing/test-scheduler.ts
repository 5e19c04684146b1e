/** `createTestScheduler`: the scheduler of production in a world whose time the test decides. */
import { ClosedError, OptionError, TestError } from '../errors.js'
import type { Flow } from '../flows/flow-handle.js'
import type { FlowKind } from '../job/flow-step.js'
import type { JobSnapshot, RequestContext } from '../job/snapshot.js'
import { durationMs, integer, type Duration } from '../options.js'
import type { WorldNeeds } from '../real-world.js'
import { Scheduler, type CloseReport, type Job } from '../scheduler.js'
import type { Task, TaskDefinition } from '../task/define-task.js'
import { startThread } from '../threads/thread.js'
import type { ThreadListener, World } from '../world.js'
import { AttemptsAtWork } from './attempts-at-work.js'
import { Driver } from './driver.js'
import { startHandlerThread } from './handler-thread.js'
import { PlannedFailures } from './planned-failures.js'
import { readTestSettings, type TestSchedulerOptions, type TestSettings } from './test-options.js'
import { TestRecord, type TraceEntry } from './test-record.js'
import { TestWorld } from './test-world.js'
import { nameOf } from '../task/task-name.js'

/** Jobs that an error message lists. */
const mostListed = 10

/** What a test scheduler is made of beside the engine. */
interface Kit {
  readonly options: TestSettings
  readonly world: TestWorld
  readonly work: AttemptsAtWork
  readonly failures: PlannedFailures
}

/**
 * A scheduler in virtual time. Nothing runs and no time passes but in `run()`, `advance()` and `close()`; everything else
 * is as in production. Made by `createTestScheduler`.
 */
export class TestScheduler extends Scheduler {
  readonly #kit: Kit
  readonly #driver: Driver
  readonly #record: TestRecord
  #closed: Promise<CloseReport> | undefined

  /** @internal Use `createTestScheduler`. */
  constructor(kit: Kit) {
    super(kit.options.settings, (needs) => connect(kit, needs))
    this.#kit = kit
    this.#driver = new Driver(kit.world, kit.work, kit.options.patienceMs)
    this.#record = new TestRecord(this)
    if (kit.options.hasRealThreads) kit.work.countInThreads = () => this.#countInThreads()
  }

  /** The virtual wall clock: ms since the epoch. */
  now(): number {
    return this.#kit.world.clock.wall()
  }

  /**
   * Runs what is due, and what follows from it at this instant; waits for handlers, however they do their work. No virtual
   * time passes.
   * @returns the jobs that settled, in that order
   * @throws (rejects) TestError when handlers say nothing for longer than `patience`, or jobs go round without end
   */
  async run(): Promise<JobSnapshot[]> {
    await this.#driver.run()
    return this.#takeSettled()
  }

  /**
   * Lets virtual time pass, doing whatever falls due on the way, the last instant included. While a handler works, time
   * stands still; one that says nothing for `patience` of real time is taken to wait for virtual time.
   * @param duration 0 to 10 years
   * @returns the jobs that settled, in that order
   * @throws OptionError for a bad duration; (rejects) TestError when jobs go round without end
   */
  async advance(duration: Duration): Promise<JobSnapshot[]> {
    await this.#driver.advance(Math.ceil(durationMs('advance', duration, { zero: true })))
    return this.#takeSettled()
  }

  /**
   * A promise for mocks of what takes long: resolves when that much virtual time has passed, and lets it pass while a
   * handler waits for it.
   * @param options `signal`: rejects with its reason when it aborts
   * @throws OptionError for a bad duration; 0 is allowed
   */
  sleep(duration: Duration, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#kit.work.sleep(durationMs('sleep', duration, { zero: true }), options.signal)
  }

  /**
   * Jobs that were deferred, in the order of acceptance, as they are now. A job that is `held` for its response counts
   * when it is released.
   * @throws UnknownTaskError for a name that no task has
   */
  deferred(task?: Task | string): JobSnapshot[] {
    const name = task === undefined ? undefined : this.#nameOf('deferred', task)
    this.#kit.world.flush()
    return this.#record.deferred(name)
  }

  /**
   * Lets the next attempts of a task fail without calling its handler.
   * @param error what they throw: any value, `PermanentError` and its like included. Default an Error
   * @param times 1 or more, default 1
   * @throws UnknownTaskError for a name that no task has; OptionError with `threads: true`
   */
  failNext(
    task: Task | string,
    error: unknown = new Error('failNext() made this attempt fail.'),
    times = 1,
  ): void {
    if (this.#kit.options.hasRealThreads) {
      throw new OptionError('failNext cannot reach into real threads. Leave out `threads: true`.')
    }
    this.#kit.failures.add(this.#nameOf('failNext', task), error, integer('times', times, 1))
  }

  /** Every event so far, in order; those of threads excepted. The same seed and calls give the same trace. */
  trace(): TraceEntry[] {
    this.#kit.world.flush()
    return this.#record.trace
  }

  /** With `threads: true` as in production; else there are no threads that could fail to start. */
  override ready(): Promise<void> {
    if (this.#kit.options.hasRealThreads) return this.#driver.until(super.ready())
    return this.isClosing ? Promise.reject(new ClosedError()) : Promise.resolve()
  }

  /** @internal */
  override hold(
    request: RequestContext | undefined,
    task: unknown,
    payload?: unknown,
    options?: unknown,
  ): Job {
    const job = super.hold(request, task, payload, options)
    this.#record.held(job.id)
    return job
  }

  /** @internal */
  override flowWithRequest(
    request: RequestContext | undefined,
    isHeld: boolean,
    kind: FlowKind,
    args: readonly unknown[],
  ): Flow {
    const flow = super.flowWithRequest(request, isHeld, kind, args)
    if (!isHeld) return flow
    const jobs = Object.values(flow.snapshot().steps)
    this.#record.heldFlow(
      flow.id,
      jobs.flatMap(({ id }) => id ?? []),
    )
    return flow
  }

  /** @internal */
  override releaseHeld(ids: readonly string[]): void {
    this.#record.released(ids)
    super.releaseHeld(ids)
  }

  /**
   * Closes as in production, in virtual time.
   * @throws (rejects) TestError with `strict: true` when jobs are left
   */
  override close(options: { timeout?: Duration; drain?: boolean } = {}): Promise<CloseReport> {
    return (this.#closed ??= this.#kit.options.isStrict ? this.#closeStrictly() : this.#close(options))
  }

  #close(options: { timeout?: Duration; drain?: boolean }): Promise<CloseReport> {
    return this.#driver.until(super.close(options))
  }

  async #closeStrictly(): Promise<CloseReport> {
    this.#kit.world.flush()
    const left = this.#record.left()
    const report = await this.#close({ timeout: 0 })
    if (left.length > 0) throw jobsLeft(left)
    return report
  }

  #takeSettled(): JobSnapshot[] {
    this.#kit.world.flush()
    return this.#record.takeSettled()
  }

  /** A task's name; tasks are known by it, as a module that was evaluated again has other objects. */
  #nameOf(caller: string, task: unknown): string {
    const name = nameOf(caller, task)
    if (typeof task === 'string') this.jobs({ task, limit: 1 }) // refuses a name that no task has
    return name
  }

  /** Jobs that are with worker threads, and threads that are coming or going. */
  #countInThreads(): number {
    const { lanes, threads } = this.stats()
    return lanes.cpu.outstanding + lanes.io.outstanding + threads - lanes.cpu.threads - lanes.io.threads
  }
}

function connect({ options, world, work, failures }: Kit, { definitionOf, contextOf }: WorldNeeds): World {
  const ports = {
    idKey: world.idKey,
    payloadLimits: options.settings.threads.payloadLimits,
    sensitiveByDefault: options.settings.threads.sensitiveByDefault,
    contextOf,
    definitionOf: (name: string, cell: number): TaskDefinition | undefined => {
      const definition = definitionOf(name, cell)
      if (definition === undefined) return undefined
      return { ...definition, run: work.watched(failures.instead(name, definition.run)) }
    },
    nextTurn: (task: () => void) => world.nextTurn(task),
    soon: (task: () => void) => world.soon(task),
    afterMicrotasks: (task: () => void) => world.soon(task),
    now: () => world.clock.precise(),
    after: (delayMs: number, task: () => void) => world.after(delayMs, task),
  }
  world.isAnyoneWaiting = () => work.isAny
  world.ask = (hook) => work.asked(hook)
  world.startThread = (lane, listener) => {
    const isReal = options.hasRealThreads && lane !== 'main'
    return isReal
      ? startThread(
          lane,
          world.idKey,
          options.settings.threads,
          heard(world, listener, () => work.heardOfThreads()),
        )
      : startHandlerThread(
          lane,
          ports,
          heard(world, listener, (token) => work.heard(token)),
        )
  }
  return world
}

/** The listener, told only while time moves. */
function heard(world: TestWorld, listener: ThreadListener, said: (token: number) => void): ThreadListener {
  return {
    message(message) {
      const token = typeof message === 'object' && 'token' in message ? message.token : -1
      said(token)
      world.hear(() => listener.message(message))
    },
    exited(exit) {
      said(-1)
      world.hear(() => listener.exited(exit))
    },
  }
}

function jobsLeft(left: readonly JobSnapshot[]): TestError {
  const listed = left.slice(0, mostListed).map(({ id, task, state, attempt, maxAttempts, runAt }) => {
    const due = state === 'scheduled' || state === 'retrying' ? `, due ${new Date(runAt).toISOString()}` : ''
    return `  '${task}' ${state}, attempt ${attempt} of ${maxAttempts}${due} (job ${id})`
  })
  const more = left.length > mostListed ? `\n  and ${left.length - mostListed} more` : ''
  return new TestError(
    `The test ended with ${left.length} ${left.length === 1 ? 'job' : 'jobs'} left:\n${listed.join('\n')}${more}\n` +
      'Run them (run, advance), cancel them (cancelAll), or leave out `strict`.',
  )
}

/**
 * Makes a scheduler for a test: the engine of production with virtual time and seeded chance, where handlers run on the
 * main thread. It needs no `tasks`, holds no timer, thread or file, and logs nothing unless given a `logger`.
 * @throws OptionError for options that are not what they must be
 * @example
 * const scheduler = createTestScheduler({ now: '2026-03-08T00:00:00Z' })
 * scheduler.defer(sendWelcome, { email: 'asha@example.com' })
 * await scheduler.run()
 */
export function createTestScheduler(options: TestSchedulerOptions = {}): TestScheduler {
  const read = readTestSettings(options)
  const world = new TestWorld(read.wall, read.seed)
  const work = new AttemptsAtWork(world, read.patienceMs)
  return new TestScheduler({ options: read, world, work, failures: new PlannedFailures() })
}
