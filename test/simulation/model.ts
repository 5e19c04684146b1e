/**
 * What the documents promise, in plain arrays: a second, slow and simple account of a schedule, kept from what
 * goes in and out (calls, messages, events), against which the scheduler is held after every happening.
 */
import type { Job } from '../../src/defer/job-handle.js'
import type { JobSnapshot } from '../../src/job/snapshot.js'
import {
  isSettled,
  type Broken,
  type Exec,
  type ModelJob,
  type ModelLimit,
  type ModelThread,
} from './model-records.js'
import type { JobPlan, Plan, TaskPlan } from './plan.js'
import type { Sometimes } from './sometimes.js'

/** A shared thread has so long to answer, however short a grace is. */
const shortestAnswerMs = 50

export class Model {
  readonly plan: Plan
  readonly sometimes: Sometimes
  readonly now: () => number
  readonly jobs: ModelJob[] = []
  /** Those that were not settled when everybody was last looked at. */
  live: ModelJob[] = []
  readonly byId = new Map<string, ModelJob>()
  /** Running jobs per thread of each lane. */
  readonly places: Readonly<Record<TaskPlan['lane'], number>>
  hasDedupe = false
  readonly threads: ModelThread[] = []
  readonly limits = new Map<string, ModelLimit>()
  isPaused = false
  readonly pausedTasks = new Set<number>()
  /** Halted keys, with the id of the job at which each halted. */
  readonly halted = new Map<string, string>()
  isClosing = false
  /** The deadline of `close()`. */
  closesBy = Infinity
  /** Until when the event loop was blocked last. */
  blockedUntil = 0
  mayStart = true
  broken: Broken | undefined
  #ranks = 0
  /** What jobs have to pass, by their task and group. */
  readonly #limitsOf: ModelLimit[][] = []

  constructor(plan: Plan, sometimes: Sometimes, now: () => number) {
    this.plan = plan
    this.sometimes = sometimes
    this.now = now
    this.places = { cpu: 1, io: plan.threads.ioConcurrency, main: plan.mainConcurrency }
  }

  /** Notes the first invariant that does not hold. */
  wrong(invariant: string, what: string): void {
    this.broken ??= { invariant, what: `${what} (at ${this.now()} ms)` }
  }

  add(handle: Pick<Job, 'id' | 'state'>, wanted: JobPlan, payload: number, isHeld: boolean): ModelJob {
    const now = this.now()
    const { delay, runIn } = wanted
    const task = this.taskOf(wanted.task)
    const waits = delay ?? Math.max(0, runIn ?? 0)
    const expiresIn = wanted.expiresIn ?? task.expiresIn ?? Infinity
    const job: ModelJob = {
      seq: this.jobs.length, id: handle.id, handle, task: wanted.task, lane: task.lane, wanted, payload, group: wanted.group,
      priority: wanted.priority ?? 5, acceptedAt: now, runAt: now + waits, readyAt: now, isVague: false,
      expiresAt: isHeld ? Infinity : now + waits + expiresIn, state: isHeld ? 'held' : waits > 0 ? 'scheduled' : 'ready', lastState: 'held',
      rank: undefined, isRankVague: false, generation: 1, last: 'none', attempt: 0, repeats: false, executions: 0, execs: [],
      accepts: 1, settles: 0, runsAlone: false, outOfMemory: false,
      hasReported: false, heardProgress: 0, isToWait: false, isRestored: false, overAt: -1,
    } // prettier-ignore
    if (this.byId.has(job.id) && !isSettled(this.byId.get(job.id)?.handle.state ?? 'completed'))
      this.wrong('I2', `id ${job.id} was given twice`)
    this.#keep(job)
    this.byId.set(job.id, job)
    if (!isHeld && waits === 0) this.joinNow(job)
    return job
  }

  #keep(job: ModelJob): void {
    this.jobs.push(job)
    this.live.push(job)
    if (job.wanted.dedupe !== undefined) this.hasDedupe = true
  }

  /** Jobs of the scheduler before are taken back: who joins a line from here on stands behind them. */
  goOnFrom(before: Model): void {
    this.#ranks = before.#ranks
  }

  restored(handle: Job, old: ModelJob, snapshot: JobSnapshot, wall: number): ModelJob {
    const now = this.now()
    // One that stands in no line yet joins it when it is due, and that may be over.
    const hasJoined =
      old.rank === undefined && old.wanted.orderingKey !== undefined && handle.state !== 'scheduled'
    const isRankVague = old.isRankVague || hasJoined || old.wanted.dedupe !== undefined
    const runAt = Math.max(now, now + snapshot.runAt - wall)
    // One that was cut off is ready since it was.
    const wasReady = snapshot.state === 'ready' || snapshot.state === 'running'
    const readyAt = wasReady ? old.readyAt : now
    const isVague = !wasReady || old.isVague || old.lastState !== snapshot.state || handle.state !== 'ready'
    if (!isVague) this.sometimes.reached('a restored job was ready since before')
    const expiresAt = snapshot.expiresAt === undefined ? Infinity : now + snapshot.expiresAt - wall
    const job: ModelJob = {
      ...old, seq: this.jobs.length, handle, acceptedAt: now, runAt, readyAt, isVague, isRestored: true,
      expiresAt, priority: snapshot.priority, state: handle.state, last: 'none', attempt: snapshot.attempt,
      execs: [], accepts: 1, settles: 0, isRankVague, runsAlone: false, outOfMemory: true,
      hasReported: false, heardProgress: 0, isToWait: false,
    } // prettier-ignore
    if (hasJoined) this.join(job)
    else if (!isRankVague && job.rank !== undefined)
      this.sometimes.reached('a restored job kept its place in its line')
    this.#keep(job)
    this.byId.set(job.id, job)
    return job
  }

  /** A new generation. */
  revive(job: ModelJob, isFirst: boolean): void {
    const now = this.now()
    job.accepts++
    job.generation++
    job.runAt = job.readyAt = now
    job.isVague = false
    const expiresIn = job.wanted.expiresIn ?? this.taskOf(job.task).expiresIn ?? Infinity
    job.expiresAt = now + expiresIn
    job.state = 'ready'
    job.repeats = false
    job.outOfMemory = false
    job.rank = undefined
    this.live.push(job)
    if (job.execs.some((exec) => !exec.isOver)) {
      job.isVague = job.isRankVague = true
      this.sometimes.reached('a job was retried while its old attempt lingered')
    }
    if (isFirst) this.joinFirst(job)
    else this.joinNow(job)
  }

  /** Stands at the head of its key's line from here on. */
  joinFirst(job: ModelJob): void {
    job.rank = -++this.#ranks
  }

  /** Stands at the end of its key's line from here on. */
  join(job: ModelJob): void {
    if (job.wanted.orderingKey !== undefined) job.rank = ++this.#ranks
  }

  /** Likewise, behind those that were due before, of which a blocked event loop has told nobody. */
  joinNow(job: ModelJob): void {
    if (job.wanted.orderingKey === undefined) return
    const now = this.now()
    const due = this.live.filter(
      ({ rank, wanted, handle, runAt, execs }) =>
        rank === undefined &&
        wanted.orderingKey !== undefined &&
        handle.state === 'scheduled' &&
        runAt <= now &&
        execs.every((exec) => exec.isOver),
    )
    due.sort((a, b) => a.runAt - b.runAt || a.seq - b.seq)
    for (const one of due) {
      this.join(one)
      if (one !== job) this.sometimes.reached('a job that was due joined its line before the timer said so')
    }
    if (!due.includes(job)) this.join(job)
  }

  release(job: ModelJob): void {
    const now = this.now()
    const waits = job.wanted.delay ?? 0
    job.runAt = job.wanted.delay === undefined ? Math.max(now, job.runAt) : now + waits
    const expiresIn = job.wanted.expiresIn ?? this.taskOf(job.task).expiresIn ?? Infinity
    job.expiresAt = job.runAt + expiresIn
    job.readyAt = now
    if (job.runAt > now) job.state = 'scheduled'
    else {
      job.state = 'ready'
      this.joinNow(job)
    }
  }

  /** It waits until another instant, which may be over: its time to start is counted from there, or from now. */
  expireAnew(job: ModelJob): void {
    const expiresIn = job.wanted.expiresIn ?? this.taskOf(job.task).expiresIn ?? Infinity
    if (job.expiresAt < Infinity) job.expiresAt = Math.max(job.runAt, this.now()) + expiresIn
  }

  taskOf(task: number): TaskPlan {
    const found = this.plan.tasks[task]
    if (found === undefined) throw new Error(`no task ${task}`)
    return found
  }

  limitsOf(job: ModelJob): ModelLimit[] {
    const at = 2 * job.task + job.group // a group is 0 or 1
    return (this.#limitsOf[at] ??= this.#findLimits(job))
  }

  #findLimits(job: ModelJob): ModelLimit[] {
    const task = this.taskOf(job.task)
    const found: ModelLimit[] = []
    const get = (name: string, concurrency: number, rate: ModelLimit['rate']): void => {
      const known = this.limits.get(name)
      const limit = known ?? { name, concurrency, rate, running: [], starts: [], pausedUntil: -1 }
      if (known === undefined) this.limits.set(name, limit)
      found.push(limit)
    }
    const { concurrency, rate } = task
    if (concurrency !== undefined)
      get(`most of t${job.task} ${concurrency.keyed ? job.group : ''}`, concurrency.limit, undefined)
    if (rate !== undefined) get(`rate of t${job.task} ${rate.keyed ? job.group : ''}`, Infinity, rate)
    if (task.shared) get('shared', this.plan.limit.concurrency ?? Infinity, this.plan.limit.rate)
    return found
  }

  isOpen(limit: ModelLimit): boolean {
    return limit.running.length < limit.concurrency && this.#isDue(limit, this.now())
  }

  /** Whether no pause and no full window shut its limits at an instant that is over. */
  wasDue(job: ModelJob, instant: number): boolean {
    return this.limitsOf(job).every((limit) => this.#isDue(limit, instant))
  }

  /** Neither a pause nor a full window shuts it. */
  #isDue(limit: ModelLimit, instant: number): boolean {
    if (instant < limit.pausedUntil) return false
    return limit.rate === undefined || this.inWindow(limit, instant) < limit.rate.limit
  }

  /** Starts in the window that ends at the instant. */
  inWindow(limit: ModelLimit, instant = this.now()): number {
    const from = instant - (limit.rate?.per ?? 0)
    let count = 0
    for (let at = limit.starts.length - 1; at >= 0 && (limit.starts[at] ?? 0) > from; at--) count++
    return count
  }

  /** Looks at all states: who joined a line, who became ready. */
  refresh(): void {
    const now = this.now()
    let joining: ModelJob[] | undefined
    let hasSettled = false
    for (const job of this.live) {
      const { state } = job.handle
      // It waited for no time that anybody saw: since when it has been ready is not known.
      if (job.isToWait && (state === 'ready' || state === 'running')) job.isVague = true
      job.isToWait = false
      if (state === job.state && !isSettled(state)) continue
      const from = job.state
      job.state = state
      if (state === 'retrying' || state === 'scheduled' || isSettled(state)) job.runsAlone = false // there was a verdict
      if (isSettled(state)) {
        hasSettled = true
        job.lastState = from
        continue
      }
      if (
        job.rank === undefined &&
        job.wanted.orderingKey !== undefined &&
        state !== 'scheduled' &&
        state !== 'held'
      )
        (joining ??= []).push(job)
      if (state === 'blocked') this.sometimes.reached('a job was blocked by its key')
      if (state === 'ready' || state === 'running') {
        if (from === 'blocked') {
          job.readyAt = now
          if (state === 'running') job.isVague = true
        } else if (from === 'scheduled' || from === 'retrying') {
          this.#becameReady(job)
          if (job.wanted.orderingKey !== undefined && job.runAt < now) job.isVague = true
        }
      }
    }
    if (hasSettled) this.live = this.live.filter((job) => !isSettled(job.state))
    if (joining === undefined) return
    joining.sort((a, b) => a.runAt - b.runAt || a.seq - b.seq)
    const isMixed =
      joining.length > 1 &&
      joining.some((job) => job.isRestored || job.runAt > now || job.wanted.dedupe !== undefined)
    for (const job of joining) {
      this.join(job)
      if (isMixed) job.isRankVague = true
    }
  }

  /** Its time came, or was over and its old execution has ended at last. */
  #becameReady(job: ModelJob): void {
    const now = this.now()
    const { runAt, overAt } = job
    const wasHeldUp = overAt > runAt
    job.readyAt = wasHeldUp ? now : Math.min(now, runAt)
    // Which of the two came first is not seen when they met; nor when a handler is given up.
    if (wasHeldUp && overAt <= Math.max(this.blockedUntil, runAt + 1)) job.isVague = true
    if (job.execs.some((exec) => !exec.isOver)) job.isVague = true
    if (wasHeldUp && !job.isVague) this.sometimes.reached('a retry was held up by its old attempt')
  }

  /** Ready, with nobody, and let through by everything it has to pass. */
  mayStartNow(job: ModelJob): boolean {
    if (job.state !== 'ready' || this.pausedTasks.has(job.task)) return false
    if (job.expiresAt <= this.now()) return false
    for (const exec of job.execs) if (!exec.isOver) return false
    for (const limit of this.limitsOf(job)) if (!this.isOpen(limit)) return false
    return true
  }

  rankOf(job: ModelJob): number {
    const { aging } = this.plan
    return job.readyAt - job.priority * (aging === false ? 1e9 : aging)
  }

  /** Until when others that become ready may pass it; nothing that becomes so later may (I11). */
  mayBePassedUntil({ readyAt, priority }: ModelJob): number {
    const { aging } = this.plan
    return aging === false ? Infinity : readyAt + (9 - priority) * aging
  }

  /** The scheduler knows that the execution has ended. */
  over(exec: Exec): void {
    exec.isOver = true
    exec.job.overAt = this.now()
    exec.isDone = true
    for (const limit of exec.limits) limit.running = limit.running.filter((other) => other !== exec)
    const { thread } = exec
    thread.execs = thread.execs.filter((other) => other !== exec)
    if (thread.execs.length === 0) thread.isKept = false
  }

  /** Whether the rule of which job starts next (src/lanes.md) surely puts `a` before `b`. */
  isBefore(a: ModelJob, b: ModelJob): boolean {
    const difference = this.rankOf(a) - this.rankOf(b)
    return difference < 0 || (difference === 0 && a.seq < b.seq)
  }
}

/** Its grace is over, so the scheduler may have retired its thread or given its handler up. */
export function isLate(exec: Exec, model: Model): boolean {
  return exec.stoppedAt !== undefined && model.now() >= exec.stoppedAt + model.taskOf(exec.job.task).killAfter
}

/** So is the time that a shared thread has to show that its loop turns. */
export function isLongLate(exec: Exec, model: Model): boolean {
  return isLate(exec, model) && model.now() >= (exec.stoppedAt ?? Infinity) + shortestAnswerMs
}
