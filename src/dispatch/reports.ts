/** What threads report: executions that ended, and what handlers say meanwhile. */
import { giveBackLimits, type Job } from '../job/job.js'
import type { Outcome } from '../job/outcome.js'
import type { TaskRecord } from '../job/task-record.js'
import type {
  DeferFlowMessage,
  DeferMessage,
  Ending,
  EndedMessage,
  FromThread,
  LogMessage,
  PauseLimitMessage,
  ProgressMessage,
} from '../threads/protocol.js'
import type { Refusal } from '../threads/refusal.js'
import type { Crew } from './crew.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { Execution } from './execution.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread } from './lane-thread.js'
import type { Overdue } from './overdue.js'
import { measure } from './prefetch.js'
import type { Staffing } from './staffing.js'

export class Reports {
  readonly #rooms: DispatchRooms
  /** Tasks of the report that is being read, besides its last job's. */
  readonly #otherTasks = new Set<TaskRecord>()
  readonly #crew: Crew
  readonly #overdue: Overdue
  readonly #staffing: Staffing
  readonly #dispatch: (room: LaneRoom) => void
  /** Messages that named no valid execution. */
  ignored = 0

  constructor(
    rooms: DispatchRooms,
    crew: Crew,
    overdue: Overdue,
    staffing: Staffing,
    dispatch: (room: LaneRoom) => void,
  ) {
    this.#rooms = rooms
    this.#crew = crew
    this.#overdue = overdue
    this.#staffing = staffing
    this.#dispatch = dispatch
  }

  /** Everything a thread says comes through here. */
  received(thread: LaneThread, message: FromThread): void {
    if (thread.unread !== undefined) return void thread.unread.push(message)
    if (thread.isGone) {
      this.ignored++ // its jobs may run elsewhere by now, under the same tokens
      return
    }
    const now = this.#rooms.world.clock.now()
    if (typeof message === 'number') return this.#report(thread, message, now)
    switch (message.kind) {
      case 'ended':
        return this.#report(thread, message, now)
      case 'starting':
        thread.starting = message
        return
      case 'ready':
        return this.#staffing.opened(thread, message)
      case 'start-failed':
        return this.#staffing.startFailed(thread, message.error)
      case 'heartbeat':
        return this.#heard(thread, message.token, now)
      case 'aborted':
        return this.#aborted(thread, message.token, now)
      case 'culprit':
        thread.culprit = message.token
        return
      case 'pong':
        thread.memory = { bytes: message.memoryBytes, at: now }
        return this.#overdue.answered(thread, now)
      case 'console':
        return this.#rooms.listener.printed(thread, thread.places.find(message.token)?.job, message)
      case 'leak':
        this.#rooms.listener.leaked(thread, message)
        return this.#overdue.retire(thread)
      case 'waits':
        return this.#rooms.listener.waits(message)
      case 'progress':
        this.#heard(thread, message.token, now)
        return this.#told(thread, message)
      case 'log':
      case 'defer':
      case 'defer-flow':
      case 'pause-limit':
        return this.#told(thread, message)
    }
  }

  /** A sign of life of an attempt, or only of its thread's loop. */
  #heard(thread: LaneThread, token: number, now: number): void {
    const execution = thread.places.find(token)
    if (execution !== undefined) execution.heardAt = now
  }

  /** The handler was told to stop. */
  #aborted(thread: LaneThread, token: number, now: number): void {
    this.#heard(thread, token, now)
    const execution = thread.places.find(token)
    if (execution !== undefined) execution.hasAnswered = true
  }

  #told(
    thread: LaneThread,
    message: ProgressMessage | LogMessage | DeferMessage | DeferFlowMessage | PauseLimitMessage,
  ): void {
    const execution = thread.places.find(message.token)
    const job = execution?.job
    if (execution === undefined || job === undefined || !execution.isValid) {
      this.ignored++
      // Its handler goes on, and may be waiting for the answer.
      if ('call' in message) thread.port.post({ kind: 'deferred', call: message.call, error: givenUp })
      return
    }
    switch (message.kind) {
      case 'progress':
        return this.#rooms.listener.progress(job, message.value)
      case 'log':
        return this.#rooms.listener.log(job, message)
      case 'defer':
      case 'defer-flow':
        return this.#rooms.listener.defer(job, message, thread)
      case 'pause-limit':
        return this.#rooms.listener.pauseLimit(job, message.name, message.delayMs)
    }
  }

  /** A report counts on from the one before. What is asked of the user's code on the way may have the next ones delivered. */
  #report(thread: LaneThread, message: number | EndedMessage, now: number): void {
    const unread: FromThread[] = (thread.unread = [])
    try {
      if (typeof message === 'number') this.#finished(thread, message, now)
      else this.#ended(thread, message, now)
    } finally {
      thread.unread = undefined
    }
    for (const next of unread) this.received(thread, next)
  }

  /** A cpu thread's short report: the next `count` executions, in order, ended well without a result. */
  #finished(thread: LaneThread, count: number, now: number): void {
    let last: Job | undefined
    for (let left = count; left > 0; left--) {
      const execution = thread.window?.current
      const job = execution?.job
      if (execution === undefined || job === undefined) {
        this.ignored++
        break
      }
      this.#noteTask(last, job)
      last = job
      this.#endOne(thread, execution, job, null, now)
    }
    this.#afterReport(thread, last, count, now)
  }

  /** Remembers the task of the job before, where it is another: a report is about all of them. */
  #noteTask(previous: Job | undefined, { task }: Job): void {
    if (previous !== undefined && previous.task !== task) this.#otherTasks.add(previous.task)
  }

  #ended(thread: LaneThread, message: EndedMessage, now: number): void {
    let last: Job | undefined
    for (const [index, token] of message.tokens.entries()) {
      const execution = thread.places.find(token)
      const job = execution?.job
      const isInOrder = thread.window === undefined || thread.window.current === execution
      if (execution === undefined || job === undefined || !isInOrder) this.ignored++
      else {
        this.#noteTask(last, job)
        last = job
        this.#endOne(thread, execution, job, message.endings[index] ?? null, now)
      }
    }
    this.#afterReport(thread, last, message.tokens.length, now)
  }

  /** The execution has really ended: its place is free, and if its token still counts, so does how it ended. */
  #endOne(thread: LaneThread, execution: Execution, job: Job, ending: Ending, now: number): void {
    if (execution.phase === 'prefetched') this.#overdue.begin(thread, execution, job, now)
    const { isValid } = execution
    thread.places.end(execution)
    giveBackLimits(job, now)
    if (!isValid) this.#rooms.settler.lingeringEnded(job, now)
    else if (ending === null) this.#rooms.settler.completed(job, undefined, now)
    else if (typeof ending === 'string') this.#rooms.settler.completed(job, ending, now)
    else
      this.#rooms.settler.ended(job, this.#overdue.isClosing && gaveWay(ending) ? interrupted : ending, now)
  }

  #afterReport(thread: LaneThread, last: Job | undefined, count: number, now: number): void {
    thread.isStuck = false
    thread.hasEnded = true
    this.#crew.lanes[thread.lane].failedStarts = 0
    const current = thread.window?.current
    if (current?.job !== undefined && current.phase === 'prefetched')
      this.#overdue.begin(thread, current, current.job, now)
    if (thread.claims !== undefined && last !== undefined)
      measure(last.task, this.#otherTasks, thread.claims.busyMs(), count)
    this.#otherTasks.clear()
    if (thread.isIdle) {
      thread.isExclusive = false
      this.#staffing.idled(thread, now)
    }
    if (thread.phase === 'open') this.#dispatch(this.#crew.lanes[thread.lane])
    else if (thread.phase === 'retiring' && !thread.hasRunning) this.#crew.terminate(thread, 'retired')
  }
}

const interrupted: Outcome = { kind: 'interrupted' }

const givenUp: Refusal = Object.freeze({
  message:
    'The attempt that defers has ended, was cancelled or took too long, so that nothing it says counts. ' +
    'Defer before the handler ends, and look at signal.aborted.',
  code: 'ERR_SIDEWORK_CANCELLED',
})

/** A handler that threw the reason of its signal, or an error because of it, stopped through no fault of its own. */
function gaveWay(outcome: Outcome): boolean {
  if (outcome.kind !== 'threw') return false
  const { code, cause } = outcome.error
  return code === 'ERR_SIDEWORK_CLOSING' || cause?.code === 'ERR_SIDEWORK_CLOSING'
}
