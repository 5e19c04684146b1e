/**
 * The side of a shared lane that runs jobs: all jobs of a batch start at once, and end in any order. What ended in one
 * turn of the loop is reported in one message.
 */
import type { Attempt } from './attempt.js'
import type { Ending, RunMessage } from './protocol.js'
import type { RunnerPort } from './solo-runner.js'
import { OpenBatch } from './unpack.js'

export class SharedRunner {
  readonly #port: RunnerPort
  readonly #attempts = new Map<number, Attempt>()
  #tokens: number[] = []
  #endings: Ending[] = []

  constructor(port: RunnerPort) {
    this.#port = port
  }

  receive(run: RunMessage): void {
    const batch = new OpenBatch(run)
    for (let index = 0; index < batch.size; index++) this.#start(batch, index)
  }

  abort(token: number, code: string, message: string): void {
    this.#attempts.get(token)?.abort(code, message)
  }

  /** Reports what ended. */
  report(): void {
    if (this.#tokens.length === 0) return
    this.#port.send({ kind: 'ended', tokens: this.#tokens, endings: this.#endings })
    this.#tokens = []
    this.#endings = []
  }

  #start(batch: OpenBatch, index: number): void {
    const attempt = batch.attemptAt(index, this.#port.host)
    this.#attempts.set(attempt.token, attempt)
    const ending = batch.execute(index, attempt, this.#port.definitionOf)
    if (ending instanceof Promise) void ending.then((late) => this.#keep(attempt.token, late))
    else this.#keep(attempt.token, ending)
  }

  #keep(token: number, ending: Ending): void {
    this.#attempts.delete(token)
    if (this.#tokens.length === 0) setImmediate(() => this.report())
    this.#tokens.push(token)
    this.#endings.push(ending)
  }
}
