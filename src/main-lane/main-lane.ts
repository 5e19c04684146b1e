/**
 * The lane on the main thread. To the dispatcher it is a thread like any other: it gets batches and reports how
 * executions ended. Requests come first: per turn of the event loop it works for at most a budget, and it starts nothing
 * while turns take long.
 *
 *      next turn ─▶ [ most urgent: a handler that yielded, else a job that waits ] ─▶ … budget spent ─▶ next turn
 *                      ▲ nothing is left: what promises have to do is done, which frees places for more ─┘
 *
 * A handler that yielded goes on before jobs of its priority that have not started, and after more urgent ones.
 */
import { ClosedError } from '../errors.js'
import { JobIds } from '../job/job-ids.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import type { TaskDefinition } from '../task/define-task.js'
import type { Attempt } from '../threads/attempt.js'
import { isPending } from '../threads/execute.js'
import type { AbortMessage, Ending, FromThread, RunMessage, ToThread } from '../threads/protocol.js'
import { refusalOf } from '../threads/refusal.js'
import { ThreadHost } from '../threads/thread-host.js'
import { OpenBatch, type KnownTasks } from '../threads/unpack.js'
import type { BlockageWatch } from './blockage.js'
import { Turn, type MainLanePace } from './turn.js'
import type { ThreadListener, ThreadPort } from '../world.js'

interface Context {
  run<T>(task: () => T): T
}

/** What the main lane needs of the scheduler it lives in. */
export interface MainLanePorts {
  /** See job-ids.ts. */
  readonly idKey: Uint8Array
  /** Of what handlers defer. */
  readonly payloadLimits: PayloadLimits
  /** Whether tasks are sensitive that do not say. */
  readonly sensitiveByDefault: boolean
  /** Handler of the job in a cell, or undefined when its task is unknown. */
  definitionOf(task: string, cell: number): TaskDefinition | undefined
  /** The `AsyncLocalStorage` context in which the job in a cell was deferred. */
  contextOf(cell: number): Context | undefined
  /** Runs in a later turn of the loop, after pending I/O. */
  readonly nextTurn: (task: () => void) => void
  readonly soon: (task: () => void) => void
  /** Runs when everything that promises have to do at this moment is done. */
  readonly afterMicrotasks: (task: () => void) => void
  /** Precise ms. */
  readonly now: () => number
  readonly after: (delayMs: number, task: () => void) => () => void
  /** Notices handlers that hold the main thread. */
  readonly blockage?: Pick<BlockageWatch, 'begin' | 'letGo' | 'close'>
}

/** Something to be done, in the order of `priority`. */
interface Urgent {
  readonly priority: number
}

interface Waiting extends Urgent {
  readonly batch: OpenBatch
  readonly index: number
}

interface Running {
  readonly attempt: Attempt
  readonly priority: number
  /** Until it was aborted. */
  context: Context | undefined
}

interface Yielded extends Urgent {
  readonly task: string
  goOn(): void
  /** There are no more turns. */
  giveUp(): void
}

export class MainLane implements ThreadPort {
  readonly shared = undefined
  readonly #ports: MainLanePorts
  readonly #listener: ThreadListener
  readonly #host: ThreadHost
  readonly #tasks: KnownTasks = new Map()
  readonly #attempts = new Map<number, Running>()
  /** Jobs whose handlers have not started; most urgent first. */
  #waiting: Waiting[] = []
  /** Handlers that yielded, to go on in the next turn; most urgent first. */
  #yielded: Yielded[] = []
  /** Those that go on in this turn. */
  #goingOn: Yielded[] = []
  readonly #turn: Turn
  #tokens: number[] = []
  #endings: Ending[] = []
  #isPumping = false
  #isClosed = false

  constructor(ports: MainLanePorts, pace: MainLanePace, listener: ThreadListener) {
    this.#ports = ports
    this.#turn = new Turn(pace)
    this.#listener = listener
    const send = (message: FromThread): void => this.#send(message)
    const { idKey, payloadLimits, sensitiveByDefault, after, now } = ports
    const yieldNow = (token: number): Promise<void> => this.#yieldNow(token)
    const hostPorts = { yieldNow, after, now }
    this.#host = new ThreadHost(send, new JobIds(idKey), payloadLimits, hostPorts, sensitiveByDefault)
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
    const late = [...this.#goingOn, ...this.#yielded]
    this.#goingOn = []
    this.#yielded = []
    for (const one of late) one.giveUp()
    const gone = (): void => this.#ports.soon(() => this.#listener.exited({ exitCode: 0 }))
    if (this.#ports.blockage === undefined) gone()
    else this.#ports.blockage.close(gone)
  }

  /** A handler that has not started does not start any more. */
  #abort({ token, code, message }: AbortMessage): void {
    const waiting = this.#waiting.findIndex(({ batch, index }) => batch.tokenAt(index) === token)
    if (waiting < 0) return this.#abortRunning(token, code, message)
    this.#waiting.splice(waiting, 1)
    this.#keep(token, { kind: 'interrupted' })
  }

  /** In the context of its job, not in that of whoever cancels it. */
  #abortRunning(token: number, code: string, message: string): void {
    const running = this.#attempts.get(token)
    if (running === undefined) return
    const { attempt, context } = running
    running.context = undefined // a handler may mind nothing, and never end
    inside(context, () => attempt.abort(code, message))
  }

  #yieldNow(token: number): Promise<void> {
    const { attempt, priority } = this.#attempts.get(token) ?? { attempt: undefined, priority: 0 } // has ended: goes on last
    const task = attempt?.task ?? ''
    const turn = new Promise<void>((goOn, refuse) => {
      const giveUp = (): void => refuse(new ClosedError())
      if (this.#isClosed) return giveUp()
      insert(this.#yielded, { priority, task, goOn, giveUp })
      this.#wake()
    })
    turn.catch(() => undefined) // a handler need not await it
    return turn
  }

  #receive(run: RunMessage): void {
    const batch = new OpenBatch(run, this.#tasks)
    if (this.#waiting.length === 0) this.#turn.waitsSince(this.#ports.now())
    for (let index = 0; index < batch.size; index++) {
      insert(this.#waiting, { batch, index, priority: batch.priorityAt(index) })
    }
    this.#wake()
  }

  #wake(): void {
    if (this.#isPumping || this.#isClosed) return
    this.#isPumping = true
    this.#turn.ask(this.#ports.now())
    this.#ports.nextTurn(() => this.#takeTurn())
  }

  #takeTurn(): void {
    this.#turn.begin(this.#ports.now())
    this.#goingOn = this.#yielded
    this.#yielded = []
    this.#work()
  }

  /** The most urgent thing, again and again until the budget is spent. */
  #work(): void {
    let hasStarted = false
    while (!this.#isClosed) {
      const now = this.#ports.now()
      const [goingOn] = this.#goingOn
      const next = this.#mayStart(now) ? this.#waiting[0] : undefined
      const isNextFirst =
        next !== undefined && (this.#turn.isOwed(now) || next.priority > (goingOn?.priority ?? -1))
      if (isNextFirst) {
        this.#waiting.shift()
        this.#turn.waitsSince(now)
        hasStarted = true
        this.#start(next.batch, next.index)
      } else if (goingOn !== undefined && !this.#turn.isSpent(now)) {
        this.#goingOn.shift()
        this.#ports.blockage?.begin(goingOn.task)
        goingOn.goOn()
        // What it does now counts too.
        return this.#ports.afterMicrotasks(() => {
          this.#ports.blockage?.letGo()
          this.#work()
        })
      } else break
    }
    for (const late of this.#goingOn.reverse()) insertFirst(this.#yielded, late)
    this.#goingOn = []
    if (!hasStarted || !this.#turn.hasTime(this.#ports.now())) return this.#endTurn()
    // What ends by then is reported, and frees places: their next jobs still belong to this turn.
    this.#ports.afterMicrotasks(() => {
      // Who yielded meanwhile goes on in the next turn, before its equals.
      if (this.#yielded.length === 0 && this.#mayStart(this.#ports.now())) this.#work()
      else this.#endTurn()
    })
  }

  #endTurn(): void {
    this.#isPumping = false
    if (this.#waiting.length > 0 || this.#yielded.length > 0) this.#wake()
  }

  #mayStart(now: number): boolean {
    return this.#waiting.length > 0 && (this.#turn.isOwed(now) || this.#turn.hasTime(now))
  }

  #start(batch: OpenBatch, index: number): void {
    const attempt = batch.attemptAt(index, this.#host)
    const cell = batch.cellAt(index)
    const context = this.#ports.contextOf(cell)
    this.#attempts.set(attempt.token, { attempt, priority: batch.priorityAt(index), context })
    this.#ports.blockage?.begin(attempt.task)
    const execute = () => batch.execute(index, attempt, (task) => this.#ports.definitionOf(task, cell))
    const ending = inside(context, execute)
    this.#ports.blockage?.letGo()
    if (isPending(ending)) void ending.then((late) => this.#keep(attempt.token, late))
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
    // A handler that was given up goes on, and waits for the answer.
    else if (typeof message === 'object' && 'call' in message)
      this.#host.answer({ kind: 'deferred', call: message.call, error: refusalOf(new ClosedError()) })
  }
}

function inside<T>(context: Context | undefined, task: () => T): T {
  return context === undefined ? task() : context.run(task)
}

/** Behind those of its priority. */
function insert<T extends Urgent>(list: T[], one: T): void {
  let at = list.length
  while (at > 0 && (list[at - 1]?.priority ?? 0) < one.priority) at--
  list.splice(at, 0, one)
}

/** Before those of its priority. */
function insertFirst<T extends Urgent>(list: T[], one: T): void {
  const at = list.findIndex(({ priority }) => priority <= one.priority)
  list.splice(at < 0 ? list.length : at, 0, one)
}
