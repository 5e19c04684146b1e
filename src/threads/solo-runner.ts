/**
 * The thread's side of the cpu lane: one job at a time, in the order sent. Finished jobs are reported in one message per
 * batch, but never held back for more than about a millisecond of other work: what is done is sent as soon as a
 * millisecond has passed, or when a handler makes the thread wait.
 */
import { AsyncResource, executionAsyncId } from 'node:async_hooks'
import type { TaskDefinition } from '../task/define-task.js'
import type { Attempt, AttemptHost } from './attempt.js'
import { addBusy, take } from './claims.js'
import { isPending } from './execute.js'
import type { Ending, FromThread, RunMessage } from './protocol.js'
import { introduce, OpenBatch, type KnownTasks } from './unpack.js'
import type { WaitWatch } from './wait-watch.js'

const reportEveryMs = 1

export interface RunnerPort {
  readonly send: (message: FromThread) => void
  /** Precise ms. */
  readonly now: () => number
  readonly definitionOf: (task: string) => TaskDefinition | undefined
  readonly host: AttemptHost
  /** A job of the task has ended at `now` (precise ms), and no job is running. */
  readonly ended: (task: string, now: number) => void
  /** Reads the messages that have arrived. */
  readonly readWaiting: () => void
}

export class SoloRunner {
  readonly #port: RunnerPort
  readonly #shared: Int32Array
  readonly #waitWatch: WaitWatch
  readonly #tasks: KnownTasks = new Map()
  #batches: RunMessage[] = []
  #isRunning = false
  #current: Attempt | undefined
  /** Tokens of the finished jobs that were not reported yet are consecutive from here. */
  #firstUnsent = 0
  #unsent: Ending[] = []
  #unsentIsPlain = true
  #reportedAt = 0
  #willReport = false
  /** Number of an asynchronous resource: timers, sockets and callbacks with lower ones are not of the job at work. */
  #mark = 0
  /** A job that did not wait has ended since: what it left behind has higher numbers. */
  #isMarkOld = false
  /** Tasks of which a job waited: before one of them an old mark is renewed, which others need not pay for. */
  readonly #waiting = new Set<string>()
  /** The handler was called and has not returned: nothing else can run meanwhile. */
  #isCalling = false
  /** No job ran here before the one at work. */
  #isFirst = true

  constructor(port: RunnerPort, shared: Int32Array, waitWatch: WaitWatch) {
    this.#port = port
    this.#shared = shared
    this.#waitWatch = waitWatch
  }

  receive(run: RunMessage): void {
    this.#batches.push(run)
    if (!this.#isRunning) void this.#drain()
  }

  abort(token: number, code: string, message: string): void {
    if (this.#current?.token === token) this.#current.abort(code, message)
  }

  /** Token of the execution that the current call is of; undefined for what was begun before the job at work. */
  speaker(): number | undefined {
    return this.#isLeftBehind() ? undefined : this.#current?.token
  }

  /**
   * Token of the execution because of which the thread exits, asked in the context of what ends it; 0 when that was
   * begun before the job at work, by one that left a timer behind, say, or may have been: a promise that rejects bears no
   * number. A handler cannot be followed as on a shared thread, which would cost more than a short job; so what an earlier
   * job's timer sets up meanwhile counts as the job's own.
   * @param isRejection whether a rejection that nobody handled is why
   */
  culprit(isRejection: boolean): number | undefined {
    if (this.#current === undefined) return undefined
    if (isRejection && !this.#isFirst) return 0
    return this.#isLeftBehind() ? 0 : this.#current.token
  }

  /** The current call is of a timer, socket or callback that is older than the job at work. */
  #isLeftBehind(): boolean {
    if (this.#isCalling) return false
    const cause = executionAsyncId()
    return cause > 1 && cause < this.#mark
  }

  /** Reports what is finished: also called when the thread is about to exit. */
  report(): void {
    this.#willReport = false
    const count = this.#unsent.length
    if (count === 0) return
    const now = this.#port.now()
    addBusy(this.#shared, now - this.#reportedAt)
    this.#reportedAt = now
    if (this.#unsentIsPlain) this.#port.send(count)
    else {
      const tokens = this.#unsent.map((_, index) => this.#firstUnsent + index)
      this.#port.send({ kind: 'ended', tokens, endings: this.#unsent })
    }
    this.#unsent = []
    this.#unsentIsPlain = true
  }

  async #drain(): Promise<void> {
    this.#isRunning = true
    this.#reportedAt = this.#port.now()
    for (let run = this.#batches.shift(); run !== undefined; run = this.#batches.shift()) {
      await this.#runBatch(run)
      this.report()
    }
    this.#isRunning = false
  }

  async #runBatch(run: RunMessage): Promise<void> {
    const { first, generation } = run
    this.#setMark()
    // The first is taken before payloads are parsed: where there is no memory for that, the thread ends because of a job.
    if (!take(this.#shared, generation, first)) return introduce(run, this.#tasks)
    const batch = new OpenBatch(run, this.#tasks)
    for (let index = 0; index < batch.size; index++) {
      if (index > 0 && !take(this.#shared, generation, first + index)) return // recalled, and so are all that follow
      const attempt = batch.attemptAt(index, this.#port.host)
      this.#current = attempt
      if (this.#isMarkOld && this.#waiting.has(attempt.task)) this.#setMark()
      this.#isCalling = true
      let ending = batch.execute(index, attempt, this.#port.definitionOf)
      this.#isCalling = false
      if (isPending(ending)) {
        this.#waits(attempt.task)
        this.#reportSoon()
        this.#waitWatch.waits(attempt.task)
        ending = await ending
        this.#waitWatch.ended(attempt.task)
        this.#setMark() // only what waits lets others' timers run
      } else this.#isMarkOld = true
      this.#keep(first + index, ending)
      const now = this.#port.now()
      this.#port.ended(attempt.task, now)
      if (now - this.#reportedAt > reportEveryMs) this.report()
    }
  }

  /** Nobody knew that it would: this once, what it has begun itself counts as left behind too, which charges nobody. */
  #waits(task: string): void {
    if (this.#waiting.has(task)) return
    this.#waiting.add(task)
    if (this.#isMarkOld) this.#setMark()
  }

  #setMark(): void {
    this.#mark = new AsyncResource('sidework').asyncId()
    this.#isMarkOld = false
  }

  #keep(token: number, ending: Ending): void {
    this.#current = undefined
    this.#isFirst = false
    if (this.#unsent.length === 0) this.#firstUnsent = token
    this.#unsent.push(ending)
    if (ending !== null) this.#unsentIsPlain = false
  }

  /** A handler that really waits lets the loop turn: then what is finished must not wait with it. */
  #reportSoon(): void {
    if (this.#willReport || this.#unsent.length === 0) return
    this.#willReport = true
    setImmediate(() => this.report())
  }
}
