/**
 * The lane on the main thread. To the dispatcher it is a thread like any other: it gets batches and reports how
 * executions ended. It works at most `budgetMs` per turn of the event loop, so requests are answered between slices.
 */
import { JobIds } from '../job/job-ids.js'
import type { TaskDefinition } from '../task/define-task.js'
import type { Attempt } from '../threads/attempt.js'
import type { AbortMessage, Ending, FromThread, RunMessage, ToThread } from '../threads/protocol.js'
import { ThreadHost } from '../threads/thread-host.js'
import { OpenBatch } from '../threads/unpack.js'
import type { ThreadListener, ThreadPort } from '../world.js'

/** What the main lane needs of the scheduler it lives in. */
export interface MainLanePorts {
  /** See job-ids.ts. */
  readonly idKey: Uint8Array
  /** Handler of the job in a cell, or undefined when its task is unknown. */
  definitionOf(task: string, cell: number): TaskDefinition | undefined
  /** Runs in a later turn of the loop, after pending I/O. */
  readonly nextTurn: (task: () => void) => void
  readonly soon: (task: () => void) => void
  /** Precise ms. */
  readonly now: () => number
  readonly after: (delayMs: number, task: () => void) => () => void
}

export class MainLane implements ThreadPort {
  readonly shared = undefined
  readonly #ports: MainLanePorts
  readonly #budgetMs: number
  readonly #listener: ThreadListener
  readonly #host: ThreadHost
  readonly #attempts = new Map<number, Attempt>()
  /** Handlers that yielded: they go on before anything new starts. */
  #resumes: (() => void)[] = []
  #waiting: { batch: OpenBatch; index: number }[] = []
  #tokens: number[] = []
  #endings: Ending[] = []
  #isPumping = false
  #isClosed = false

  constructor(ports: MainLanePorts, budgetMs: number, listener: ThreadListener) {
    this.#ports = ports
    this.#budgetMs = budgetMs
    this.#listener = listener
    this.#host = new ThreadHost((message) => this.#send(message), new JobIds(ports.idKey), {
      yieldNow: () => this.#yieldNow(),
      after: ports.after,
      now: ports.now,
    })
    ports.soon(() => this.#send({ kind: 'ready', tasks: [] }))
  }

  post(message: ToThread): void {
    switch (message.kind) {
      case 'run':
        return this.#receive(message)
      case 'abort':
        return this.#abort(message)
      case 'deferred':
        return this.#host.answer(message)
      case 'ping':
        return this.#send({ kind: 'pong', memoryBytes: 0 })
      case 'close':
        return this.terminate()
    }
  }

  drain(): void {
    this.#report()
  }

  terminate(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting = []
    this.#ports.soon(() => this.#listener.exited({ exitCode: 0 }))
  }

  /** A handler that has not started does not start any more. */
  #abort({ token, code, message }: AbortMessage): void {
    const waiting = this.#waiting.findIndex(({ batch, index }) => batch.tokenAt(index) === token)
    if (waiting < 0) return this.#attempts.get(token)?.abort(code, message)
    this.#waiting.splice(waiting, 1)
    this.#keep(token, { kind: 'interrupted' })
  }

  #yieldNow(): Promise<void> {
    return new Promise((resolve) => {
      this.#resumes.push(resolve)
      this.#wake()
    })
  }

  #receive(run: RunMessage): void {
    const batch = new OpenBatch(run)
    for (let index = 0; index < batch.size; index++) this.#waiting.push({ batch, index })
    this.#wake()
  }

  #wake(): void {
    if (this.#isPumping || this.#isClosed) return
    this.#isPumping = true
    this.#ports.nextTurn(() => this.#pump())
  }

  /** One slice: what yielded goes on, then new jobs start, until the budget is spent. */
  #pump(): void {
    const start = this.#ports.now()
    const resumes = this.#resumes
    this.#resumes = []
    for (const resume of resumes) resume()
    while (this.#waiting.length > 0 && this.#ports.now() - start < this.#budgetMs) {
      const next = this.#waiting.shift() // at most as many as the lane has places
      if (next !== undefined) this.#start(next.batch, next.index)
    }
    this.#isPumping = false
    if (this.#waiting.length > 0 || this.#resumes.length > 0) this.#wake()
  }

  #start(batch: OpenBatch, index: number): void {
    const attempt = batch.attemptAt(index, this.#host)
    this.#attempts.set(attempt.token, attempt)
    const ending = batch.execute(index, attempt, (task) =>
      this.#ports.definitionOf(task, batch.cellAt(index)),
    )
    if (ending instanceof Promise) void ending.then((late) => this.#keep(attempt.token, late))
    else this.#keep(attempt.token, ending)
  }

  #keep(token: number, ending: Ending): void {
    this.#attempts.delete(token)
    if (this.#tokens.length === 0) this.#ports.soon(() => this.#report())
    this.#tokens.push(token)
    this.#endings.push(ending)
  }

  #report(): void {
    if (this.#tokens.length === 0) return
    const message: FromThread = { kind: 'ended', tokens: this.#tokens, endings: this.#endings }
    this.#tokens = []
    this.#endings = []
    this.#send(message)
  }

  #send(message: FromThread): void {
    if (!this.#isClosed) this.#listener.message(message)
  }
}
