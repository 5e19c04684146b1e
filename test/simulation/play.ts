/**
 * Plays one plan against the production core in a virtual world, under the eyes of the judge. Answers the first
 * invariant that does not hold, or undefined, and the trace of everything that was told.
 */
import { readSettings } from '../../src/scheduler-options.js'
import { Scheduler, type CloseReport } from '../../src/scheduler.js'
import type { EventName } from '../../src/events/event-types.js'
import type { Job } from '../../src/defer/job-handle.js'
import type { DeferOptions } from '../../src/task/defer-options.js'
import type { Task } from '../../src/task/define-task.js'
import type { FromThread, ToThread } from '../../src/threads/protocol.js'
import type { ThreadListener, ThreadPort } from '../../src/world.js'
import { behaviourOf } from './behave.js'
import { FakeThread } from './fake-thread.js'
import { Judge, type JobEventData } from './judge.js'
import { isSettled, Model, type Broken, type ModelJob, type ModelThread } from './model.js'
import { Draw, type JobPlan, type Op, type Plan } from './plan.js'
import type { Sometimes } from './sometimes.js'
import { VirtualWorld } from './world.js'

export interface Played {
  broken: Broken | undefined
  trace: string[]
  /** How each job of an operation settled, for comparing two plays. */
  ends: Record<string, string>
}

const wallStart = Date.UTC(2026, 0, 1)
const jobEvents = ['accepted', 'started', 'progress', 'retrying', 'snoozed', 'completed', 'failed', 'cancelled', 'expired', 'interrupted'] as const // prettier-ignore
const quietRounds = 12

interface Wait {
  job: ModelJob
  isOver: boolean
}

export class Play {
  readonly plan: Plan
  readonly sometimes: Sometimes
  readonly world: VirtualWorld
  readonly draw: Draw
  readonly trace: string[] = []
  model: Model
  judge: Judge
  scheduler: Scheduler
  areFaultsOn = true
  readonly #jobs = new Map<number, ModelJob[]>()
  readonly #plans = new Map<number, JobPlan>()
  readonly #signals = new Map<ModelJob, AbortController>()
  readonly #waits: Wait[] = []
  readonly #followers: ModelJob[] = []
  readonly #tasks: Task<unknown>[]
  #wallOffset = wallStart
  #payloads = 0
  #quiet = 0
  #isTurning = false
  #lastReport: { thread: FakeThread; message: FromThread } | undefined

  constructor(plan: Plan, sometimes: Sometimes) {
    this.plan = plan
    this.sometimes = sometimes
    this.draw = new Draw(plan.seed ^ 0x77777)
    const early = plan.early ? { early: () => this.#early() } : undefined
    this.world = new VirtualWorld({ seed: plan.seed, shuffle: true, wall: wallStart, ...early })
    this.world.onQuiet = () => this.#onQuiet()
    this.#tasks = plan.tasks.map((_, index) => taskOf(plan, index))
    this.model = this.#newModel()
    this.judge = new Judge(this.model)
    this.scheduler = this.#newScheduler()
  }

  async play(): Promise<Played> {
    try {
      for (const op of this.plan.ops) {
        await this.#do(op)
        if (this.model.broken !== undefined) break
      }
      if (this.model.broken === undefined) await this.#end()
    } catch (error) {
      this.model.wrong('crash', error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    const ends = Object.fromEntries(this.model.jobs.map((job) => [`${job.payload}`, job.handle.state]))
    return { broken: this.model.broken, trace: this.trace, ends }
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
      threads: plan.threads,
      main: { concurrency: plan.mainConcurrency },
      aging: plan.aging,
      maxQueued: plan.maxQueued,
      keep: plan.keep,
      limits: { shared: { ...(concurrency === undefined ? undefined : { concurrency }), rateLimit } },
      logger: false,
    })
    const scheduler = new Scheduler(settings, () => {
      const { model, judge } = this
      this.world.startThread = (lane, listener) => this.#startThread(lane, listener, model, judge)
      return this.world
    })
    for (const task of this.#tasks) scheduler.cancelAll({ task: task as Task }) // known by name from here on
    for (const name of jobEvents) scheduler.on(name, (event) => this.#told(name, event))
    scheduler.on('key:halted', ({ key }) => {
      this.model.halted.add(key)
      this.sometimes.reached('a key halted')
    })
    scheduler.on('thread:exited', ({ reason, lane }) => {
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
    if (name === 'accepted' && !this.model.byId.has(event.id)) this.#adopt(event.id)
    this.judge.told(name, event, this.#wallOffset)
  }

  /** A child that a handler deferred. */
  #adopt(id: string): void {
    const snapshot = this.scheduler.job(id)
    if (snapshot === undefined) return
    const { n } = snapshot.payload as { n: number }
    const { scheduler } = this
    const handle = { id, get state() { return scheduler.job(id)?.state ?? 'completed' } } as Job // prettier-ignore
    const task = Number(snapshot.task.slice(1))
    const wanted: JobPlan = { task, group: 0, acts: [] }
    this.#plans.set(n, wanted)
    this.model.add(handle, wanted, n, false)
    this.sometimes.reached('a child was deferred by a handler')
  }

  #startThread(
    lane: 'cpu' | 'io' | 'main',
    listener: ThreadListener,
    model: Model,
    judge: Judge,
  ): ThreadPort {
    const { starts } = this.plan
    const isBad = (share: number): boolean =>
      this.areFaultsOn && lane !== 'main' && share > 0 && this.draw.chance(share)
    if (isBad(starts.throws)) {
      this.sometimes.reached('a thread could not be started')
      throw new Error('no thread')
    }
    const fails = isBad(starts.fail)
    const exits = isBad(starts.exit)
    if (exits) this.sometimes.reached('a thread died while it started')
    const heard: ThreadListener = {
      message: (message) => {
        this.#lastReport = { thread: fake, message }
        judge.hears(thread, message)
        listener.message(message)
      },
      exited: (exit) => {
        judge.exits(thread)
        listener.exited(exit)
      },
    }
    const script = {
      startsInMs: starts.slowMs > 0 ? this.draw.below(starts.slowMs) : 0,
      ...(starts.exitMs > 0 ? { exitsInMs: this.draw.below(starts.exitMs) } : undefined),
      ...(fails ? { startFails: { name: 'Error', message: 'no' } } : undefined),
      ...(exits ? { exitsAtStart: 3 } : undefined),
    }
    const fake = new FakeThread(lane, model.threads.length + 1, heard, script, {
      world: this.world,
      behave: (run) => {
        const job = model.byId.get(run.id)
        const wanted = this.#plans.get((run.payload as { n: number }).n)
        return behaviourOf(
          wanted?.acts[this.plan.calm ? run.attempt - 1 : (job?.executions ?? 0)],
          this.areFaultsOn || this.plan.calm, // there every job ends by what it does, whenever it runs
          () => ++this.#payloads,
          this.plan,
          lane,
        )
      },
      began: (run) => {
        this.trace.push(`${this.world.clock.now()} began ${run.id} ${run.attempt}`)
        judge.began(thread, run)
      },
      ended: (run) => {
        const exec = thread.execs.find((one) => one.token === run.token)
        if (exec !== undefined) exec.isDone = true
      },
      copy: (message) => message,
    })
    const thread: ModelThread = {
      fake,
      isOpen: false,
      isGone: false,
      wasStopped: false,
      isDoubtful: false,
      execs: [],
    }
    model.threads.push(thread)
    return {
      shared: fake.shared,
      post: (message: ToThread) => {
        if (message.kind === 'run')
          judge.posted(thread, message, (this.world.timerAt ?? Infinity) > model.now())
        if (message.kind === 'deferred' && message.id !== undefined && !model.byId.has(message.id))
          this.#adopt(message.id)
        fake.post(message)
      },
      drain: () => fake.drain(),
      terminate: () => {
        thread.wasStopped = true
        thread.isOpen = false
        fake.terminate()
      },
    }
  }

  #onQuiet(): void {
    const isDue = (this.world.timerAt ?? Infinity) <= this.world.clock.now()
    this.judge.quiet(++this.#quiet % 3 === 0 ? () => this.scheduler.stats() : undefined, !isDue)
    if (this.model.broken !== undefined && this.#isTurning) throw new Error('broken')
  }

  /** Lets time pass. */
  #advance(ms: number): void {
    if (this.model.broken !== undefined) return
    this.#isTurning = true
    try {
      this.world.advance(ms)
    } finally {
      this.#isTurning = false
    }
    this.judge.quiet(() => this.scheduler.stats(), true)
  }

  #some(n: number): ModelJob | undefined {
    const jobs = this.#jobs.get(n)
    const job = jobs?.[n % jobs.length]
    return job === undefined ? undefined : this.model.byId.get(job.id) // its own id may have got another job
  }

  async #do(op: Op): Promise<void> {
    const { model, scheduler, sometimes } = this
    model.refresh()
    this.judge.noteStops()
    switch (op.op) {
      case 'defer':
        return void this.#defer(op.n, op.job)
      case 'hold':
        return void this.#hold(op.n, op.job)
      case 'deferMany':
        return this.#deferMany(op.n, op.jobs)
      case 'release':
      case 'discard':
        return this.#letGo(op.op, op.all)
      case 'cancel':
        return this.#cancel(this.#some(op.of), (job) => scheduler.cancel(job.id))
      case 'abort':
        return this.#cancel(this.#some(op.of), (job) => this.#abort(job))
      case 'cancelAll':
        return this.#cancelAll(op.task)
      case 'retry':
        return this.#retry(op.of)
      case 'retryAll':
        return this.#retryAll(op.task)
      case 'runNow': {
        const job = this.#some(op.of)
        const was = job?.handle.state
        if (job === undefined || !scheduler.runNow(job.id)) return
        job.runAt = model.now()
        if (was === 'retrying') sometimes.reached('runNow hurried a retry')
        return model.refresh()
      }
      case 'setPriority': {
        const job = this.#some(op.of)
        if (job === undefined || !scheduler.setPriority(job.id, op.priority)) return
        job.priority = op.priority
        return job.handle.state === 'running'
          ? undefined
          : sometimes.reached('a waiting job changed its priority')
      }
      case 'pause':
      case 'resume':
        return this.#pause(op.op, op.task)
      case 'pauseLimit': {
        scheduler.pauseLimit('shared', op.delay)
        const limit = model.limits.get('shared')
        if (limit !== undefined) limit.pausedUntil = Math.max(limit.pausedUntil, model.now() + op.delay)
        else
          model.limits.set('shared', {
            name: 'shared',
            concurrency: this.plan.limit.concurrency ?? Infinity,
            rate: this.plan.limit.rate,
            running: [],
            starts: [],
            pausedUntil: model.now() + op.delay,
          })
        return sometimes.reached('a shared limit was paused')
      }
      case 'releaseKeys':
        return this.#releaseKeys(op.retry)
      case 'advance':
        return this.#advance(op.ms)
      case 'block':
        this.world.block(op.ms)
        if ((this.world.timerAt ?? Infinity) < model.now())
          sometimes.reached('the loop was blocked past a deadline')
        return
      case 'jump':
        this.#advance(0)
        this.world.jumpWall(op.ms)
        this.#wallOffset += op.ms
        return sometimes.reached('the wall clock jumped')
      case 'crash':
        return this.#alive()[op.thread % Math.max(1, this.#alive().length)]?.fake.crash()
      case 'forge':
      case 'repeat':
        return this.#forge(op.op, op.thread)
      case 'close':
        return this.#close(op)
    }
  }

  #alive(): ModelThread[] {
    return this.model.threads.filter(({ fake }) => !fake.isDying && fake.lane !== 'main')
  }

  /** Says what is not so, or says again what was said. */
  #forge(kind: 'forge' | 'repeat', index: number): void {
    const threads = this.#alive()
    const thread = threads[index % Math.max(1, threads.length)]
    if (kind === 'repeat') {
      const last = this.#lastReport
      if (
        last === undefined ||
        last.thread.isDying ||
        typeof last.message === 'number' ||
        last.message.kind !== 'ended'
      )
        return
      last.thread.say(last.message)
      return this.sometimes.reached('a report came twice')
    }
    if (thread === undefined) return
    const token = 100_000 + this.draw.below(1000)
    thread.fake.say({ kind: 'ended', tokens: [token, 0, -1], endings: [null, null, null] })
    thread.fake.say({ kind: 'progress', token, value: '1' })
    this.sometimes.reached('a forged message was ignored')
  }

  #options(wanted: JobPlan): DeferOptions {
    const { priority, delay, runIn, orderingKey, dedupe, attempts, backoff, timeout, expiresIn, ownId } =
      wanted
    const wall = this.world.clock.wall()
    return {
      ...(priority === undefined ? undefined : { priority }),
      ...(delay === undefined ? undefined : { delay }),
      ...(runIn === undefined
        ? undefined
        : { runAt: runIn % 2 === 0 ? wall + runIn : new Date(wall + runIn) }),
      ...(orderingKey === undefined ? undefined : { orderingKey }),
      ...(dedupe === undefined ? undefined : { dedupe }),
      ...(attempts === undefined ? undefined : { attempts }),
      ...(backoff === undefined ? undefined : { backoff }),
      ...(timeout === undefined ? undefined : { timeout }),
      ...(expiresIn === undefined ? undefined : { expiresIn }),
      ...(ownId === undefined ? undefined : { id: ownId }),
    }
  }

  #ask(wanted: JobPlan): {
    task: Task<unknown>
    payload: { n: number; g: number }
    options: DeferOptions
    signal: AbortController | undefined
  } {
    const task = this.#tasks[wanted.task]
    if (task === undefined) throw new Error(`no task ${wanted.task}`)
    const n = ++this.#payloads
    this.#plans.set(n, wanted)
    const signal = wanted.signal === true ? new AbortController() : undefined
    const options = {
      ...this.#options(wanted),
      ...(signal === undefined ? undefined : { signal: signal.signal }),
    }
    return { task, payload: { n, g: wanted.group }, options, signal }
  }

  /** @returns the code of the refusal, if it was one; a refusal must leave no trace */
  #try(run: () => void): string | undefined {
    const before = this.#figures()
    try {
      run()
      return undefined
    } catch (error) {
      const code = (error as { code?: string }).code ?? String(error)
      if (this.#figures() !== before) this.model.wrong('I2', `a defer was refused (${code}) and left a trace`)
      if (code === 'ERR_SIDEWORK_QUEUE_FULL') this.sometimes.reached('the queue was full')
      else if (code === 'ERR_SIDEWORK_ID_TAKEN') this.sometimes.reached('an own id was taken')
      else this.model.wrong('I2', `a defer was refused: ${code}`)
      return code
    }
  }

  #figures(): string {
    return JSON.stringify({ ...this.scheduler.stats(), perTask: undefined })
  }

  #unsettled(): number {
    return this.model.jobs.filter((job) => !isSettled(job.handle.state)).length
  }

  #defer(n: number, wanted: JobPlan): void {
    const { task, payload, options, signal } = this.#ask(wanted)
    const full = this.#unsettled() >= this.plan.maxQueued
    let handle: Job | undefined
    const standing = this.#standing(wanted)
    const code = this.#try(() => (handle = this.scheduler.defer(task, payload, options)))
    if (handle === undefined) {
      if (code === 'ERR_SIDEWORK_QUEUE_FULL' && !full)
        this.model.wrong('I2', 'a defer was refused and the queue is not full')
      return
    }
    if (full && !handle.deduplicated)
      this.model.wrong('I29', `${this.#unsettled()} jobs wait, ${this.plan.maxQueued} may`)
    this.#took(n, handle, wanted, payload.n, signal, standing)
  }

  #took(
    n: number,
    handle: Job,
    wanted: JobPlan,
    payload: number,
    signal: AbortController | undefined,
    standing: ModelJob[],
  ): void {
    if (handle.deduplicated) return this.#deduplicated(handle, wanted, payload, standing)
    const surely = wanted.dedupe?.mode === 'first' && standing.length > 0
    if (surely)
      this.model.wrong(
        'I16',
        `a job of key ${wanted.dedupe?.key} was accepted beside job ${standing[0]?.payload}`,
      )
    const job = this.model.add(handle, wanted, payload, false)
    this.#note(n, job, signal)
    if ((standing.length > 0 || wanted.dedupe?.mode === 'last') && handle.state === 'blocked')
      this.#follows(job)
    if (wanted.awaited === true) this.#await(job, handle)
  }

  /** It starts after another of its dedupe key has settled, and joins the line of its ordering key then. */
  #follows(job: ModelJob): void {
    this.sometimes.reached('a follower waited')
    this.#followers.push(job)
    job.state = 'blocked'
    job.rank = undefined
    job.isRankVague = job.isVague = true
  }

  #note(n: number, job: ModelJob, signal: AbortController | undefined): void {
    this.#jobs.set(n, [...(this.#jobs.get(n) ?? []), job])
    if (signal !== undefined) this.#signals.set(job, signal)
  }

  #await(job: ModelJob, handle: Job): void {
    const wait: Wait = { job, isOver: false }
    this.#waits.push(wait)
    const told = (): void => {
      wait.isOver = true
    }
    handle.result().then(told, told)
  }

  /** Unsettled jobs that stand for the key of the newcomer. */
  #standing(wanted: JobPlan): ModelJob[] {
    const { dedupe } = wanted
    if (dedupe === undefined) return []
    return this.model.jobs.filter(
      ({ wanted: other, handle }) =>
        other.task === wanted.task &&
        other.dedupe?.key === dedupe.key &&
        !isSettled(handle.state) &&
        handle.state !== 'held',
    )
  }

  #deduplicated(handle: Job, wanted: JobPlan, payload: number, standing: ModelJob[]): void {
    const { model, sometimes } = this
    sometimes.reached('a defer found its job there')
    const job = model.byId.get(handle.id)
    if (job === undefined) return model.wrong('I16', `a defer answered job ${handle.id}, which is unknown`)
    const { dedupe } = job.wanted
    // A job that stands for its key by ttl and is kept no longer may have lost its own id to another.
    if (job.wanted.dedupe?.key !== wanted.dedupe?.key && job.wanted.ownId !== undefined) return
    if (!standing.includes(job) && job.handle.state !== 'completed')
      return model.wrong('I16', `a defer answered job ${job.payload}, which is ${job.handle.state}`)
    if (isSettled(job.handle.state)) {
      if (standing.includes(job)) return
      const until = job.acceptedAt + (dedupe?.ttl ?? 0)
      if (model.now() >= until)
        model.wrong('I16', `a defer answered job ${job.payload} ${model.now() - until} ms after its ttl`)
      return sometimes.reached('a completed job stood for its key until its ttl')
    }
    if (dedupe?.mode !== 'last') return
    if (job.generation === 1 && (job.attempt > 0 || job.execs.some((exec) => exec.began)))
      return model.wrong('I28', `job ${job.payload} has started and took a new payload`)
    job.payload = payload
    job.group = wanted.group
    sometimes.reached('a debounced job took a new payload')
    const waits = wanted.delay ?? wanted.runIn ?? 0
    if (waits <= 0) return
    const before = job.runAt
    job.runAt = model.now() + waits
    if (job.expiresAt < Infinity) job.expiresAt += job.runAt - before
    if (job.handle.state !== 'scheduled') return
    job.rank = undefined
    job.state = 'scheduled'
    sometimes.reached('a debounced job waited again')
  }

  #hold(n: number, wanted: JobPlan): void {
    const { task, payload, options, signal } = this.#ask(wanted)
    let handle: Job | undefined
    this.#try(() => (handle = this.scheduler.hold(undefined, task, payload, options)))
    if (handle !== undefined) this.#note(n, this.model.add(handle, wanted, payload.n, true), signal)
  }

  #letGo(kind: 'release' | 'discard', all: readonly number[]): void {
    const jobs = all.flatMap((n) => this.#jobs.get(n) ?? []).filter(({ handle }) => handle.state === 'held')
    for (const job of jobs) {
      if (kind === 'discard') {
        this.scheduler.discardHeld([job.id], 'no')
        this.sometimes.reached('a held job was discarded')
        continue
      }
      const standing = this.#standing(job.wanted)
      const payloads = new Map(standing.map((one) => [one, one.handle.state]))
      this.scheduler.releaseHeld([job.id])
      if (job.handle.state !== 'cancelled') {
        this.sometimes.reached('a held job was released')
        this.model.release(job)
        const { state } = job.handle
        if (job.wanted.dedupe?.mode === 'last' && standing.length > 0 && state === 'blocked')
          this.#follows(job)
        continue
      }
      this.sometimes.reached('a held job found a duplicate')
      this.#replacedByHeld(job, [...payloads.keys()])
    }
    this.model.refresh()
  }

  /** A held job gave its payload to the one that stands for its key. */
  #replacedByHeld(job: ModelJob, standing: readonly ModelJob[]): void {
    const twin = standing.find((one) => {
      const { n } = (this.scheduler.job(one.id)?.payload ?? { n: 0 }) as { n: number }
      return n === job.payload
    })
    if (twin === undefined) return
    twin.payload = job.payload
    twin.group = job.group
    const waits = job.wanted.delay ?? job.wanted.runIn ?? 0
    twin.isVague = twin.isRankVague = true
    if (waits > 0) {
      const before = twin.runAt
      const runAt = this.scheduler.job(twin.id)?.runAt ?? 0
      twin.runAt = runAt - this.#wallOffset
      if (twin.expiresAt < Infinity) twin.expiresAt += twin.runAt - before
      twin.state = twin.handle.state
      if (twin.state === 'scheduled') twin.rank = undefined
    }
  }

  #deferMany(n: number, wanted: readonly JobPlan[]): void {
    const asked = wanted.map((one) => this.#ask(one))
    let handles: Job[] = []
    const code = this.#try(() => {
      handles = this.scheduler.deferMany(
        asked.map(({ task, payload, options }) => ({ task, payload, options })),
      )
    })
    if (code === 'ERR_SIDEWORK_QUEUE_FULL') this.sometimes.reached('many jobs were refused together')
    for (const [index, handle] of handles.entries()) {
      const one = wanted[index]
      const ask = asked[index]
      if (one === undefined || ask === undefined) continue
      // Those after it were accepted already: only the model's own account tells who stood for the key at this one's turn.
      const standing = this.#standing(one).filter(({ id }) => id !== handle.id || handle.deduplicated)
      this.#took(
        n,
        handle,
        one,
        ask.payload.n,
        ask.signal,
        one.dedupe?.mode === 'last' && !handle.deduplicated ? [] : standing,
      )
    }
  }

  #abort(job: ModelJob): boolean {
    const signal = this.#signals.get(job)
    if (signal === undefined || job.handle.state === 'held') return false
    const was = job.handle.state
    signal.abort()
    if (isSettled(was) || job.generation > 1) return false
    this.sometimes.reached(
      was === 'running' ? 'a signal cancelled a running job' : 'a signal cancelled a waiting job',
    )
    return true
  }

  #cancel(job: ModelJob | undefined, cancel: (job: ModelJob) => boolean): void {
    if (job === undefined) return
    const { state } = job.handle
    if (state === 'ready' && job.execs.some((exec) => exec.wasSentAhead && !exec.isOver))
      this.sometimes.reached('a cancelled job had been sent ahead')
    if (state === 'ready' && job.wanted.orderingKey !== undefined)
      this.sometimes.reached('the head of a line was cancelled')
    const isCancelled = cancel(job)
    if (isCancelled && !isSettled(job.handle.state))
      this.model.wrong('I18', `job ${job.payload} was cancelled and is ${job.handle.state}`)
    this.model.refresh()
  }

  #cancelAll(task: number | undefined): void {
    this.scheduler.cancelAll(task === undefined ? {} : { task: this.#byName(task) })
    this.model.refresh()
    for (const job of this.model.jobs) {
      if ((task === undefined || job.task === task) && !isSettled(job.handle.state))
        this.model.wrong('I18', `job ${job.payload} is ${job.handle.state} after cancelAll`)
    }
  }

  #byName(task: number): Task {
    const found = this.#tasks[task]
    if (found === undefined) throw new Error(`no task ${task}`)
    return found as Task
  }

  #retry(of: number): void {
    const job = this.#some(of)
    if (job === undefined || this.scheduler.isClosing) return
    const was = job.handle.state
    let isRetried = false
    try {
      isRetried = this.scheduler.retry(job.id)
    } catch {
      return // The queue is full: nothing has changed.
    }
    if (!isRetried && was === 'failed' && job.wanted.dedupe !== undefined)
      this.sometimes.reached('a retry was refused by its key')
    if (isRetried) this.#revived(job, false)
    if (isRetried && job.wanted.orderingKey !== undefined)
      this.sometimes.reached('a job with a key was retried at the end of its line')
  }

  #revived(job: ModelJob, isFirst: boolean): void {
    this.model.revive(job, isFirst)
    this.#signals.delete(job)
  }

  #retryAll(task: number | undefined): void {
    const before = this.model.jobs.map((job) => job.handle.state)
    try {
      this.scheduler.retryAll(task === undefined ? {} : { task: this.#byName(task) })
    } catch {
      // The queue is full: those before it were retried.
    }
    for (const [index, job] of this.model.jobs.entries()) {
      if (isSettled(before[index] ?? 'held') && !isSettled(job.handle.state)) this.#revived(job, false)
    }
  }

  #pause(kind: 'pause' | 'resume', task: number | undefined): void {
    const { model, scheduler } = this
    const isSentAhead = model.threads.some(({ execs }) =>
      execs.some((exec) => exec.wasSentAhead && !exec.began),
    )
    if (kind === 'pause' && isSentAhead) this.sometimes.reached('a pause found jobs sent ahead')
    if (kind === 'resume' && task === undefined) model.isPaused = false
    if (kind === 'resume' && task !== undefined) model.pausedTasks.delete(task)
    if (task === undefined) scheduler[kind]()
    else scheduler[kind](this.#byName(task))
    if (kind === 'pause' && task === undefined) model.isPaused = true
    if (kind === 'pause' && task !== undefined) model.pausedTasks.add(task)
    if (kind === 'pause' && task !== undefined && this.plan.tasks.length > 1)
      this.sometimes.reached('a paused task let others pass')
  }

  #releaseKeys(retry: boolean): void {
    const { model, scheduler } = this
    for (const key of scheduler.haltedKeys()) {
      const failed = model.jobs.filter(
        (job) => job.handle.state === 'failed' && job.wanted.orderingKey === key,
      )
      let isReleased = false
      try {
        isReleased = scheduler.releaseKey(key, { retry })
      } catch {
        continue // The queue is full: the key stays halted.
      }
      if (!isReleased) model.wrong('I8', `the halted key ${key} was not released`)
      model.halted.delete(key)
      const revived = failed.find((job) => job.handle.state !== 'failed')
      if (revived === undefined) this.sometimes.reached('a halted key was released')
      else {
        const isLingering = revived.execs.some((exec) => !exec.isOver)
        this.sometimes.reached(
          isLingering
            ? 'a halted key was released while its job lingered'
            : 'a halted key was released with its job',
        )
        this.#revived(revived, true)
      }
    }
    model.refresh()
  }

  async #settleClose(options: { timeout: number; drain: boolean }): Promise<CloseReport> {
    const { model, scheduler } = this
    let report: CloseReport | undefined
    model.isClosing = true
    if (!options.drain || options.timeout === 0) model.mayStart = false
    void scheduler.close(options).then((done) => (report = done))
    this.#advance(options.timeout)
    model.mayStart = false
    this.#advance(1000)
    for (let turn = 0; turn < 4; turn++) await Promise.resolve()
    if (report === undefined) throw new Error(`close was not done within ${options.timeout} + 1000 ms`)
    if (this.world.isKeptAlive) model.wrong('I19', 'the process is kept alive after close')
    if (this.world.timerAt !== undefined) model.wrong('I19', 'a timer is left after close')
    for (const job of model.jobs)
      if (!isSettled(job.handle.state))
        model.wrong('I19', `job ${job.payload} is ${job.handle.state} after close`)
    for (const wait of this.#waits)
      if (!wait.isOver) model.wrong('I19', `who waits for job ${wait.job.payload} was never told`)
    return report
  }

  async #close(op: Extract<Op, { op: 'close' }>): Promise<void> {
    const before = this.model
    const waiting = this.#waits.filter(({ isOver }) => !isOver).length
    const report = await this.#settleClose({ timeout: op.timeout, drain: op.drain })
    if (waiting > 0) this.sometimes.reached('a waiter was told by close')
    this.sometimes.reached(report.lost.length > 0 ? 'close lost jobs' : 'close drained')
    for (const job of before.jobs) {
      if (job.settles !== job.accepts)
        before.wrong('I1', `job ${job.payload} settled ${job.settles} times in ${job.accepts} generations`)
    }
    if (before.broken !== undefined) return
    this.model = this.#newModel()
    this.judge = new Judge(this.model)
    this.world.changeIds()
    this.scheduler = this.#newScheduler()
    if (op.restore) this.#restore(before, report)
  }

  #restore(before: Model, report: CloseReport): void {
    const lost = JSON.parse(JSON.stringify(report.lost)) as CloseReport['lost']
    const wall = this.world.clock.wall()
    const handles = this.scheduler.restore(lost)
    for (const [index, handle] of handles.entries()) {
      const old = before.byId.get(handle.id)
      const snapshot = lost[index]
      if (old === undefined || snapshot === undefined) {
        this.model.wrong('I2', `job ${handle.id} was restored and never accepted`)
        continue
      }
      const { n } = snapshot.payload as { n: number }
      if (n !== old.payload)
        this.model.wrong('I28', `job ${old.payload} was restored with the payload of ${n}`)
      this.model.restored(handle, old, snapshot, wall)
      if (snapshot.state === 'running') this.sometimes.reached('a lost running job kept its attempt')
    }
  }

  /** Faults stop, everything is let go, and everything must settle (I1, I30) and leave nothing behind (I21). */
  async #end(): Promise<void> {
    const { model, scheduler } = this
    this.#advance(0)
    this.areFaultsOn = false
    this.#pause('resume', undefined)
    for (const task of this.plan.tasks.keys()) this.#pause('resume', task)
    this.#letGo('release', [...this.#jobs.keys()])
    for (let round = 0; round < quietRounds && (this.#unsettled() > 0 || round < 2); round++) {
      this.#advance(round < 4 ? 200 : 20_000)
      this.#releaseKeys(false)
    }
    this.#advance(400_000)
    for (const job of model.jobs) {
      if (!isSettled(job.handle.state)) model.wrong('I30', `job ${job.payload} is still ${job.handle.state}`)
      if (job.settles !== job.accepts)
        model.wrong('I1', `job ${job.payload} settled ${job.settles} times in ${job.accepts} generations`)
      if (job.isRestored) this.sometimes.reached('a lost job was restored and settled')
    }
    if (this.#followers.some(({ executions }) => executions > 0))
      this.sometimes.reached('a follower was released')
    if (scheduler.stats().abandoned > 0) this.sometimes.reached('a main-lane handler was given up')
    if (this.world.isKeptAlive) model.wrong('I19', 'the process is kept alive with nothing to do')
    const left = Object.entries(scheduler.inspect()).filter(([name, size]) => size > 0 && name !== 'history')
    if (left.length > 0)
      model.wrong('I21', `left when everything had settled: ${JSON.stringify(Object.fromEntries(left))}`)
    if (model.broken === undefined) await this.#settleClose({ timeout: 0, drain: true })
  }
}

/** Names are for the scheduler; keyed limits go by the payload's group. */
function taskOf(plan: Plan, index: number): Task<unknown> {
  const task = plan.tasks[index]
  if (task === undefined) throw new Error(`no task ${index}`)
  const key = (payload: { g: number }): string => `g${payload.g}`
  const { lane, attempts, backoff, timeout, killAfter, onExhausted, concurrency, rate, shared, expiresIn } =
    task
  const options = {
    lane, attempts, backoff, timeout, killAfter, onExhausted,
    ...(concurrency === undefined ? undefined : { concurrency: { limit: concurrency.limit, ...(concurrency.keyed ? { key } : undefined) } }),
    ...(rate === undefined ? undefined : { rateLimit: { limit: rate.limit, per: rate.per, ...(rate.keyed ? { key } : undefined) } }),
    ...(shared ? { limits: 'shared' } : undefined),
    ...(expiresIn === undefined ? undefined : { expiresIn }),
  } // prettier-ignore
  return { name: `t${index}`, run: () => undefined, options } as unknown as Task<unknown>
}
