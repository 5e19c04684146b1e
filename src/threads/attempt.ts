/**
 * One attempt as its handler sees it: the context, made cheaply (a no-op handler touches none of it), and how the
 * handler's end becomes data.
 */
import { fromLineOf, OptionError, SideworkError } from '../errors.js'
import type { FlowKind, Handed } from '../job/flow-step.js'
import { encodePayload, type EncodedPayload } from '../job/payload.js'
import { progressLimits } from '../job/payload-limits.js'
import type { Progress, RequestContext, ScheduleContext } from '../job/snapshot.js'
import type { DeferredChild, DeferredFlow, StepResults, TaskContext, TaskLog } from '../task/context.js'
import { planBatch, planChain, planFlow, tasksOf, type FlowPlan } from '../task/flow-plan.js'
import type { DeferOptions } from '../task/defer-options.js'
import { taskNameOf } from '../task/task-name.js'
import { countOf } from '../task/trace-channels.js'
import { durationMs, key, show } from '../options.js'
import { BoundedLog } from './bounded-log.js'
import { LimitPauses } from './limit-pauses.js'
import { openResults, resultOf } from './open-results.js'
import type { LogMessage } from './protocol.js'

/** A defer that was refused before it left its handler. */
export interface RefusedDefer {
  /** As on the tracing channel. */
  readonly task: string
  readonly count: number
  /** Its tasks as they were given; undefined where they cannot be read. */
  readonly of: readonly unknown[] | undefined
  /** Whatever was thrown. */
  readonly error: unknown
}

/** What an attempt needs of the thread (or main lane) it runs in. */
export interface AttemptHost {
  /** The id of the job with this acceptance number and cell. */
  idOf(seq: number, cell: number): string
  progress(token: number, value: EncodedPayload): void
  heartbeat(token: number): void
  log(token: number, level: LogMessage['level'], fieldsOrMessage: object | string, message?: string): void
  /** @param task a task or its name, if it is one */
  defer(
    token: number,
    task: unknown,
    payload: unknown,
    options: DeferOptions | undefined,
  ): Promise<DeferredChild>
  /** Rejects with the error, and tells that the defer was refused. */
  refuse(token: number, refused: RefusedDefer): Promise<never>
  /** The plan with its payloads as they are. */
  deferFlow(token: number, plan: FlowPlan): Promise<DeferredFlow>
  yieldNow(token: number): Promise<void>
  pauseLimit(token: number, name: string, delayMs: number): void
  /** Runs `task` after `delayMs`; returns what calls it off. */
  after(delayMs: number, task: () => void): () => void
  /** Precise ms, for coalescing. */
  now(): number
}

/** Heartbeats are told at most every so many ms per job. */
const heartbeatEveryMs = 10

/** Progress is told at most every so many ms per job. */
const progressEveryMs = 100

export class Attempt implements TaskContext {
  readonly task: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly request: RequestContext | undefined
  readonly schedule: ScheduleContext | undefined
  readonly #token: number
  readonly #host: AttemptHost
  readonly #handed: Handed | undefined
  #results: StepResults | undefined
  #log: BoundedLog | undefined
  readonly #seq: number
  readonly #cell: number
  #id: string | undefined
  #controller: AbortController | undefined
  #abortReason: SideworkError | undefined
  #progressAt = -Infinity
  #pendingProgress: EncodedPayload
  #stopTimer: (() => void) | undefined
  #beatAt = -Infinity
  #stopBeat: (() => void) | undefined
  #pauses: LimitPauses | undefined
  #hasEnded = false

  constructor(
    host: AttemptHost,
    token: number,
    seq: number,
    cell: number,
    ownId: string | undefined,
    task: string,
    attempt: number,
    maxAttempts: number,
    request: RequestContext | undefined,
    schedule: ScheduleContext | undefined,
    handed?: Handed,
  ) {
    this.#host = host
    this.#handed = handed
    this.#token = token
    this.#seq = seq
    this.#cell = cell
    this.#id = ownId
    this.task = task
    this.attempt = attempt
    this.maxAttempts = maxAttempts
    this.request = request
    this.schedule = schedule
  }

  /** Tells executions apart. A getter, so that a context shown as text is without it. */
  get token(): number {
    return this.#token
  }

  get id(): string {
    return (this.#id ??= this.#host.idOf(this.#seq, this.#cell))
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason)
    return this.#controller.signal
  }

  get log(): TaskLog {
    return (this.#log ??= new BoundedLog(
      (level, fields, message) => {
        if (!this.#hasEnded) this.#host.log(this.#token, level, fields, message)
      },
      () => this.#host.now(),
    ))
  }

  get progress(): (value: Progress) => void {
    return (value) => this.#report(value)
  }

  get heartbeat(): () => void {
    return () => this.#beat()
  }

  get pauseLimit(): TaskContext['pauseLimit'] {
    return (name, delay) => {
      const delayMs = durationMs('pauseLimit delay', delay, { zero: true })
      const limit = key('pauseLimit name', name)
      if (!this.#hasEnded) this.#limitPauses.pause(limit, delayMs)
    }
  }

  get yieldNow(): () => Promise<void> {
    return () => this.#host.yieldNow(this.#token)
  }

  get defer(): TaskContext['defer'] {
    const defer = (task: unknown, payload?: unknown, options?: DeferOptions): Promise<DeferredChild> => {
      const now = (): Promise<DeferredChild> => this.#host.defer(this.#token, task, payload, options)
      return this.#rejecting(defer, () => ({ task: taskNameOf(task), count: 1, of: [task] }), now)
    }
    const flow = (steps: unknown, options?: unknown): Promise<never> =>
      this.#deferFlow(flow, 'flow', () => planFlow(steps, options))
    const chain = (steps: unknown, options?: unknown): Promise<never> =>
      this.#deferFlow(chain, 'chain', () => planChain(steps, options))
    const batch = (task: unknown, payloads: unknown, options?: unknown): Promise<never> =>
      this.#deferFlow(batch, 'batch', () => planBatch(task, payloads, options))
    return Object.assign(defer, { flow, chain, batch })
  }

  get results(): StepResults {
    return (this.#results ??= openResults(this.#handed))
  }

  get result(): TaskContext['result'] {
    return (task: { readonly name: string } | string, ref?: string) =>
      resultOf(this.#handed, task, ref) as never // of the task that was asked for, hence of its type
  }

  /** Why its signal was aborted, if it was. */
  get abortReason(): SideworkError | undefined {
    return this.#abortReason
  }

  /** Aborts the handler's signal. */
  abort(code: string, message: string): void {
    this.#abortReason = new SideworkError(code as SideworkError['code'], message) // the scheduler sends its own codes
    this.#controller?.abort(this.#abortReason)
  }

  /** Nothing the handler says counts from here on; the last progress and pauses, and how many lines were dropped, are told first. */
  end(): void {
    this.#log?.tellDropped()
    this.#hasEnded = true
    this.#stopBeat?.()
    this.#pauses?.flush()
    this.#flushProgress()
  }

  get #limitPauses(): LimitPauses {
    return (this.#pauses ??= new LimitPauses(this.#host, (name, delayMs) =>
      this.#host.pauseLimit(this.#token, name, delayMs),
    ))
  }

  #deferFlow(method: (...args: never) => unknown, kind: FlowKind, read: () => FlowPlan): Promise<never> {
    const task = `(${kind})`
    let about: Omit<RefusedDefer, 'error'> = { task, count: 0, of: undefined }
    const now = (): Promise<never> => {
      const plan = read()
      about = { task, count: countOf(plan), of: tasksOf(plan) }
      return this.#host.deferFlow(this.#token, plan) as Promise<never>
    }
    return this.#rejecting(method, () => about, now)
  }

  /** Defers; a refusal rejects, its stack begun at the line that called `method`. */
  #rejecting<T>(
    method: (...args: never) => unknown,
    about: () => Omit<RefusedDefer, 'error'>,
    defer: () => Promise<T>,
  ): Promise<T> {
    try {
      return fromLineOf(method, defer)
    } catch (error) {
      return this.#host.refuse(this.#token, { ...about(), error })
    }
  }

  #report(value: Progress): void {
    if (this.#hasEnded) return
    this.#pendingProgress = encodeProgress(value)
    // While a handler computes no timer fires: the clock is looked at each time.
    const waitMs = this.#progressAt + progressEveryMs - this.#host.now()
    if (waitMs <= 0) return this.#flushProgress()
    this.#stopTimer ??= this.#host.after(waitMs, () => this.#flushProgress())
    this.#beat() // progress that waits to be told is a sign of life at once
  }

  #beat(): void {
    if (this.#hasEnded) return
    const waitMs = this.#beatAt + heartbeatEveryMs - this.#host.now()
    if (waitMs <= 0) this.#flushBeat()
    else this.#stopBeat ??= this.#host.after(waitMs, () => this.#flushBeat())
  }

  #flushBeat(): void {
    this.#stopBeat?.()
    this.#stopBeat = undefined
    this.#beatAt = this.#host.now()
    this.#host.heartbeat(this.#token)
  }

  #flushProgress(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    const value = this.#pendingProgress
    if (value === undefined) return
    this.#pendingProgress = undefined
    this.#progressAt = this.#host.now()
    this.#host.progress(this.#token, value)
  }
}

/**
 * The value as it is at this moment, whatever the handler does with it later.
 * @throws OptionError unless a ratio 0–1, or a JSON object whose `ratio`, if any, is one; PayloadError
 */
function encodeProgress(value: unknown): EncodedPayload {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  const ratio: unknown = isObject ? (value as { ratio?: unknown }).ratio : value
  const isRatio = typeof ratio === 'number' && ratio >= 0 && ratio <= 1
  if (!isRatio && !(isObject && ratio === undefined)) {
    throw new OptionError(
      `progress(${show(value)}): give a ratio from 0 to 1, or an object such as { ratio, message }.`,
    )
  }
  return encodePayload(value, progressLimits)
}
