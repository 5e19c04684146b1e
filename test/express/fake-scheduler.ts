/**
 * A small scheduler for the HTTP room's tests: runs handlers on the main thread, one after the other turn, retries at
 * once, refuses like the real one. `makeScheduler` is the only thing tests use, so any scheduler can take its place.
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { ClosedError, PayloadError, QueueFullError } from '../../src/errors.js'
import type { DeferPort, DeferArguments } from '../../src/express/port.js'
import { isSettled, type JobState } from '../../src/job/lifecycle.js'
import type { JobSnapshot, RequestContext } from '../../src/job/snapshot.js'
import type { CloseReport, Job, Scheduler } from '../../src/scheduler.js'
import type { TaskContext } from '../../src/task/context.js'
import type { TaskDefinition } from '../../src/task/define-task.js'
import type { DeferOptions } from '../../src/task/defer-options.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
interface Entry {
  readonly snapshot: Mutable<JobSnapshot>
  readonly run: (payload: unknown, context: TaskContext) => unknown
  readonly isSensitive: boolean
}

export interface MakeOptions {
  maxQueued?: number
  /** Settled jobs kept. */
  keep?: number
}

/** The scheduler under which all tests of this room run. */
export function makeScheduler(options: MakeOptions = {}): Scheduler & DeferPort {
  return new FakeScheduler(options) as unknown as Scheduler & DeferPort
}

class FakeScheduler implements DeferPort {
  readonly #emitter = new EventEmitter()
  readonly #entries = new Map<string, Entry>()
  readonly #options: MakeOptions
  #closing: Promise<CloseReport> | undefined
  #isClosed = false
  #whenDrained: (() => void) | undefined

  constructor(options: MakeOptions) {
    this.#options = options
  }

  get isClosing() {
    return this.#closing !== undefined
  }

  on(name: string, listener: (event: unknown) => void) {
    this.#emitter.on(name, listener)
    return this
  }

  off(name: string, listener: (event: unknown) => void) {
    this.#emitter.off(name, listener)
    return this
  }

  defer(...args: DeferArguments): Job {
    if (this.isClosing) throw new ClosedError()
    return this.#accept(undefined, args)
  }

  deferWithRequest(request: RequestContext | undefined, ...args: DeferArguments): Job {
    if (this.#isClosed) throw new ClosedError()
    return this.#accept(request, args)
  }

  isSensitive(id: string) {
    return this.#entries.get(id)?.isSensitive ?? true
  }

  job(id: string): JobSnapshot | undefined {
    const entry = this.#entries.get(id)
    return entry && Object.freeze({ ...entry.snapshot })
  }

  cancel(id: string, reason = 'cancelled') {
    const entry = this.#entries.get(id)
    if (!entry || isSettled(entry.snapshot.state)) return false
    this.#move(entry, 'cancelled', { error: { name: 'JobError', message: reason } })
    return true
  }

  async close({ timeout = 25_000 }: { timeout?: number } = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(timeout)
    return this.#closing
  }

  /** Drains, cancels what is left at the deadline. */
  async #close(timeoutMs: number): Promise<CloseReport> {
    this.#emit('closing', { at: Date.now() })
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
      this.#whenDrained = () => this.#unsettled().length === 0 && resolve()
      this.#whenDrained()
    })
    clearTimeout(timer)
    const lost = this.#unsettled()
    const settled = { completed: 0, failed: 0, cancelled: lost.length, expired: 0 }
    const report = { settled, lost: lost.map(({ snapshot }) => ({ ...snapshot })) }
    this.#isClosed = true
    for (const { snapshot } of lost) this.cancel(snapshot.id, 'closed')
    this.#emit('closed', { at: Date.now(), lost: lost.length })
    return report
  }

  #unsettled() {
    return [...this.#entries.values()].filter(({ snapshot }) => !isSettled(snapshot.state))
  }

  #accept(request: RequestContext | undefined, [task, ...rest]: DeferArguments): Job {
    const isInline = typeof task === 'function'
    const [payload, options = {}] = isInline ? [undefined, rest[0] as DeferOptions | undefined] : rest
    if (this.#unsettled().length >= (this.#options.maxQueued ?? Infinity))
      throw new QueueFullError('Queue is full.', 1500)
    if (typeof payload === 'bigint') throw new PayloadError('payload is a bigint', 'payload')
    const definition = isInline || typeof task === 'string' ? undefined : (task as unknown as TaskDefinition)
    const now = Date.now()
    const snapshot: Mutable<JobSnapshot> = {
      id: options.id ?? randomUUID(), task: isInline ? '(inline)' : (definition?.name ?? String(task)),
      lane: 'main', state: 'ready', priority: 5, attempt: 0,
      maxAttempts: options.attempts ?? definition?.options.attempts ?? 5,
      payload: structuredClone(payload), errors: [], acceptedAt: now, runAt: now, generation: 1,
      ...(request && { request }),
    } // prettier-ignore
    const run = isInline
      ? (_: unknown, context: TaskContext) => task(context)
      : (definition?.run ?? (() => undefined))
    const entry = { snapshot, run, isSensitive: definition?.options.sensitive ?? false }
    this.#entries.set(snapshot.id, entry)
    this.#emit('accepted', this.#event(entry))
    setImmediate(() => void this.#attempt(entry))
    return this.#handle(entry)
  }

  #handle(entry: Entry): Job {
    const { snapshot } = entry
    return {
      id: snapshot.id,
      task: snapshot.task,
      deduplicated: false,
      get state() {
        return snapshot.state
      },
      result: () => Promise.reject(new Error('not in this fake')),
      cancel: (reason) => this.cancel(snapshot.id, reason),
      snapshot: () => ({ ...snapshot }),
    }
  }

  async #attempt(entry: Entry): Promise<void> {
    const { snapshot } = entry
    const stateOf = (): JobState => snapshot.state // widened: it changes while the handler runs
    if (stateOf() !== 'ready') return
    snapshot.attempt++
    this.#move(entry, 'running', { startedAt: Date.now() })
    const attempt = snapshot.attempt
    try {
      const result = await entry.run(snapshot.payload, this.#context(entry))
      if (stateOf() === 'running') this.#move(entry, 'completed', { result, durationMs: 0 })
    } catch (thrown) {
      const { name, message, stack } = thrown as Error
      const error = { name, message, stack: stack ?? '' }
      if (stateOf() !== 'running') return
      if (attempt >= snapshot.maxAttempts) return this.#move(entry, 'failed', { error })
      this.#move(entry, 'retrying', { error })
      setImmediate(() => {
        if (snapshot.state !== 'retrying') return
        snapshot.state = 'ready'
        void this.#attempt(entry)
      })
    }
  }

  #context(entry: Entry): TaskContext {
    const progress: TaskContext['progress'] = (value) => {
      if (entry.snapshot.state !== 'running') return
      entry.snapshot.progress = value
      this.#emit('progress', { ...this.#event(entry), value })
    }
    return { id: entry.snapshot.id, progress, request: entry.snapshot.request } as TaskContext
  }

  #move(entry: Entry, state: JobState, change: object) {
    Object.assign(entry.snapshot, change, { state })
    if (isSettled(state)) entry.snapshot.settledAt = Date.now()
    const name = state === 'running' ? 'started' : state
    this.#emit(name, { ...this.#event(entry), ...change })
    const settled = [...this.#entries.values()].filter(({ snapshot }) => isSettled(snapshot.state))
    while (settled.length > (this.#options.keep ?? Infinity)) {
      const oldest = settled.shift()
      if (oldest) this.#entries.delete(oldest.snapshot.id)
    }
    this.#whenDrained?.()
  }

  #event({ snapshot }: Entry) {
    return { id: snapshot.id, task: snapshot.task, attempt: snapshot.attempt, at: Date.now() }
  }

  /** After the call that caused it, in order. */
  #emit(name: string, event: object) {
    queueMicrotask(() => this.#emitter.emit(name, event))
  }
}
