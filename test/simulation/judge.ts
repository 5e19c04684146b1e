/** Holds the scheduler against the model: at every message, every event and every quiet moment. README.md lists what is judged where. */
import type { EventName } from '../../src/events/event-types.js'
import type { FromThread, RunMessage } from '../../src/threads/protocol.js'
import type { Stats } from '../../src/stats.js'
import { checkEvent, type JobEventData } from './check-events.js'
import { checkCounts, checkDue, checkDuplicates, checkExpiry, checkWork } from './check-quiet.js'
import { checkStart } from './check-start.js'
import { isSettled, type Exec, type ModelJob, type ModelThread } from './model-records.js'
import { isLate, type Model } from './model.js'
import type { Run } from './script.js'

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
   * @param firingAt when the timer was due that is firing: what falls due together is done in any order, so a limit that
   *   opened since may be about to
   */
  posted(thread: ModelThread, run: RunMessage, isInTime: boolean, firingAt: number | undefined): void {
    const model = this.#model
    model.refresh()
    this.noteRecalls()
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
      } else given.push(checkStart(model, thread, job, token))
    }
    if (!isInTime) return
    const { lane } = thread.fake
    const passed = model.live.filter(
      (job) =>
        job.lane === lane &&
        !job.isVague &&
        model.mayStartNow(job) &&
        (firingAt === undefined || model.wasDue(job, firingAt - 1)),
    )
    if (passed.length === 0) return
    for (const { job } of given) if (!job.isVague) this.#chosen.push({ job, passedOver: passed })
  }

  /** The job's priority changes: choices that were made before it and are not judged yet would be judged by it. */
  reprioritised(job: ModelJob): void {
    this.#chosen = this.#chosen
      .filter((one) => one.job !== job)
      .map((one) => ({ ...one, passedOver: one.passedOver.filter((other) => other !== job) }))
  }

  /** What was sent ahead and can no longer be taken has been taken back. */
  noteRecalls(): void {
    for (const { fake, execs } of this.#model.threads) {
      if (fake.lane !== 'cpu' || execs.length === 0 || fake.isDying) continue
      const ahead = execs.filter((exec) => !exec.began && (exec.wasSentAhead || exec.job.state !== 'running'))
      if (ahead.length === 0) continue
      const kept = fake.sentAhead
      for (const exec of ahead) {
        if (kept.includes(exec.job.id)) continue
        this.#model.over(exec)
        this.#model.sometimes.reached('recall took back a job that was sent ahead')
      }
    }
  }

  /** After a pause, a cancel or the deadline of `close`: no thread can take what must not start any more (I18). */
  nothingAhead(mustNotStart: (job: ModelJob) => boolean, when: string): void {
    const model = this.#model
    for (const { fake } of model.threads) {
      if (fake.lane !== 'cpu' || fake.isDying) continue
      for (const id of fake.sentAhead) {
        const job = model.byId.get(id)
        if (job !== undefined && job.handle.state !== 'running' && mustNotStart(job))
          model.wrong('I18', `job ${job.payload} can still be taken by a thread it was sent to, ${when}`)
      }
    }
  }

  /** A handler begins. */
  began(thread: ModelThread, run: Run): void {
    const model = this.#model
    const exec = thread.execs.find((one) => one.token === run.token && one.job.id === run.id && !one.isOver)
    if (exec === undefined) return model.wrong('I2', `${run.id} began without having been started`)
    const { job } = exec
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
    const { n } = run.payload as { n: number } // as every plan writes it
    const isStale = state !== 'ready' && state !== 'running'
    if (n !== job.payload && !isStale) model.wrong('I28', `${name} got the payload of ${n}`)
    if (run.attempt > run.maxAttempts)
      model.wrong('I6', `${name}: attempt ${run.attempt} of ${run.maxAttempts}`)
  }

  /** The scheduler is about to read what a thread says. */
  hears(thread: ModelThread, message: FromThread): void {
    if (typeof message === 'number') {
      for (const exec of thread.execs.filter(({ isDone }) => isDone).slice(0, message)) this.#ended(exec)
    } else if (message.kind === 'ended') {
      for (const token of message.tokens) {
        // One that was given up before its thread read it ends without having begun.
        const exec = thread.execs.find((one) => one.token === token && (one.isDone || !one.began))
        if (exec !== undefined) this.#ended(exec)
      }
    } else if (message.kind === 'progress') {
      const exec = thread.execs.find((one) => one.token === message.token)
      if (exec !== undefined && isCurrent(exec)) exec.job.heardProgress++
    } else if (message.kind === 'ready' && !thread.wasStopped) thread.isOpen = true
  }

  #ended(exec: Exec): void {
    const { job } = exec
    if (isCurrent(exec)) job.hasReported = true
    exec.thread.reportedAt = this.#model.now()
    if (isSettled(job.handle.state)) this.#model.sometimes.reached('a zombie reported a result')
    this.#model.over(exec)
  }

  /** A cpu thread is stopped while it closes: a handler that was given up before has its grace, until the deadline. */
  stops({ fake, execs }: ModelThread): void {
    const model = this.#model
    const now = model.now()
    if (!model.isClosing || now >= model.closesBy || fake.lane !== 'cpu' || fake.isDying) return
    for (const exec of execs) {
      const { stoppedAt, began, isDone, job } = exec
      if (stoppedAt === undefined || !began || isDone || stoppedAt <= model.blockedUntil) continue
      if (!isLate(exec, model)) model.wrong('I19', `close stopped job ${job.payload} within its grace`)
    }
  }

  exits(thread: ModelThread): void {
    const { sometimes } = this.#model
    this.#model.refresh() // verdicts that came before are none on this crash
    thread.isGone = true
    thread.isOpen = false
    const begun = thread.execs.filter((exec) => exec.began || !exec.wasSentAhead)
    const isUnexplained = !thread.wasStopped && begun.length > 1
    if (isUnexplained) sometimes.reached('a crash blamed nobody')
    if (!thread.wasStopped && begun.length === 1 && thread.fake.lane === 'io')
      sometimes.reached('a crash blamed one job of a shared thread')
    thread.hadCompany = thread.fake.lane === 'io' && thread.wasSpinning && hasCompany(thread)
    for (const exec of [...thread.execs]) {
      if (thread.fake.lane === 'io' && isUnexplained) exec.job.runsAlone = true
      this.#model.over(exec)
    }
    if (thread.fake.lane === 'io' && thread.wasStopped && begun.length > 1)
      thread.untold = begun.map(({ job }) => ({ job, generation: job.generation, wasOver: !isUnderWay(job) }))
  }

  /** Why a thread exited is told after it has: whoever was on one that hung runs alone, also if it was started meanwhile. */
  toldWhy(thread: ModelThread, reason: string): void {
    const model = this.#model
    const untold = thread.untold.splice(0)
    if (reason === 'timeout' && thread.hadCompany)
      model.wrong('I30', `thread ${thread.fake.number} hung, and one was blamed who had company`)
    if (reason !== 'stuck') return
    model.sometimes.reached('a shared thread hung')
    if (!thread.mayHaveHung)
      model.wrong('I26', `thread ${thread.fake.number} was taken for hung, and answers`)
    for (const { job, generation, wasOver } of untold) {
      const isJudged = !wasOver && !isUnderWay(job)
      if (isJudged || job.generation !== generation) continue
      job.runsAlone = true
      const exec = job.execs.find((one) => !one.isOver)
      if (exec === undefined) continue
      exec.thread.isKept = true
      if (exec.thread.execs.length > 1)
        model.wrong('I14', `job ${job.payload} was on a thread that hung, and did not run alone next`)
    }
  }

  told(name: EventName, event: JobEventData, offset: number): void {
    checkEvent(this.#model, name, event, offset)
  }

  /**
   * Everything that was told has been read.
   * @param isInTime false while the loop was blocked and the timer has yet to fire
   */
  quiet(stats: (() => Stats) | undefined, isInTime: boolean): void {
    const model = this.#model
    model.refresh()
    this.noteRecalls()
    if (this.#chosen.length > 0) this.#judgeChoices()
    this.noteStops()
    if (isInTime) {
      checkDue(model)
      checkExpiry(model)
    }
    if (model.isClosing) return
    if (!model.isPaused && isInTime) checkWork(model)
    if (stats !== undefined) checkCounts(model, stats())
    if (model.hasDedupe) checkDuplicates(model)
  }

  #judgeChoices(): void {
    const model = this.#model
    for (const { job, passedOver } of this.#chosen) {
      for (const other of passedOver) {
        if (other === job || other.isVague || job.isVague) continue
        if (job.readyAt > model.mayBePassedUntil(other))
          model.wrong('I11', `job ${job.payload} passed job ${other.payload}, which had waited long enough`)
        if (model.isBefore(other, job))
          model.wrong('I10', `job ${job.payload} was started before job ${other.payload}`)
        else if (other.priority > job.priority) model.sometimes.reached('aging let a lower priority go first')
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
}

/** Whether one that still counts had been there before all that were given up, so that any of them may hold the loop. */
function hasCompany({ execs }: ModelThread): boolean {
  const stopped = execs.filter(({ stoppedAt }) => stoppedAt !== undefined)
  const firstAt = Math.min(...stopped.map(({ startedAt }) => startedAt))
  return stopped.length > 0 && execs.some((exec) => isCurrent(exec) && exec.startedAt <= firstAt)
}

function isUnderWay({ handle: { state } }: ModelJob): boolean {
  return state === 'ready' || state === 'running'
}

/** Whether what the thread says about this execution counts: it is the job's last, and was not given up. */
function isCurrent(exec: Exec): boolean {
  return exec === exec.job.execs.at(-1) && exec.stoppedAt === undefined && isUnderWay(exec.job)
}
