/** What an operator does to jobs that are there, and what a confused thread says. */
import { isSettled, type ModelJob, type ModelThread } from './model-records.js'
import type { Stage } from './stage.js'

export class Operating {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  cancel(job: ModelJob | undefined, cancel: (job: ModelJob) => boolean): void {
    if (job === undefined) return
    const { state } = job.handle
    if (state === 'ready' && job.execs.some((exec) => exec.wasSentAhead && !exec.isOver))
      this.#stage.sometimes.reached('a cancelled job had been sent ahead')
    if (state === 'ready' && job.wanted.orderingKey !== undefined)
      this.#stage.sometimes.reached('the head of a line was cancelled')
    const isCancelled = cancel(job)
    if (isCancelled && !isSettled(job.handle.state))
      this.#stage.model.wrong('I18', `job ${job.payload} was cancelled and is ${job.handle.state}`)
    this.#stage.judge.nothingAhead((other) => isCancelled && other === job, 'though it was cancelled')
    this.#stage.model.refresh()
  }

  abort(job: ModelJob): boolean {
    const signal = this.#stage.signals.get(job)
    if (signal === undefined || job.handle.state === 'held') return false
    const was = job.handle.state
    signal.abort()
    if (isSettled(was) || job.generation > 1) return false
    this.#stage.sometimes.reached(
      was === 'running' ? 'a signal cancelled a running job' : 'a signal cancelled a waiting job',
    )
    return true
  }

  cancelAll(task: number | undefined): void {
    this.#stage.scheduler.cancelAll(task === undefined ? {} : { task: this.#stage.task(task) })
    this.#stage.model.refresh()
    for (const job of this.#stage.model.jobs) {
      if ((task === undefined || job.task === task) && !isSettled(job.handle.state))
        this.#stage.model.wrong('I18', `job ${job.payload} is ${job.handle.state} after cancelAll`)
    }
  }

  retry(of: number): void {
    const job = this.#stage.some(of)
    if (job === undefined || this.#stage.scheduler.isClosing) return
    const was = job.handle.state
    let isRetried = false
    try {
      isRetried = this.#stage.scheduler.retry(job.id)
    } catch {
      return // The queue is full: nothing has changed.
    }
    if (!isRetried && was === 'failed' && job.wanted.dedupe !== undefined)
      this.#stage.sometimes.reached('a retry was refused by its key')
    if (isRetried) this.#revived(job, false)
    if (isRetried && job.wanted.orderingKey !== undefined)
      this.#stage.sometimes.reached('a job with a key was retried at the end of its line')
  }

  retryAll(task: number | undefined): void {
    const before = this.#stage.model.jobs.map((job) => job.handle.state)
    try {
      this.#stage.scheduler.retryAll(task === undefined ? {} : { task: this.#stage.task(task) })
    } catch {
      for (const [index, job] of this.#stage.model.jobs.entries())
        if (job.handle.state !== before[index])
          this.#stage.model.wrong('I2', `retryAll was refused, and job ${job.payload} is ${job.handle.state}`)
      return this.#stage.sometimes.reached('retryAll was refused as a whole')
    }
    for (const [index, job] of this.#stage.model.jobs.entries()) {
      if (isSettled(before[index] ?? 'held') && !isSettled(job.handle.state)) this.#revived(job, false)
    }
  }

  #revived(job: ModelJob, isFirst: boolean): void {
    this.#stage.model.revive(job, isFirst)
    this.#stage.signals.delete(job)
  }

  pause(kind: 'pause' | 'resume', task: number | undefined): void {
    const { model, judge, scheduler } = this.#stage
    const isSentAhead = model.threads.some(({ execs }) =>
      execs.some((exec) => exec.wasSentAhead && !exec.began),
    )
    if (kind === 'pause' && isSentAhead) this.#stage.sometimes.reached('a pause found jobs sent ahead')
    if (kind === 'resume' && task === undefined) model.isPaused = false
    if (kind === 'resume' && task !== undefined) model.pausedTasks.delete(task)
    // Before anything is called back, which has others started.
    if (kind === 'pause' && task === undefined) model.isPaused = true
    if (kind === 'pause' && task !== undefined) model.pausedTasks.add(task)
    if (task === undefined) scheduler[kind]()
    else scheduler[kind](this.#stage.task(task))
    if (kind === 'pause')
      judge.nothingAhead((job) => task === undefined || job.task === task, 'though it is paused')
    if (kind === 'pause' && task !== undefined && this.#stage.plan.tasks.length > 1)
      this.#stage.sometimes.reached('a paused task let others pass')
  }

  releaseKeys(retry: boolean): void {
    for (const key of this.#stage.scheduler.haltedKeys()) this.#releaseKey(key, retry)
    this.#stage.model.refresh()
  }

  #releaseKey(key: string, retry: boolean): void {
    const { model, scheduler, sometimes } = this.#stage
    const id = model.halted.get(key) ?? ''
    const head = model.byId.get(id)
    const was = head?.handle.state
    const isKept = scheduler.job(id) !== undefined
    let isReleased = false
    try {
      isReleased = scheduler.releaseKey(key, { retry })
    } catch {
      return // The queue is full: the key stays halted.
    }
    if (!isReleased) {
      const isThere = was === 'failed' || (was === 'blocked' && (head?.generation ?? 1) > 1)
      const surely = isThere && isKept && head?.wanted.dedupe === undefined
      if (!retry || surely) model.wrong('I8', `the halted key ${key} was not released`)
      if (!scheduler.haltedKeys().includes(key)) model.wrong('I8', `key ${key} goes on and was not released`)
      if (was !== head?.handle.state)
        model.wrong('I8', `job ${head?.payload} was retried and its key is halted`)
      return sometimes.reached('a key stayed halted, as its job could not run again')
    }
    model.halted.delete(key)
    if (!retry || head === undefined) return sometimes.reached('a halted key was released')
    const isLingering = head.execs.some((exec) => !exec.isOver)
    if (was === 'failed') {
      if (head.handle.state === was)
        model.wrong('I8', `key ${key} was released without its job ${head.payload}`)
      sometimes.reached(
        isLingering
          ? 'a halted key was released while its job lingered'
          : 'a halted key was released with its job',
      )
      return this.#revived(head, true)
    }
    if (was !== 'blocked' && !isLingering) model.wrong('I8', `key ${key} was released with job ${head.payload}, which was ${was}`) // prettier-ignore
    sometimes.reached('a halted key was released with its job, which had been retried')
    model.joinFirst(head)
  }

  /** Says what is not so, or says again what was said. */
  forge(kind: 'forge' | 'repeat', index: number): void {
    const threads = this.alive()
    const thread = threads[index % Math.max(1, threads.length)]
    if (kind === 'repeat') {
      const last = this.#stage.lastReport
      if (
        last === undefined ||
        last.thread.isDying ||
        typeof last.message === 'number' ||
        last.message.kind !== 'ended'
      )
        return
      last.thread.say(last.message)
      return this.#stage.sometimes.reached('a report came twice')
    }
    if (thread === undefined) return
    for (const token of this.#foreignTokens(thread)) {
      thread.fake.say({ kind: 'ended', tokens: [token, 0, -1], endings: [null, null, null] })
      thread.fake.say({ kind: 'progress', token, value: '1' })
    }
    this.#stage.sometimes.reached('a forged message was ignored')
  }

  /** Tokens that name none of the thread's executions, whenever it is heard: of those that are over, and of nobody. */
  #foreignTokens(thread: ModelThread): number[] {
    const { model, draw, sometimes } = this.#stage
    const over = model.jobs
      .flatMap(({ execs }) => execs)
      .filter((exec) => exec.thread === thread && exec.isOver && exec.began)
    if (over.length > 0) sometimes.reached('a forged message named an execution that was over')
    return [...over.map(({ token }) => token), 100_000 + draw.below(1000)]
  }

  alive(): ModelThread[] {
    return this.#stage.model.threads.filter(({ fake }) => !fake.isDying && fake.lane !== 'main')
  }
}
