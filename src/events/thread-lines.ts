/** What the log says of threads: how they come and go, what they print, and what their watches notice. */
import type { Job } from '../job/job.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Lane } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import type { HandlerLine, LogBook } from './log-book.js'
import { errorOf, wholeError } from './shown.js'

/** What names a thread in a log line. */
export interface ThreadName {
  readonly lane: Lane
  readonly number: number
}

/** How a thread ended. */
interface ExitLine {
  readonly reason: string
  readonly exitCode: number
  /** The job because of which it was stopped by force; by now it may be at its next attempt. */
  readonly stoppedFor: Job | undefined
  /** What nobody caught, as it may be shown. */
  readonly error: SerializedError | undefined
  /** Of a crash: the task it is laid to, if one is, and whether all jobs of the thread had ended. */
  readonly crash: { readonly task: TaskRecord | undefined; readonly isIdle: boolean } | undefined
  /** Its teardown() had not ended in time. */
  readonly isCutShort: boolean
}

/** How long attempts of a task took, and how long of that they waited, ms. */
export interface WaitsLine {
  readonly task: string
  readonly attempts: number
  readonly tookMs: number
  readonly waitedMs: number
}

/** Why threads end in the normal course of things. */
const quietReasons: ReadonlySet<string> = new Set(['idle', 'closing', 'retired', 'start-failed'])

const lateCrash =
  'thread exited: nobody caught an error that came when its jobs had ended. Look for a promise that a handler does not await'
const teardownCrash =
  'thread exited: nobody caught an error that came while it ended. Look at teardown(), and at what handlers leave behind'
const teardownTimeout =
  'thread exited: its teardown() had not ended in time. Look for a promise in it that never settles'

export class ThreadLines {
  readonly #log: LogBook
  /** Tasks of which it was said that they mostly wait. */
  readonly #waiting = new Set<string>()

  constructor(log: LogBook) {
    this.#log = log
  }

  started({ lane, number }: ThreadName): void {
    if (lane !== 'main') this.#log.logger?.debug({ lane, thread: number }, 'thread started')
  }

  exited({ lane, number }: ThreadName, line: ExitLine): void {
    if (lane === 'main') return
    const { reason, exitCode, stoppedFor, error, crash } = line
    const fault = faultOf(line)
    const isQuiet = quietReasons.has(reason) && fault === undefined
    if (!isQuiet && !this.#log.allows('thread exited', lane)) return
    const because = stoppedFor && { job: this.#log.idOf(stoppedFor), task: stoppedFor.task.name }
    const suspect = crash?.task && { task: crash.task.name }
    const err = error && { err: errorOf(error) }
    const fields = { lane, thread: number, reason, exitCode, ...because, ...suspect, ...err }
    this.#log.logger?.[isQuiet ? 'debug' : 'warn'](fields, fault ?? 'thread exited')
  }

  /** A line that a handler, or something it left behind, printed. */
  printed(
    thread: ThreadName,
    job: Job | undefined,
    line: { level: HandlerLine['level']; text: string },
  ): void {
    if (this.#log.logger?.isLevelEnabled(line.level) !== true) return
    const { lane, number } = thread
    this.#log.logger[line.level]({ lane, thread: number, ...(job && this.#log.fields(job)) }, line.text)
  }

  leaked(
    { lane, number }: ThreadName,
    what: { task: string; count: number; resources: readonly string[] },
  ): void {
    const { task, count, resources } = what
    const message = 'a task leaves timers, sockets or the like open: its thread is replaced'
    if (this.#log.allows(message, task))
      this.#log.logger?.warn({ lane, thread: number, task, count, resources }, message)
  }

  /** Told once for each task, whichever of its threads noticed. */
  waits({ task, attempts, tookMs, waitedMs }: WaitsLine): void {
    if (this.#waiting.has(task)) return
    this.#waiting.add(task)
    this.#log.logger?.info(
      { task, attempts, tookMs, waitedMs },
      "a task of lane 'cpu' mostly waits, and each of its jobs holds a thread meanwhile. If it waits for the network or a " +
        "database, give it lane 'io', which runs many on one thread; if a native library computes for it (images, " +
        'hashes), leave it',
    )
  }

  /** @param thread the one that is replaced; undefined when none of them holds much of it */
  memoryExceeded(rssBytes: number, maxRssBytes: number, thread: number | undefined): void {
    this.#log.logger?.warn(
      { rssBytes, maxRssBytes, ...(thread === undefined ? undefined : { thread }) },
      thread === undefined
        ? 'the process holds more than threads.maxRssBytes, but its threads do not hold much of it'
        : 'the process holds more than threads.maxRssBytes: a thread is replaced',
    )
  }

  /** A handler of lane main held the main thread for so many ms. */
  heldMainThread(task: string, ms: number): void {
    const message = 'a task of lane main blocked the main thread'
    if (this.#log.allows(message, task)) this.#log.logger?.warn({ task, blockedMs: Math.round(ms) }, message)
  }

  unwatched(error: unknown): void {
    this.#log.logger?.debug(
      { err: error },
      'no thread watches whether tasks of lane main block the main thread',
    )
  }

  startFailed(lane: Lane, error: unknown): void {
    const message = 'a thread could not be started; it will be tried again'
    if (this.#log.allows(message, lane)) this.#log.logger?.error({ lane, err: wholeError(error) }, message)
  }
}

/** What went wrong on a thread that had nothing to do. */
function faultOf({ reason, error, crash, isCutShort }: ExitLine): string | undefined {
  if (crash !== undefined) return crash.isIdle && error !== undefined ? lateCrash : undefined
  if (reason === 'start-failed') return undefined // told when it failed
  if (isCutShort) return teardownTimeout
  return quietReasons.has(reason) && error !== undefined ? teardownCrash : undefined
}
