/**
 * The way from `close()` to nothing left, in numbered steps:
 *
 *   0  schedules stop (close-rooms.ts): what acts by itself defers nothing more
 *   1  new jobs are refused; children of running jobs and defers of requests in flight are accepted until the deadline
 *   2  with `drain`, ready jobs go on starting, unless they are paused; what is scheduled or retrying is not waited for,
 *      handlers that were cancelled or timed out are, as long as their grace lasts
 *   3  at the deadline: nothing starts any more, handlers are told to stop
 *   4  after the grace (at most 800 ms): whatever is not settled is lost, and settles as cancelled
 *   5  threads end their start or run their teardown(), and end; or are stopped
 *   6  the report
 */
import type { Dispatcher } from './dispatch/dispatcher.js'
import type { Agenda, AgendaAlarm } from './queue/agenda.js'
import type { Clock } from './world.js'

const longestGraceMs = 800
/** Threads that were stopped have at least so long to exit before they are left behind. */
const exitWaitMs = 150
/** On a busy machine a thread waits for a core before it can exit; so it may take longer where there is time. */
const longestExitWaitMs = 1_000
/** All of it, grace and teardown included, takes at most this much longer than the timeout. */
const overtimeMs = 950

/** What closing needs of the scheduler. */
export interface ClosingPort {
  readonly clock: Clock
  readonly agenda: Agenda
  readonly dispatcher: Dispatcher
  /** Jobs that run or are ready and may start, and steps of flows that are about to be. */
  busyJobs(): number
  runningJobs(): number
  /** Settles every unsettled job as cancelled. */
  abandonJobs(): void
  finished(): void
}

type Step = 'draining' | 'stopping' | 'exiting' | 'done'

export class Closing {
  readonly #port: ClosingPort
  readonly #deadline: AgendaAlarm
  readonly #deadlineAt: number
  #step: Step = 'draining'
  #grace: AgendaAlarm | undefined

  constructor(port: ClosingPort, timeoutMs: number) {
    this.#port = port
    this.#deadlineAt = port.clock.now() + timeoutMs
    this.#deadline = port.agenda.alarm(this.#deadlineAt, () => this.#stop())
  }

  /** @param drain whether ready jobs go on starting */
  begin(drain: boolean): void {
    this.#port.dispatcher.staffing.isClosing = true
    if (!drain) this.#stopStarting()
    if (this.#deadlineAt <= this.#port.clock.now()) this.#stop()
    this.moved()
  }

  /** Whether children and requests in flight may still defer, and jobs start, unless they are paused. */
  get acceptsChildren(): boolean {
    return this.#step === 'draining'
  }

  /** Something settled, or a thread went: perhaps the next step is due. */
  moved(): void {
    if (this.#step === 'draining' && this.#isDrained()) this.#leave()
    else if (this.#step === 'stopping' && !this.#isAtWork(this.#port.runningJobs())) this.#leave()
    else if (this.#step === 'exiting' && this.#port.dispatcher.threadCount === 0) this.#finish()
  }

  #isDrained(): boolean {
    // Paused, by `drain: false` or by the user: what is ready will not start.
    return !this.#isAtWork(this.#port.dispatcher.isPaused ? this.#port.runningJobs() : this.#port.busyJobs())
  }

  /** Handlers that were given up before have their grace too. */
  #isAtWork(jobs: number): boolean {
    return jobs > 0 || this.#port.dispatcher.overdue.hasLingering
  }

  #stopStarting(): void {
    const { dispatcher } = this.#port
    dispatcher.isPaused = true
    dispatcher.recall.fromAll()
  }

  /** Step 3. */
  #stop(): void {
    if (this.#step !== 'draining') return
    this.#step = 'stopping'
    this.#stopStarting()
    this.#port.dispatcher.overdue.tellAll(
      'ERR_SIDEWORK_CLOSING',
      'The scheduler is closing and its deadline has passed.',
      longestGraceMs,
    )
    this.#grace = this.#port.agenda.alarm(this.#port.clock.now() + this.#graceMs(), () => this.#leave())
    this.moved()
  }

  #graceMs(): number {
    return Math.min(longestGraceMs, this.#port.dispatcher.overdue.longestKillAfterMs)
  }

  /** Steps 4 and 5. */
  #leave(): void {
    if (this.#step === 'exiting' || this.#step === 'done') return
    this.#step = 'exiting'
    this.#deadline.disarm()
    this.#grace?.disarm()
    this.#stopStarting()
    this.#port.abandonJobs()
    const { agenda, clock, dispatcher } = this.#port
    const leftMs = this.#deadlineAt + overtimeMs - clock.now()
    const waitMs = dispatcher.endsSlowly ? leftMs : Math.min(leftMs, longestExitWaitMs)
    this.#grace = agenda.alarm(clock.now() + Math.max(exitWaitMs, waitMs), () => this.#finish())
    dispatcher.stopThreads(leftMs - exitWaitMs)
    this.moved()
  }

  /** Step 6. */
  #finish(): void {
    if (this.#step === 'done') return
    this.#step = 'done'
    this.#grace?.disarm()
    this.#port.finished()
  }
}
