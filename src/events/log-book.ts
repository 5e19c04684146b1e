/**
 * What the scheduler writes to the log. Payloads and results never; of a sensitive task nothing that could hold them.
 * Lines at `warn` and `error`, and those of schedules, are bounded per kind and task (line-rate.ts), lines at `debug` not;
 * those of handlers, and what threads print, where they are made (line-budget.ts, console-tap.ts). Lines about threads:
 * thread-lines.ts.
 */
import type { Logger } from 'pino'
import type { Job } from '../job/job.js'
import type { SettledState } from '../job/lifecycle.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { JobSnapshot } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import type { LogLevel } from '../task/context.js'
import { GuardedLogger } from './guarded-logger.js'
import { LineRate, type LineRatePort } from './line-rate.js'
import { briefError, shownText, withError } from './shown.js'

/** One line of a handler, as it came from its thread. */
export interface HandlerLine {
  readonly level: LogLevel
  /** JSON of the fields, or absent. */
  readonly fields?: string
  readonly message?: string
}

/** A report names this many lost jobs. */
const shownIds = 20
export class LogBook {
  /** The user's logger, or undefined for silence. */
  readonly logger: GuardedLogger | undefined
  /** The id of a job, for a line that is not about it. */
  readonly idOf: (job: Job) => string
  readonly #rate: LineRate
  readonly #warnedResults = new WeakSet<TaskRecord>()
  #isClosing = false

  constructor(logger: Logger | undefined, idOf: (job: Job) => string, port: LineRatePort) {
    this.logger = logger && new GuardedLogger(logger)
    this.idOf = idOf
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
      job: this.idOf(job),
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
    this.logger?.[level]({ ...this.fields(job), err: briefError(job.task, error), ...extra }, message)
  }

  fromHandler(job: Job, line: HandlerLine): void {
    if (this.logger?.isLevelEnabled(line.level) !== true) return
    const own = line.fields === undefined ? undefined : (JSON.parse(line.fields) as object) // written by thread-host.ts
    this.logger[line.level]({ ...withError(own), ...this.fields(job) }, line.message)
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
    this.aboutJob('warn', job, 'job completed, but its result was dropped', { why: shownText(job.task, why) })
  }

  unknownLimit(job: Job, limit: string): void {
    this.aboutJob('error', job, 'pauseLimit named a limit that the scheduler does not have', { limit })
  }

  keyHalted(job: Job, key: string): void {
    const message = 'ordering key halted: its jobs wait until releaseKey'
    this.aboutJob('error', job, message, { key: shownText(job.task, key) })
  }

  /** Of keys of the jobs that `restore` was given. */
  haltedAgain(count: number): void {
    if (count === 0) return
    this.logger?.warn({ count }, 'restored jobs wait behind ordering keys that were halted: see haltedKeys()')
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

  /** An attempt ended through no fault of its own. */
  interrupted(job: Job): void {
    if (this.#isClosing) this.aboutJob('info', job, 'job interrupted: the scheduler is closing')
    else this.aboutJob('warn', job, 'job interrupted: its thread was lost; it is ready again')
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
