/**
 * What the scheduler writes to the log. Payloads and results never; of a sensitive task nothing that could hold them.
 * Lines at `warn` and `error`, and those of schedules, are bounded per kind and task (line-rate.ts), lines at `debug` not;
 * those of handlers, and what threads print, where they are made (bounded-log.ts, console-tap.ts).
 */
import type { Logger } from 'pino'
import type { Job } from '../job/job.js'
import type { SettledState } from '../job/lifecycle.js'
import { serializeError, type SerializedError } from '../job/serialized-error.js'
import type { JobSnapshot, Lane } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import { GuardedLogger } from './guarded-logger.js'
import { LineRate, type LineRatePort } from './line-rate.js'

/** One line of a handler, as it came from its thread. */
export interface HandlerLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** JSON of the fields, or absent. */
  readonly fields?: string
  readonly message?: string
}

/** How long attempts of a task took, and how long of that they waited, ms. */
export interface WaitsLine {
  readonly task: string
  readonly attempts: number
  readonly tookMs: number
  readonly waitedMs: number
}

/** What names a thread in a log line. */
export interface ThreadName {
  readonly lane: Lane
  readonly number: number
}

/** A report names this many lost jobs. */
const shownIds = 20
const withheld = '(withheld: the task is sensitive)'

/** Why threads end in the normal course of things. */
const quietReasons: ReadonlySet<string> = new Set(['idle', 'closing', 'retired', 'start-failed'])

const lateCrash =
  'thread exited: nobody caught an error that came when its jobs had ended. Look for a promise that a handler does not await'

/** How a thread ended. */
interface ExitLine {
  readonly reason: string
  readonly exitCode: number
  /** The job because of which it was stopped by force; by now it may be at its next attempt. */
  readonly stoppedFor: Job | undefined
  /** What nobody caught. */
  readonly error: SerializedError | undefined
  /** Of a crash: the task it is laid to, if one is, and whether all jobs of the thread had ended. */
  readonly crash: { readonly task: TaskRecord | undefined; readonly isIdle: boolean } | undefined
}

export class LogBook {
  /** The user's logger, or undefined for silence. */
  readonly logger: GuardedLogger | undefined
  readonly #idOf: (job: Job) => string
  readonly #rate: LineRate
  readonly #warnedResults = new WeakSet<TaskRecord>()
  /** Tasks of which it was said that they mostly wait. */
  readonly #waiting = new Set<string>()
  #isClosing = false

  constructor(logger: Logger | undefined, idOf: (job: Job) => string, port: LineRatePort) {
    this.logger = logger && new GuardedLogger(logger)
    this.#idOf = idOf
    this.#rate = new LineRate(port, (kind, count) => {
      const [line, task] = kind.split('\n')
      this.logger?.warn(
        { line, ...(task === undefined ? undefined : { task }), count },
        'lines like this were left out',
      )
    })
  }

  /** What names a job in a log line. */
  fields(job: Job): object {
    const { id: reqId, bindings } = job.details?.request ?? {}
    const schedule = job.details?.schedule?.name
    return {
      ...bindings,
      job: this.#idOf(job),
      task: job.task.name,
      attempt: job.attempt,
      ...(schedule === undefined ? undefined : { schedule }),
      // Not `req`: the serializer that loggers of Express apps have for it takes a request.
      ...(reqId === undefined ? undefined : { reqId }),
    }
  }

  /** A line about a job. */
  aboutJob(level: 'debug' | 'info' | 'warn' | 'error', job: Job, message: string, extra?: object): void {
    if (level !== 'debug' && !this.allows(message, job.task.name)) return
    this.logger?.[level]({ ...this.fields(job), ...extra }, message)
  }

  /** A line about a job and an error. */
  aboutError(
    level: 'warn' | 'error',
    job: Job,
    message: string,
    error: SerializedError,
    extra?: object,
  ): void {
    if (!this.allows(message, job.task.name)) return
    this.logger?.[level]({ ...this.fields(job), err: brief(job.task, error), ...extra }, message)
  }

  fromHandler(job: Job, line: HandlerLine): void {
    if (this.logger?.isLevelEnabled(line.level) !== true) return
    const own = line.fields === undefined ? undefined : (JSON.parse(line.fields) as object) // written by thread-host.ts
    this.logger[line.level]({ ...own, ...this.fields(job) }, line.message)
  }

  listenerThrew(event: string, error: unknown): void {
    const message = 'a listener of the scheduler threw'
    if (this.allows(message, event)) this.logger?.error({ err: error, event }, message)
  }

  backoffFault(job: Job, fault: SerializedError): void {
    this.aboutError('error', job, "the task's backoff function failed; the default was used", fault)
  }

  /** Once per task. */
  resultRefused(job: Job, why: string): void {
    if (this.#warnedResults.has(job.task)) return
    this.#warnedResults.add(job.task)
    this.aboutJob('warn', job, 'job completed, but its result was dropped', { why: shown(job, why) })
  }

  unknownLimit(job: Job, limit: string): void {
    this.aboutJob('error', job, 'pauseLimit named a limit that the scheduler does not have', { limit })
  }

  keyHalted(job: Job, key: string): void {
    const message = 'ordering key halted: its jobs wait until releaseKey'
    this.aboutJob('error', job, message, { key: shown(job, key) })
  }

  /** A line about how a flow ended. */
  flowSettled({
    state,
    ...fields
  }: {
    readonly state: SettledState
    readonly [field: string]: unknown
  }): void {
    const message = `flow ${state}`
    if (state === 'completed') this.logger?.debug(fields, message)
    else if (this.allows(message)) this.logger?.warn({ ...fields, state }, message)
  }

  /** @param task undefined for all */
  paused(isPaused: boolean, task: string | undefined): void {
    const what = task === undefined ? {} : { task }
    this.logger?.info(what, isPaused ? 'paused: no new starts' : 'resumed')
  }

  /** @param task the name of what was to be deferred */
  queueFull(task: string): void {
    const message = 'a defer was refused: the queue is full'
    if (this.allows(message)) this.logger?.warn({ task }, message)
  }

  /** Nothing else would tell why a request is not answered. */
  heldAwaited(what: { readonly task: string } | { readonly flow: string }): void {
    const message =
      'result() was called of what is held until the response has ended: a response that waits for it is never sent'
    if (this.allows(message)) this.logger?.warn(what, message)
  }

  threadStarted(lane: Lane, thread: number): void {
    if (lane !== 'main') this.logger?.debug({ lane, thread }, 'thread started')
  }

  threadExited({ lane, number }: ThreadName, { reason, exitCode, stoppedFor, error, crash }: ExitLine): void {
    if (lane === 'main') return
    const isQuiet = quietReasons.has(reason)
    if (!isQuiet && !this.allows('thread exited', lane)) return
    const because = stoppedFor && { job: this.#idOf(stoppedFor), task: stoppedFor.task.name }
    const suspect = crash?.task && { task: crash.task.name }
    const err = error && { err: brief(crash?.task, error) }
    const fields = { lane, thread: number, reason, exitCode, ...because, ...suspect, ...err }
    const isLate = crash?.isIdle === true && error !== undefined
    this.logger?.[isQuiet ? 'debug' : 'warn'](fields, isLate ? lateCrash : 'thread exited')
  }

  /** A line that a handler, or something it left behind, printed. */
  printed(
    thread: ThreadName,
    job: Job | undefined,
    line: { level: HandlerLine['level']; text: string },
  ): void {
    if (this.logger?.isLevelEnabled(line.level) !== true) return
    const { lane, number } = thread
    this.logger[line.level]({ lane, thread: number, ...(job && this.fields(job)) }, line.text)
  }

  leaked(
    { lane, number }: ThreadName,
    what: { task: string; count: number; resources: readonly string[] },
  ): void {
    const { task, count, resources } = what
    const message = 'a task leaves timers, sockets or the like open: its thread is replaced'
    if (this.allows(message, task))
      this.logger?.warn({ lane, thread: number, task, count, resources }, message)
  }

  /** Told once for each task, whichever of its threads noticed. */
  waits({ task, attempts, tookMs, waitedMs }: WaitsLine): void {
    if (this.#waiting.has(task)) return
    this.#waiting.add(task)
    this.logger?.info(
      { task, attempts, tookMs, waitedMs },
      "a task of lane 'cpu' mostly waits, and each of its jobs holds a thread meanwhile. If it waits for the network or a " +
        "database, give it lane 'io', which runs many on one thread; if a native library computes for it (images, " +
        'hashes), leave it',
    )
  }

  /** An attempt ended through no fault of its own. */
  interrupted(job: Job): void {
    if (this.#isClosing) this.aboutJob('info', job, 'job interrupted: the scheduler is closing')
    else this.aboutJob('warn', job, 'job interrupted: its thread was lost; it is ready again')
  }

  /** @param thread the one that is replaced; undefined when none of them holds much of it */
  memoryExceeded(rssBytes: number, maxRssBytes: number, thread: number | undefined): void {
    this.logger?.warn(
      { rssBytes, maxRssBytes, ...(thread === undefined ? undefined : { thread }) },
      thread === undefined
        ? 'the process holds more than threads.maxRssBytes, but no thread holds much of it'
        : 'the process holds more than threads.maxRssBytes: the thread that holds most is replaced',
    )
  }

  /** A handler of lane main held the main thread for so many ms. */
  heldMainThread(task: string, ms: number): void {
    const message = 'a task of lane main blocked the main thread'
    if (this.allows(message, task)) this.logger?.warn({ task, blockedMs: Math.round(ms) }, message)
  }

  unwatched(error: unknown): void {
    this.logger?.debug({ err: error }, 'no thread watches whether tasks of lane main block the main thread')
  }

  startFailed(lane: Lane, error: unknown): void {
    const err = errorOf(withCauses(serializeError(error)))
    this.logger?.error({ lane, err }, 'a thread could not be started; it will be tried again')
  }

  closing(unsettled: number): void {
    this.#isClosing = true
    this.logger?.info({ unsettled }, 'closing')
  }

  /** Nothing is written after it. `threads` have not exited in time. */
  closed(settled: object, threads: number): void {
    this.#rate.flush()
    if (threads > 0) this.logger?.warn({ threads }, 'threads were stopped and have not exited; they end with the process') // prettier-ignore
    this.logger?.info({ settled }, 'closed')
  }

  /** Lost jobs that `restore` was given and does not take. */
  leftOut(jobs: readonly JobSnapshot[], why: string): void {
    if (jobs.length === 0) return
    const ids = jobs.slice(0, shownIds).map(({ id }) => id)
    this.logger?.warn({ count: jobs.length, ids }, why)
  }

  lost(jobs: readonly JobSnapshot[]): void {
    if (jobs.length === 0) return
    const ids = jobs.slice(0, shownIds).map(({ id }) => id)
    this.logger?.warn(
      { count: jobs.length, ids },
      'closed with jobs that were not settled: hand the report to restore() at the next start to keep them, closures excepted',
    )
  }

  /** Whether one more line with this message may be written now; it is counted. @param about a task, or another of few names */
  allows(message: string, about?: string): boolean {
    if (this.logger === undefined) return false
    return this.#rate.allows(about === undefined ? message : `${message}\n${about}`)
  }
}

/** What may have been made from a payload. */
function shown(job: Job, text: string): string {
  return job.task.policy.sensitive ? withheld : text
}

/** What a log line shows of an error. */
function brief(task: TaskRecord | undefined, error: SerializedError): Error {
  if (task?.policy.sensitive !== true) return errorOf(error)
  return errorOf({ ...error, message: withheld, stack: error.name })
}

/** The stacks of the causes below its own. */
function withCauses(error: SerializedError): SerializedError {
  const { cause, message, stack = message } = error
  return cause === undefined
    ? error
    : { ...error, stack: `${stack}\ncaused by: ${withCauses(cause).stack ?? cause.message}` }
}

/** An error for the logger. Pino's serializer writes the name of the constructor as its type, and knows errors only. */
function errorOf({ name, message, code, stack }: SerializedError): Error {
  const error = new Error(message)
  const hidden = (value: unknown) => ({ value, configurable: true, writable: true }) // Error has them on its prototype
  const named = Object.defineProperty(function () {}, 'name', { value: name })
  Object.defineProperties(error, { name: hidden(name), constructor: hidden(named) })
  error.stack = stack ?? `${name}: ${message}`
  return Object.assign(error, code === undefined ? undefined : { code })
}
