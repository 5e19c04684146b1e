/** One schedule under way: the production core in its virtual world, the model beside it, and what has happened so far. */
import { readSettings } from '../../src/read-settings.js'
import { Scheduler } from '../../src/scheduler.js'
import type { EventName } from '../../src/events/event-types.js'
import type { JobState } from '../../src/job/lifecycle.js'
import type { Task } from '../../src/task/define-task.js'
import type { FromThread } from '../../src/threads/protocol.js'
import type { FakeThread } from './fake-thread.js'
import type { JobEventData } from './check-events.js'
import { checkSizes } from './check-quiet.js'
import { Judge } from './judge.js'
import { isSettled, type ModelJob } from './model-records.js'
import { Model } from './model.js'
import { Draw, type JobPlan, type Plan } from './plan.js'
import type { Sometimes } from './sometimes.js'
import { startThread } from './start-thread.js'
import { taskOf } from './task-of.js'
import { VirtualWorld, type Watcher } from './world.js'

/** Somebody waits for a job's result. */
export interface Wait {
  job: ModelJob
  isOver: boolean
}

/** A job that only its id is known of. */
class Child {
  readonly id: string
  readonly #scheduler: Scheduler

  constructor(id: string, scheduler: Scheduler) {
    this.id = id
    this.#scheduler = scheduler
  }

  get state(): JobState {
    return this.#scheduler.job(this.id)?.state ?? 'completed'
  }
}

const wallStart = Date.UTC(2026, 0, 1)
const jobEvents = ['accepted', 'started', 'progress', 'retrying', 'snoozed', 'completed', 'failed', 'cancelled', 'expired', 'interrupted'] as const // prettier-ignore

export class Stage implements Watcher {
  readonly plan: Plan
  readonly sometimes: Sometimes
  readonly world: VirtualWorld
  readonly draw: Draw
  readonly trace: string[] = []
  model: Model
  judge: Judge
  scheduler: Scheduler
  areFaultsOn = true
  doThreadsStay = false
  /** The jobs that each operation made. */
  readonly jobs = new Map<number, ModelJob[]>()
  /** What the job of each payload was asked to do. */
  readonly plans = new Map<number, JobPlan>()
  readonly signals = new Map<ModelJob, AbortController>()
  readonly waits: Wait[] = []
  readonly followers: ModelJob[] = []
  readonly tasks: Task<unknown>[]
  /** Wall time minus the monotonic clock's. */
  wallOffset = wallStart
  /** Numbers of payloads given out so far. */
  payloads = 0
  lastReport: { thread: FakeThread; message: FromThread } | undefined
  #quiet = 0
  #isTurning = false

  constructor(plan: Plan, sometimes: Sometimes) {
    this.plan = plan
    this.sometimes = sometimes
    this.draw = new Draw(plan.seed ^ 0x77777)
    const early = plan.early ? { early: () => this.#early() } : undefined
    this.world = new VirtualWorld({ seed: plan.seed, shuffle: true, wall: wallStart, ...early })
    this.world.watcher = this
    this.tasks = plan.tasks.map((_, index) => taskOf(plan, index))
    this.model = this.#newModel()
    this.judge = new Judge(this.model)
    this.scheduler = this.#newScheduler()
  }

  /** The next scheduler, after the last was closed. */
  renew(): void {
    this.doThreadsStay = false
    this.world.changeIds()
    this.model = this.#newModel()
    this.judge = new Judge(this.model)
    this.scheduler = this.#newScheduler()
  }

  /** Lets time pass. */
  advance(ms: number): void {
    if (this.model.broken !== undefined) return
    this.#isTurning = true
    try {
      this.world.advance(ms)
    } finally {
      this.#isTurning = false
    }
    this.judge.quiet(() => this.scheduler.stats(), true)
    checkSizes(this.model, this.scheduler.inspect())
  }

  /** From here on no thread exits when it is stopped, until the next scheduler. */
  keepThreads(): void {
    this.doThreadsStay = true
    for (const { fake } of this.model.threads) fake.stay()
  }

  /** A job that operation `n` made, if it is known still. */
  some(n: number): ModelJob | undefined {
    const jobs = this.jobs.get(n)
    const job = jobs?.[n % jobs.length]
    return job === undefined ? undefined : this.model.byId.get(job.id) // its own id may have got another job
  }

  note(n: number, job: ModelJob, signal: AbortController | undefined): void {
    this.jobs.set(n, [...(this.jobs.get(n) ?? []), job])
    if (signal !== undefined) this.signals.set(job, signal)
  }

  get unsettled(): number {
    return this.model.jobs.filter((job) => !isSettled(job.handle.state)).length
  }

  task(index: number): Task {
    const found = this.tasks[index]
    if (found === undefined) throw new Error(`no task ${index}`)
    return found as Task // payloads are checked by nobody here
  }

  /** A child that a handler deferred. */
  adopt(id: string): void {
    const snapshot = this.scheduler.job(id)
    if (snapshot === undefined) return
    const { n } = snapshot.payload as { n: number } // as behave.ts writes it
    const handle = new Child(id, this.scheduler)
    const wanted: JobPlan = { task: Number(snapshot.task.slice(1)), group: 0, acts: [] }
    this.plans.set(n, wanted)
    this.model.add(handle, wanted, n, false)
    this.sometimes.reached('a child was deferred by a handler')
  }

  #newModel(): Model {
    return new Model(this.plan, this.sometimes, () => this.world.clock.now())
  }

  #newScheduler(): Scheduler {
    const { plan } = this
    const { rate, concurrency } = plan.limit
    const rateLimit = rate === undefined ? { limit: 1000, per: 1 } : rate
    const settings = readSettings({
      tasks: new URL('file:///simulation/tasks.js'),
      threads: { ...plan.threads, maxRssBytes: 2 ** 40 }, // asking the system for its memory takes as long as some schedules
      main: { concurrency: plan.mainConcurrency },
      aging: plan.aging,
      maxQueued: plan.maxQueued,
      keep: plan.keep,
      limits: { shared: { ...(concurrency === undefined ? undefined : { concurrency }), rateLimit } },
      logger: false,
    })
    const scheduler = new Scheduler(settings, () => {
      this.world.starter = {
        startThread: (lane, listener) => startThread(this, lane, listener, model, judge),
      }
      return this.world
    })
    for (const task of this.tasks) scheduler.cancelAll({ task: task as Task }) // known by name from here on
    for (const name of jobEvents) scheduler.on(name, (event) => this.#told(name, event))
    scheduler.on('key:halted', ({ key, id }) => {
      this.model.halted.set(key, id)
      this.sometimes.reached('a key halted')
    })
    const { model, judge } = this
    scheduler.on('thread:exited', ({ reason, lane, thread }) => {
      const known = model.threads[thread - 1]
      if (known !== undefined) judge.toldWhy(known, reason)
      if (reason === 'retired' && lane === 'io') this.sometimes.reached('a shared thread was retired')
      if (reason === 'timeout' && lane === 'cpu') this.sometimes.reached('a spinning thread was stopped')
    })
    return scheduler
  }

  #early(): number {
    if (!this.draw.chance(0.2)) return 0
    this.sometimes.reached('the timer woke early')
    return this.draw.next()
  }

  #told(name: EventName, event: JobEventData): void {
    this.trace.push(`${this.world.clock.now()} ${name} ${event.id} ${event.attempt}`)
    if (name === 'accepted' && !this.model.byId.has(event.id)) this.adopt(event.id)
    this.judge.told(name, event, this.wallOffset)
  }

  /** Nothing is left to do at once. */
  quiet(): void {
    const isDue = (this.world.timerAt ?? Infinity) <= this.world.clock.now()
    this.judge.quiet(++this.#quiet % 3 === 0 ? () => this.scheduler.stats() : undefined, !isDue)
    if (this.model.broken !== undefined && this.#isTurning) throw new Error('broken')
  }
}
