/** Holds the scheduler against the model: at every message, every event and every quiet moment (numbers as in the contract). */
import type { EventName } from '../../src/events/event-types.js'
import type { SerializedError } from '../../src/job/serialized-error.js'
import type { FromThread, RunMessage } from '../../src/threads/protocol.js'
import type { Stats } from '../../src/stats.js'
import { isSettled, type Exec, type Model, type ModelJob, type ModelThread } from './model.js'
import type { Run } from './script.js'

const ends: readonly EventName[] = ['completed', 'failed', 'cancelled', 'expired']
const waiting: readonly EventName[] = ['started', 'cancelled', 'expired']
const underWay: readonly EventName[] = ['progress', 'retrying', 'snoozed', 'interrupted', ...ends]
/** After each event of a job, the events that may come next (I24). */
const following: Partial<Record<EventName | 'none', readonly EventName[]>> = {
  none: ['accepted'], accepted: waiting, started: underWay, progress: underWay, retrying: waiting, snoozed: waiting,
  interrupted: waiting, completed: [], failed: ['accepted'], cancelled: ['accepted'], expired: ['accepted'],
} // prettier-ignore

export interface JobEventData {
  id: string
  attempt: number
  at: number
  runAt?: number
  error?: SerializedError
}

/** Starts that wait to be judged until what was told has been read. */
interface Chosen {
  job: ModelJob
  passedOver: ModelJob[]
}

export class Judge {
  readonly #model: Model
  #chosen: Chosen[] = []

  constructor(model: Model) {
    this.#model = model
  }

  /**
   * The scheduler gave jobs to a thread.
   * @param isInTime false while the loop was blocked and the timer, which opens limits, has yet to fire
   */
  posted(thread: ModelThread, run: RunMessage, isInTime: boolean): void {
    const model = this.#model
    model.refresh()
    this.#noteRecalls()
    const given: Exec[] = []
    for (const [index, id] of thread.fake.idsOf(run).entries()) {
      const token = run.tokens?.[index] ?? run.first + index
      const job = model.byId.get(id)
      if (job === undefined) return model.wrong('I2', `${id} was started and never accepted`)
      const again = job.execs.find(
        (exec) => exec.thread === thread && !exec.began && !exec.isOver && !exec.wasSentAhead,
      )
      if (again !== undefined && job.state === 'running') {
        again.token = token
        model.sometimes.reached('a kept job was sent again after a recall')
      } else given.push(this.#start(thread, job, token))
    }
    if (!isInTime) return
    const passed = model.jobs.filter(
      (job) => job.lane === thread.fake.lane && !job.isVague && model.mayStartNow(job),
    )
    for (const { job } of given) {
      if (!job.isVague && !job.mayRunAlone && passed.length > 0)
        this.#chosen.push({ job, passedOver: passed })
    }
  }

  /** What was sent ahead and can no longer be taken has been taken back. */
  #noteRecalls(): void {
    for (const { fake, execs } of this.#model.threads) {
      const ahead = execs.filter((exec) => !exec.began && (exec.wasSentAhead || exec.job.state !== 'running'))
      if (fake.lane !== 'cpu' || ahead.length === 0 || fake.isDying) continue
      const kept = fake.sentAhead
      for (const exec of ahead) {
        if (kept.includes(exec.job.id)) continue
        this.over(exec)
        this.#model.sometimes.reached('recall took back a job that was sent ahead')
      }
    }
  }

  #start(thread: ModelThread, job: ModelJob, token: number): Exec {
    const model = this.#model
    const now = model.now()
    const { lane } = thread.fake
    const name = `job ${job.payload}`
    // What was sent to a cpu thread and not taken has been recalled, or it would not be sent again.
    for (const exec of job.execs) {
      if (exec.isOver || exec.began || lane !== 'cpu') continue
      this.over(exec)
      model.sometimes.reached('recall took back a job that was sent ahead')
    }
    if (job.execs.some((exec) => !exec.isDone && exec.began && lane !== 'main'))
      model.wrong('I3', `${name} was started while its last attempt ran`)
    if (isSettled(job.state)) model.wrong('I18', `${name} was started and is ${job.state}`)
    if (model.isPaused) model.wrong('I18', `${name} was started while everything is paused`)
    if (model.pausedTasks.has(job.task)) model.wrong('I18', `${name} was started while its task is paused`)
    if (!model.mayStart) model.wrong('I18', `${name} was started after the deadline of close`)
    if (now >= job.expiresAt)
      model.wrong('I15', `${name} was started ${now - job.expiresAt} ms after it expired`)
    if (thread.wasStopped) model.wrong('I13', `${name} was given to a thread that was stopped`)
    const limits = model.limitsOf(job)
    const exec: Exec = {
      thread, token, job, limits, startedAt: now, began: false, isDone: false, isOver: false,
      wasSentAhead: job.state === 'ready', stoppedAt: undefined,
    } // prettier-ignore
    if (exec.wasSentAhead) {
      model.sometimes.reached('a job was sent ahead of its turn')
      if (limits.length > 0 || job.wanted.orderingKey !== undefined || job.expiresAt < Infinity)
        model.wrong('I10', `${name} was sent ahead and has a key, a limit or an expiry`)
    }
    if (job.mayRunAlone) thread.isDoubtful = true
    if (job.mayRunAlone) model.sometimes.reached('a job ran alone after a crash')
    this.#checkLine(job, name)
    for (const limit of limits) {
      limit.running.push(exec)
      limit.starts.push(now)
      if (limit.rate !== undefined && model.inWindow(limit) === limit.rate.limit)
        model.sometimes.reached('a rate window was full')
      if (now < limit.pausedUntil) model.wrong('I12', `${name} was started while ${limit.name} is paused`)
      if (limit.rate !== undefined && model.inWindow(limit) > limit.rate.limit)
        model.wrong(
          'I12',
          `${name} is start ${model.inWindow(limit)} of ${limit.rate.limit} in ${limit.rate.per} ms of ${limit.name}`,
        )
      const sure = limit.running.filter((other) => !this.#mayBeGivenUp(other))
      if (sure.length > limit.concurrency)
        model.wrong('I13', `${name} makes ${sure.length} of ${limit.concurrency} running of ${limit.name}`)
    }
    thread.execs.push(exec)
    job.execs.push(exec)
    const places =
      lane === 'cpu' ? 1 : lane === 'io' ? model.plan.threads.ioConcurrency : model.plan.mainConcurrency
    const holding = thread.execs.filter(
      (other) => !other.isOver && !other.wasSentAhead && !this.#mayBeGivenUp(other),
    )
    if (holding.length > places) model.wrong('I13', `${holding.length} jobs hold ${places} places`)
    return exec
  }

  /** A main-lane handler whose grace is over: its place and limits may have come back. */
  #mayBeGivenUp(exec: Exec): boolean {
    if (exec.thread.fake.lane !== 'main') return false
    return isLate(exec, this.#model)
  }

  #checkLine(job: ModelJob, name: string): void {
    const model = this.#model
    const key = job.wanted.orderingKey
    if (key === undefined) return
    if (model.halted.has(key)) model.wrong('I8', `${name} was started while its key ${key} is halted`)
    for (const other of model.jobs) {
      if (other === job || other.wanted.orderingKey !== key) continue
      const isAhead =
        !other.isRankVague && !job.isRankVague && (other.rank ?? Infinity) < (job.rank ?? Infinity)
      if (isAhead && !isSettled(other.state))
        model.wrong('I8', `${name} passed job ${other.payload} of its key ${key}`)
      const runs = other.execs.some((exec) => exec.began && !exec.isDone && exec.thread.fake.lane !== 'main')
      if (runs) model.wrong('I9', `${name} was started while job ${other.payload} of its key ${key} runs`)
    }
  }

  /** A handler begins. */
  began(thread: ModelThread, run: Run): void {
    const model = this.#model
    const exec = thread.execs.find((one) => one.token === run.token && one.job.id === run.id && !one.isOver)
    const { job } = exec ?? {}
    if (exec === undefined || job === undefined || job.id !== run.id)
      return model.wrong('I2', `${run.id} began without having been started`)
    exec.began = true
    job.executions++
    const { state } = job.handle
    const name = `job ${job.payload}`
    if (thread.fake.lane === 'cpu') {
      if (state !== 'ready' && state !== 'running') model.wrong('I18', `${name} began and is ${state}`)
      const isPaused = model.isPaused || !model.mayStart || model.pausedTasks.has(job.task)
      if (state === 'ready' && isPaused) model.wrong('I18', `${name} began after a pause or close`)
    }
    if (
      job.execs.some((other) => other !== exec && other.began && !other.isDone && thread.fake.lane !== 'main')
    )
      model.wrong('I3', `${name} runs twice at once`)
    const { n } = run.payload as { n: number }
    const isStale = state !== 'ready' && state !== 'running'
    if (n !== job.payload && !isStale) model.wrong('I28', `${name} got the payload of ${n}`)
    if (run.attempt > run.maxAttempts)
      model.wrong('I6', `${name}: attempt ${run.attempt} of ${run.maxAttempts}`)
  }

  over(exec: Exec): void {
    exec.isOver = true
    exec.isDone = true
    for (const limit of exec.limits) limit.running = limit.running.filter((other) => other !== exec)
    exec.thread.execs = exec.thread.execs.filter((other) => other !== exec)
  }

  /** The scheduler is about to read what a thread says. */
  hears(thread: ModelThread, message: FromThread): void {
    if (typeof message === 'number') {
      for (const exec of thread.execs.filter(({ isDone }) => isDone).slice(0, message)) this.#told(exec)
    } else if (message.kind === 'ended') {
      for (const token of message.tokens) {
        const exec = thread.execs.find((one) => one.token === token && one.isDone)
        if (exec !== undefined) this.#told(exec)
      }
    } else if (message.kind === 'ready' && !thread.wasStopped) thread.isOpen = true
  }

  #told(exec: Exec): void {
    if (isSettled(exec.job.handle.state)) this.#model.sometimes.reached('a zombie reported a result')
    this.over(exec)
  }

  exits(thread: ModelThread): void {
    const { sometimes } = this.#model
    thread.isGone = true
    thread.isOpen = false
    const begun = thread.execs.filter((exec) => exec.began || !exec.wasSentAhead)
    if (!thread.wasStopped && begun.length > 1) sometimes.reached('a crash blamed nobody')
    if (!thread.wasStopped && begun.length === 1 && thread.fake.lane === 'io')
      sometimes.reached('a crash blamed one job of a shared thread')
    for (const exec of [...thread.execs]) {
      if (!thread.wasStopped && begun.length > 1) exec.job.mayRunAlone = true
      this.over(exec)
    }
  }

  told(name: EventName, event: JobEventData, offset: number): void {
    const model = this.#model
    const job = model.byId.get(event.id)
    if (job === undefined) return model.wrong('I2', `${name} of ${event.id}, which was never accepted`)
    const what = `job ${job.payload}: ${name}`
    if (following[job.last]?.includes(name) !== true) model.wrong('I24', `${what} after ${job.last}`)
    job.last = name
    if (ends.includes(name)) job.settles++
    const most = job.wanted.attempts ?? model.taskOf(job.task).attempts
    switch (name) {
      case 'started': {
        const expected = job.attempt + (job.repeats ? 0 : 1)
        if (event.attempt !== expected && !(job.isRestored && event.attempt === job.attempt))
          model.wrong('I6', `${what} as attempt ${event.attempt} instead of ${expected}`)
        if (event.attempt > most) model.wrong('I6', `${what}: attempt ${event.attempt} of ${most}`)
        if (event.at - offset < job.runAt)
          model.wrong('I15', `${what} ${job.runAt - event.at + offset} ms early`)
        if (event.attempt === most && most > 1) model.sometimes.reached('a job used its last attempt')
        job.attempt = event.attempt
        job.repeats = false
        return
      }
      case 'retrying':
        return this.#retrying(job, event, offset, what)
      case 'snoozed':
        job.repeats = true
        job.runAt = (event.runAt ?? 0) - offset
        return model.sometimes.reached('a job was snoozed')
      case 'interrupted':
        job.repeats = true
        return model.sometimes.reached('a job was interrupted')
      case 'failed':
        return this.#failed(job, event, most, what)
      case 'expired':
        model.sometimes.reached('a job expired')
        if (job.execs.some((exec) => !exec.isOver))
          model.sometimes.reached('a job expired while its old attempt lingered')
        if (event.at - offset < job.expiresAt && !job.isRestored)
          model.wrong('I15', `${what} ${job.expiresAt - event.at + offset} ms early`)
        return
      case 'accepted':
        job.attempt = job.isRestored ? job.attempt : 0
        return
      case 'completed':
        return model.sometimes.reached('a job settled as completed')
      case 'cancelled':
        return model.sometimes.reached('a job was cancelled')
      default:
        return
    }
  }

  #retrying(job: ModelJob, event: JobEventData, offset: number, what: string): void {
    const model = this.#model
    const delay = (event.runAt ?? NaN) - event.at
    job.runAt = (event.runAt ?? 0) - offset
    job.repeats = false
    const most = job.wanted.attempts ?? model.taskOf(job.task).attempts
    if (event.attempt >= most) model.wrong('I6', `${what} after attempt ${event.attempt} of ${most}`)
    const code = event.error?.code
    if (code === 'ERR_SIDEWORK_PERMANENT') model.wrong('I6', `${what} after an error for good`)
    if (code === 'ERR_SIDEWORK_TIMEOUT') model.sometimes.reached('an attempt timed out')
    if (code === 'ERR_SIDEWORK_OUT_OF_MEMORY') {
      if (job.outOfMemory && !job.isRestored) model.wrong('I6', `${what} after it ran out of memory twice`)
      job.outOfMemory = true
    }
    if (code === 'ERR_SIDEWORK_RETRY_LATER') {
      if (delay !== Number(event.error?.message))
        model.wrong('I7', `${what} in ${delay} ms, asked for ${event.error?.message}`)
      return
    }
    const backoff = job.isRestored
      ? model.taskOf(job.task).backoff
      : (job.wanted.backoff ?? model.taskOf(job.task).backoff)
    const base =
      backoff.type === 'fixed'
        ? backoff.delay
        : Math.min(backoff.max, backoff.delay * backoff.factor ** (event.attempt - 1))
    const low = base * (1 - backoff.jitter)
    const high = Math.ceil(base * (1 + backoff.jitter))
    if (!(delay >= low && delay <= high))
      model.wrong('I7', `${what} in ${delay} ms, not within ${low}–${high}`)
  }

  #failed(job: ModelJob, event: JobEventData, most: number, what: string): void {
    const { sometimes } = this.#model
    sometimes.reached('a job failed for good')
    const isFinal = event.error?.code === 'ERR_SIDEWORK_PERMANENT'
    const isMemory = event.error?.code === 'ERR_SIDEWORK_OUT_OF_MEMORY'
    if (isMemory && job.outOfMemory) sometimes.reached('a job ran out of memory twice')
    if (!isFinal && !(isMemory && job.outOfMemory) && event.attempt < most)
      this.#model.wrong('I6', `${what} after attempt ${event.attempt} of ${most}`)
  }

  /**
   * Everything that was told has been read.
   * @param isInTime false while the loop was blocked and the timer has yet to fire
   */
  quiet(stats: (() => Stats) | undefined, isInTime: boolean): void {
    const model = this.#model
    model.refresh()
    this.#noteRecalls()
    if (this.#chosen.length > 0) this.#judgeChoices()
    this.noteStops()
    if (isInTime) this.#checkExpiry()
    if (model.isClosing) return
    if (!model.isPaused && isInTime) this.#checkWork()
    if (stats !== undefined) this.#checkCounts(stats())
    this.#checkDuplicates()
  }

  #judgeChoices(): void {
    const model = this.#model
    for (const { job, passedOver } of this.#chosen) {
      for (const other of passedOver) {
        if (other === job || other.isVague || job.isVague) continue
        if (model.isBefore(other, job)) {
          const late = model.plan.aging !== false && model.rankOf(other) + 9 * model.plan.aging <= job.readyAt
          model.wrong(late ? 'I11' : 'I10', `job ${job.payload} was started before job ${other.payload}`)
        } else if (other.priority > job.priority)
          model.sometimes.reached('aging let a lower priority go first')
      }
    }
    this.#chosen = []
  }

  /** Which executions the scheduler has given up, as far as can be seen. */
  noteStops(): void {
    const now = this.#model.now()
    for (const thread of this.#model.threads) {
      for (const exec of thread.execs) {
        const { state } = exec.job
        const isValid = state === 'running' || (state === 'ready' && exec.wasSentAhead)
        if (!isValid && exec.stoppedAt === undefined) exec.stoppedAt = now
        if (!isValid && state === 'retrying' && exec.job.runAt <= now)
          this.#model.sometimes.reached('an attempt lingered past the time of its retry')
      }
    }
  }

  #checkExpiry(): void {
    const now = this.#model.now()
    for (const job of this.#model.jobs) {
      if (
        job.expiresAt < now &&
        !isSettled(job.state) &&
        job.state !== 'running' &&
        job.state !== 'held' &&
        !job.isVague
      )
        this.#model.wrong(
          'I15',
          `job ${job.payload} is ${job.state} ${now - job.expiresAt} ms after it expired`,
        )
    }
  }

  #checkWork(): void {
    const model = this.#model
    const places = { cpu: 1, io: model.plan.threads.ioConcurrency, main: model.plan.mainConcurrency }
    for (const thread of model.threads) {
      const { lane } = thread.fake
      if (!thread.isOpen || thread.isGone || thread.wasStopped || thread.fake.isDying) continue
      if (thread.execs.some((exec) => isLate(exec, model))) thread.isDoubtful = lane === 'io'
      if (thread.execs.length >= places[lane]) continue
      if (thread.execs.some((exec) => exec.job.mayRunAlone)) thread.isDoubtful = true
      if (thread.isDoubtful) continue
      const lanesJobs = model.jobs.filter((job) => job.lane === lane && job.state === 'ready')
      if (lanesJobs.some((job) => job.mayRunAlone)) continue
      const idle = lanesJobs.find((job) => model.mayStartNow(job))
      if (idle !== undefined)
        model.wrong('I14', `job ${idle.payload} is ready and a place of lane ${lane} is free`)
    }
  }

  #checkCounts(stats: Stats): void {
    const model = this.#model
    const { held, scheduled, blocked, ready, running, retrying, completed, failed, cancelled, expired } =
      stats
    const counts = { held, scheduled, blocked, ready, running, retrying }
    const sum =
      held + scheduled + blocked + ready + running + retrying + completed + failed + cancelled + expired
    if (sum !== stats.accepted) model.wrong('I20', `${sum} jobs in all states, ${stats.accepted} accepted`)
    let bytes = 0
    const seen: Record<string, number> = {
      held: 0,
      scheduled: 0,
      blocked: 0,
      ready: 0,
      running: 0,
      retrying: 0,
    }
    let accepts = 0
    for (const job of model.jobs) {
      accepts += job.accepts
      if (isSettled(job.state)) continue
      seen[job.state] = (seen[job.state] ?? 0) + 1
      bytes += JSON.stringify({ n: job.payload, g: job.group }).length
    }
    for (const [state, count] of Object.entries(counts))
      if (seen[state] !== count) model.wrong('I20', `stats count ${count} ${state}, there are ${seen[state]}`)
    if (accepts !== stats.accepted) model.wrong('I20', `${stats.accepted} accepted instead of ${accepts}`)
    if (bytes !== stats.queuedBytes)
      model.wrong('I29', `${stats.queuedBytes} bytes queued instead of ${bytes}`)
  }

  #checkDuplicates(): void {
    const model = this.#model
    const seen = new Map<string, number>()
    for (const { wanted, state, task, payload, isRestored } of model.jobs) {
      // A held job that was lost takes part from its restoration, beside the one that stands for its key.
      if (isRestored || wanted.dedupe === undefined || isSettled(state) || state === 'held') continue
      const name = `${task} ${wanted.dedupe.key}`
      const count = (seen.get(name) ?? 0) + 1
      seen.set(name, count)
      if (count > (wanted.dedupe.mode === 'last' ? 2 : 1))
        model.wrong('I16', `job ${payload} is one too many of dedupe key ${wanted.dedupe.key}`)
    }
  }
}

/** Its grace is over, so the scheduler may have retired its thread or given its handler up. */
function isLate(exec: Exec, model: Model): boolean {
  return exec.stoppedAt !== undefined && model.now() >= exec.stoppedAt + model.taskOf(exec.job.task).killAfter
}
