/**
 * A thread of the virtual world. It speaks the real protocol through real claims on a shared array, and what its
 * handlers do is scripted. What was posted arrives as copies, in order, in a later turn; `drain` delivers at once what
 * has been posted, as with a real port.
 */
import { take } from '../../src/threads/claims.js'
import type { Lane } from '../../src/job/snapshot.js'
import {
  type AbortMessage,
  type Ending,
  type FromThread,
  type Introduction,
  type RunMessage,
  type ToThread,
} from '../../src/threads/protocol.js'
import type { ThreadExit, ThreadListener, ThreadPort } from '../../src/world.js'
import { FakeReports } from './fake-reports.js'
import { readRun } from './read-run.js'
import type { Behaviour, Run, ThreadScript } from './script.js'
import type { VirtualWorld } from './world.js'

/** What a fake thread needs of its simulation. */
export interface FakeThreadPorts {
  readonly world: VirtualWorld
  behave(run: Run): Behaviour
  began(run: Run): void
  ended(run: Run): void
  /** How messages cross. Default: as structured clones. */
  copy?<T>(message: T): T
}

interface Live {
  readonly run: Run
  readonly behaviour: Behaviour
  callOff: (() => void)[]
  isAborted: boolean
}

interface OpenBatch {
  readonly message: RunMessage
  index: number
}

export class FakeThread implements ThreadPort {
  readonly lane: Lane
  readonly number: number
  readonly shared: Int32Array | undefined
  /** Everything the scheduler posted, as it was read. */
  readonly inbox: ToThread[] = []
  /** The tasks it was told of, by number. */
  readonly introduced = new Map<number, Introduction>()
  /** The tasks of a batch's jobs, as they were known when it was read. */
  readonly #tasksOf = new WeakMap<RunMessage, (Introduction | undefined)[]>()
  readonly #ports: FakeThreadPorts
  readonly #reports: FakeReports
  readonly #listener: ThreadListener
  readonly #script: ThreadScript
  readonly #live = new Map<number, Live>()
  /** Tokens that were aborted before they began, or after they ended. */
  readonly #abortedEarly = new Set<number>()
  #unread: ToThread[] = []
  #batches: OpenBatch[] = []
  /** Its loop does not turn. */
  #isSpinning = false
  #stays = false
  #state: 'alive' | 'dying' | 'gone' = 'alive'

  constructor(
    lane: Lane,
    number: number,
    listener: ThreadListener,
    script: ThreadScript,
    ports: FakeThreadPorts,
  ) {
    this.lane = lane
    this.number = number
    this.shared = lane === 'cpu' ? new Int32Array(new SharedArrayBuffer(8)) : undefined
    this.#listener = listener
    this.#script = script
    this.#ports = ports
    this.#reports = new FakeReports(this, ports.world, {
      soon: (task) => void this.#plan(0, task),
      copy: (message) => this.#copy(message),
      hear: (message) => listener.message(message),
    })
    this.#plan(script.startsInMs ?? 0, () => this.#open())
  }

  /** Attempts whose handlers run at this moment. */
  get running(): Run[] {
    return [...this.#live.values()].map(({ run }) => run)
  }

  /** Ids that it was sent, has not taken, and could still take. A cpu thread only. */
  get sentAhead(): string[] {
    const unread = this.#unread.flatMap((one) => (one.kind === 'run' ? [{ message: one, index: 0 }] : []))
    return [...this.#batches, ...unread]
      .filter(({ message }) => isCurrent(this.#cells, message.generation))
      .flatMap(({ message, index }) => this.idsOf(message).slice(index))
  }

  /** The ids of a batch. */
  idsOf(message: RunMessage): string[] {
    return message.seqs.map((_, index) => this.idOf(message, index))
  }

  idOf({ seqs, cells, extras }: RunMessage, index: number): string {
    const own = extras?.find(({ at }) => at === index)?.id
    return own ?? this.#ports.world.ids.of(seqs[index] ?? 0, cells[index] ?? 0)
  }

  /** @throws Error for a task that it was not told of */
  taskAt(message: RunMessage, index: number): Introduction {
    const task = this.#tasksOf.get(message)?.[index]
    if (task === undefined) throw new Error('A job is of a task that the thread was not told of.')
    return task
  }

  /** It was stopped or crashed, and the scheduler may not know yet. */
  get isDying(): boolean {
    return this.#state !== 'alive'
  }

  /** Its loop does not turn. */
  get isSpinning(): boolean {
    return this.#isSpinning
  }

  get isGone(): boolean {
    return this.#state === 'gone'
  }

  post(message: ToThread): void {
    if (this.#state !== 'alive') return
    this.#unread.push(this.#copy(message))
    this.#ports.world.plan(`to:${this.number}`, 0, () => this.#readAll())
  }

  drain(): void {
    this.#reports.drain()
  }

  terminate(): void {
    const exitsInMs = this.#stays ? Infinity : (this.#script.exitsInMs ?? 0)
    if (this.#state === 'alive') this.#exit({ exitCode: 1 }, exitsInMs)
  }

  /** From here on it never exits when it is stopped. */
  stay(): void {
    if (this.lane !== 'main') this.#stays = true
  }

  /** Says something, also something forged. */
  say(message: FromThread): void {
    this.#reports.say(message)
  }

  /** Its loop stops turning: nothing goes on there, nothing is read. */
  freeze(): void {
    this.#isSpinning = true
    for (const live of this.#live.values()) for (const callOff of live.callOff) callOff()
  }

  /** Dies of itself. */
  crash(exit: Partial<ThreadExit> = {}): void {
    if (this.#state === 'alive') this.#exit({ exitCode: 1, ...exit }, 0)
  }

  #open(): void {
    const { startFails, exitsAtStart, tasks = [], tearsDownInMs } = this.#script
    if (startFails !== undefined) this.say({ kind: 'start-failed', error: startFails })
    else if (exitsAtStart !== undefined) this.crash({ exitCode: exitsAtStart })
    else this.say({ kind: 'ready', tasks, ...(tearsDownInMs === undefined ? {} : { hasTeardown: true }) })
  }

  #plan(delayMs: number, task: () => void): () => void {
    if (delayMs === Infinity) return () => undefined
    return this.#ports.world.plan(`thread:${this.number}`, delayMs, () => {
      if (this.#state === 'alive') task()
    })
  }

  #readAll(): void {
    while (this.#state === 'alive' && !this.#isSpinning) {
      const message = this.#unread.shift()
      if (message === undefined) return
      this.inbox.push(message)
      this.#read(message)
    }
  }

  #read(message: ToThread): void {
    switch (message.kind) {
      case 'run':
        return this.#receive(message)
      case 'abort':
        this.#reports.tell({ kind: 'aborted', token: message.token })
        return this.#abort(message)
      case 'ping':
        return this.#reports.tell({ kind: 'pong', memoryBytes: this.#script.memoryBytes ?? 0 })
      case 'deferred':
        return
      case 'close':
        return void this.#plan(this.#script.tearsDownInMs ?? 0, () => this.crash({ exitCode: 0 }))
    }
  }

  #receive(message: RunMessage): void {
    for (const task of message.introduced ?? []) this.introduced.set(task[0], task)
    const { task, tasks = message.seqs.map(() => task) } = message
    this.#tasksOf.set(
      message,
      tasks.map((one) => this.introduced.get(one)),
    )
    if (this.lane === 'cpu') {
      this.#batches.push({ message, index: 0 })
      if (this.#live.size === 0) {
        this.#reports.begin()
        this.#startNext()
      }
    } else message.seqs.forEach((_, index) => this.#beginUnlessAborted(message, index))
  }

  #beginUnlessAborted(message: RunMessage, index: number): void {
    const token = message.tokens?.[index] ?? message.first + index
    const isAborted = this.#unread.some((next) => next.kind === 'abort' && next.token === token)
    if (!isAborted && !this.#abortedEarly.has(token)) return this.#begin(message, index)
    this.#reports.ended(token, { kind: 'interrupted' })
    this.#reports.reportSoon()
  }

  /** Solo: takes jobs one after another until one takes time. */
  #startNext(): void {
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      if (this.#state !== 'alive' || this.#live.size > 0) return
      const { message, index } = batch
      const isOver = index >= message.seqs.length
      if (isOver || !take(this.#cells, message.generation, message.first + index)) {
        this.#batches.shift()
        this.#reports.report()
        continue
      }
      batch.index++
      this.#begin(message, index)
    }
  }

  #begin(message: RunMessage, index: number): void {
    const run = readRun(message, index, this)
    const behaviour = this.#ports.behave(run)
    const live: Live = { run, behaviour, callOff: [], isAborted: false }
    this.#live.set(run.token, live)
    this.#ports.began(run)
    this.#isSpinning = behaviour.spins === true
    for (const { afterMs = 0, ...saying } of behaviour.says ?? []) {
      live.callOff.push(this.#plan(afterMs, () => this.#reports.tell(saying.message(run.token))))
    }
    const { takesMs = 0 } = behaviour
    if (takesMs === 0 && behaviour.says === undefined) this.#finish(live)
    else {
      if (this.lane === 'cpu' && behaviour.spins !== true) this.#reports.reportSoon()
      live.callOff.push(this.#plan(takesMs, () => this.#finish(live)))
    }
  }

  #finish({ run, behaviour }: Live, ending: Ending = behaviour.ends ?? null): void {
    if (behaviour.crashes !== undefined) {
      if (behaviour.isBlamed === true) this.#reports.tell({ kind: 'culprit', token: run.token })
      return this.crash(behaviour.crashes)
    }
    this.#end(run, ending)
  }

  #abort({ token, code, message }: AbortMessage): void {
    const live = this.#live.get(token)
    if (live === undefined) this.#abortedEarly.add(token)
    if (live === undefined || live.isAborted || live.behaviour.ignoresAbort === true) return
    live.isAborted = true
    for (const callOff of live.callOff) callOff()
    const error = { name: 'SideworkError', message, code }
    const { onAbort } = live.behaviour
    if (typeof onAbort === 'function') return this.#end(live.run, onAbort(code))
    this.#end(live.run, onAbort === undefined ? { kind: 'threw', error, permanent: false } : onAbort)
  }

  #end(run: Run, ending: Ending): void {
    this.#live.delete(run.token)
    this.#isSpinning = false
    this.#ports.ended(run)
    this.#reports.ended(run.token, ending)
    if (this.lane === 'cpu') {
      this.#reports.reportIfDue()
      this.#startNext()
    } else this.#reports.reportSoon()
    if (this.#unread.length > 0) this.#readAll()
  }

  #exit(exit: ThreadExit, delayMs: number): void {
    const isSelf = exit.error === undefined && this.#script.exitsInMs === undefined
    if (isSelf && !this.#isSpinning) this.#reports.report() // as `process.on('exit')` does
    this.#state = 'dying'
    if (delayMs === Infinity) return
    this.#ports.world.plan(`exit:${this.number}`, delayMs, () => {
      this.#state = 'gone'
      for (const { run } of this.#live.values()) this.#ports.ended(run)
      this.#live.clear()
      this.drain()
      this.#listener.exited(exit)
    })
  }

  #copy<T>(message: T): T {
    return this.#ports.copy === undefined ? structuredClone(message) : this.#ports.copy(message)
  }

  get #cells(): Int32Array {
    if (this.shared === undefined) throw new Error('a shared lane takes no tokens')
    return this.shared
  }
}

/** Whether jobs of this generation of claims may still be taken; see threads/claims.ts for the word. */
function isCurrent(shared: Int32Array, generation: number): boolean {
  return ((shared[0] ?? 0) >>> 20) % 2 ** 11 === generation % 2 ** 11
}
