/** What the scheduler writes to the log besides the life of jobs (announcements.ts), and what handlers log. */
import type { Logger } from 'pino'
import type { Job } from '../job/job.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { JobSnapshot, Lane } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'

/** One line of a handler, as it came from its thread. */
export interface HandlerLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** JSON of the fields, or absent. */
  readonly fields?: string
  readonly message?: string
}

/** A report names this many lost jobs. */
const shownIds = 20

/** Why threads end in the normal course of things. */
const quietReasons: ReadonlySet<string> = new Set(['idle', 'closing', 'retired', 'start-failed'])

export class LogBook {
  /** The user's logger, or undefined for silence. */
  readonly logger: Logger | undefined
  readonly #idOf: (job: Job) => string
  readonly #warnedResults = new WeakSet<TaskRecord>()

  constructor(logger: Logger | undefined, idOf: (job: Job) => string) {
    this.logger = logger
    this.#idOf = idOf
  }

  /** What names a job in a log line. */
  fields(job: Job): object {
    const { id: request, bindings } = job.details?.request ?? {}
    return {
      ...bindings,
      job: this.#idOf(job),
      task: job.task.name,
      attempt: job.attempt,
      ...(request === undefined ? undefined : { req: request }),
    }
  }

  fromHandler(job: Job, line: HandlerLine): void {
    if (this.logger?.isLevelEnabled(line.level) !== true) return
    const own = line.fields === undefined ? undefined : (JSON.parse(line.fields) as object) // written by thread-host.ts
    this.logger[line.level]({ ...own, ...this.fields(job) }, line.message)
  }

  listenerThrew(event: string, error: unknown): void {
    this.logger?.error({ err: error, event }, 'a listener of the scheduler threw')
  }

  backoffFault(job: Job, fault: SerializedError): void {
    this.logger?.error(
      { ...this.fields(job), err: fault },
      "the task's backoff function failed; the default was used",
    )
  }

  /** Once per task. */
  resultRefused(job: Job, why: string): void {
    if (this.#warnedResults.has(job.task)) return
    this.#warnedResults.add(job.task)
    this.logger?.warn({ ...this.fields(job), why }, 'job completed, but its result was dropped')
  }

  unknownLimit(job: Job, limit: string): void {
    this.logger?.error(
      { ...this.fields(job), limit },
      'pauseLimit named a limit that the scheduler does not have',
    )
  }

  keyHalted(job: Job, key: string): void {
    this.logger?.error({ ...this.fields(job), key }, 'ordering key halted: its jobs wait until releaseKey')
  }

  threadStarted(lane: Lane, thread: number): void {
    if (lane !== 'main') this.logger?.debug({ lane, thread }, 'thread started')
  }

  threadExited(lane: Lane, thread: number, reason: string, exitCode: number): void {
    const level = quietReasons.has(reason) ? 'debug' : 'warn'
    if (lane !== 'main') this.logger?.[level]({ lane, thread, reason, exitCode }, 'thread exited')
  }

  startFailed(lane: Lane, error: unknown): void {
    this.logger?.error({ lane, err: error }, 'a thread could not be started; it will be tried again')
  }

  /** Lost closures that `restore` was given. */
  leftOut(jobs: readonly JobSnapshot[]): void {
    if (jobs.length === 0) return
    const ids = jobs.slice(0, shownIds).map(({ id }) => id)
    this.logger?.warn({ count: jobs.length, ids }, 'deferred closures cannot be restored: they were left out')
  }

  lost(jobs: readonly JobSnapshot[]): void {
    if (jobs.length === 0) return
    const ids = jobs.slice(0, shownIds).map(({ id }) => id)
    this.logger?.warn(
      { count: jobs.length, ids },
      'closed with jobs that were not settled: hand the report to restore() at the next start to keep them',
    )
  }
}
