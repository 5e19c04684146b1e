/**
 * The side of a shared lane that runs jobs: all jobs of a batch start at once, and end in any order. What ended in one
 * turn of the loop is reported in one message.
 *
 * Each handler runs in a context of its own that follows it through timers, promises and callbacks. When something
 * ends the thread, the context it happened in names the culprit.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Attempt } from './attempt.js'
import { isPending } from './execute.js'
import type { Ending, RunMessage } from './protocol.js'
import type { RunnerPort } from './solo-runner.js'
import { OpenBatch, type KnownTasks } from './unpack.js'

export class SharedRunner {
  readonly #port: RunnerPort
  readonly #tasks: KnownTasks = new Map()
  readonly #attempts = new Map<number, Attempt>()
  readonly #context = new AsyncLocalStorage<Attempt>()
  /** Read, but not begun. */
  readonly #waiting: { batch: OpenBatch; index: number }[] = []
  #isStarting = false
  #tokens: number[] = []
  #endings: Ending[] = []

  constructor(port: RunnerPort) {
    this.#port = port
  }

  receive(run: RunMessage): void {
    const batch = new OpenBatch(run, this.#tasks)
    for (let index = 0; index < batch.size; index++) this.#waiting.push({ batch, index })
    if (this.#isStarting) return
    this.#isStarting = true
    for (let next = this.#next(); next !== undefined; next = this.#next()) this.#start(next.batch, next.index)
    this.#isStarting = false
  }

  /** A handler that has not begun does not begin any more. */
  abort(token: number, code: string, message: string): void {
    const waiting = this.#waiting.findIndex(({ batch, index }) => batch.tokenAt(index) === token)
    if (waiting < 0) return this.#abortRunning(token, code, message)
    this.#waiting.splice(waiting, 1)
    this.#keep(token, { kind: 'interrupted' })
  }

  /** In its context: what its listeners do is its own doing. */
  #abortRunning(token: number, code: string, message: string): void {
    const attempt = this.#attempts.get(token)
    if (attempt !== undefined) this.#context.run(attempt, () => attempt.abort(code, message))
  }

  /** Reports what ended. */
  report(): void {
    if (this.#tokens.length === 0) return
    this.#port.send({ kind: 'ended', tokens: this.#tokens, endings: this.#endings })
    this.#tokens = []
    this.#endings = []
  }

  /** Token of the execution in whose context the current call is, also of one that has ended. */
  speaker(): number | undefined {
    return this.#context.getStore()?.token
  }

  /** Token of the execution because of which the thread exits, asked in the context of what ends it. */
  culprit(): number | undefined {
    return this.speaker()
  }

  /** A handler may have held the loop meanwhile, so whoever is next may have been cancelled. */
  #next(): { batch: OpenBatch; index: number } | undefined {
    this.#port.readWaiting()
    return this.#waiting.shift()
  }

  #start(batch: OpenBatch, index: number): void {
    const attempt = batch.attemptAt(index, this.#port.host)
    this.#attempts.set(attempt.token, attempt)
    const ending = this.#context.run(attempt, () => batch.execute(index, attempt, this.#port.definitionOf))
    if (isPending(ending)) void ending.then((late) => this.#end(attempt, late))
    else this.#end(attempt, ending)
  }

  #end(attempt: Attempt, ending: Ending): void {
    this.#keep(attempt.token, ending)
    if (this.#attempts.size === 0) this.#port.ended(attempt.task, this.#port.now())
  }

  #keep(token: number, ending: Ending): void {
    this.#attempts.delete(token)
    if (this.#tokens.length === 0) setImmediate(() => this.report())
    this.#tokens.push(token)
    this.#endings.push(ending)
  }
}
