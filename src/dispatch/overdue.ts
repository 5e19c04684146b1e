/**
 * Timeouts and cancellation, one mechanism: the token is taken away and the signal aborted, then after a grace comes
 * force. Force is: a cpu thread is terminated; a shared thread that still answers is retired, and terminated when the
 * neighbours have ended; on the main lane the handler is given up.
 *
 * One alarm per thread looks after the earliest deadline of its executions, so that starting a job arms no timer.
 */
import { SideworkError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { Outcome } from '../job/outcome.js'
import { serializeError } from '../job/serialized-error.js'
import type { Dispatcher } from './dispatcher.js'
import type { Execution } from './execution.js'
import type { LaneThread } from './lane-thread.js'

/** A retired thread's neighbours may go on this long. */
const retiredForMs = 5 * 60_000

export class Overdue {
  readonly #dispatcher: Dispatcher

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher
  }

  /** Looks after the thread no later than `at`. */
  watch(thread: LaneThread, at: number): void {
    if (at >= thread.watchAt) return
    thread.watch?.disarm()
    thread.watchAt = at
    thread.watch = this.#dispatcher.rooms.agenda.alarm(at, (now) => this.#look(thread, now))
  }

  /** Takes the token away, tells the handler, and gives it the task's grace to end. */
  stop(
    thread: LaneThread,
    execution: Execution,
    job: Job,
    outcome: Outcome,
    reason: { code: string; message: string },
    now: number,
  ): void {
    execution.phase = 'stopping'
    execution.stoppedAt = now
    execution.deadlineAt = now + Math.min(job.task.policy.killAfterMs, this.#dispatcher.longestGraceMs)
    this.#dispatcher.rooms.settler.endedEarly(job, outcome, now)
    thread.port.post({ kind: 'abort', token: execution.token, ...reason })
    this.watch(thread, execution.deadlineAt)
    if (this.#dispatcher.recall(thread)) this.#dispatcher.dispatch(this.#dispatcher.lanes[thread.lane])
  }

  /** Messages that wait are read first: a blocked main thread must not take a finished job for a late one. */
  #look(thread: LaneThread, now: number): void {
    thread.watchAt = Infinity
    if (thread.phase === 'stopping') return
    thread.port.drain()
    let nextAt = Infinity
    for (const execution of thread.places.values()) {
      if (execution.deadlineAt <= now) this.#act(thread, execution, now)
      if (execution.deadlineAt > now) nextAt = Math.min(nextAt, execution.deadlineAt)
    }
    if (nextAt < Infinity) this.watch(thread, nextAt)
  }

  #act(thread: LaneThread, execution: Execution, now: number): void {
    const { job } = execution
    if (job === undefined) return
    switch (execution.phase) {
      case 'prefetched':
        return
      case 'running':
        return this.#timeOut(thread, execution, job, now)
      case 'stopping':
        return this.#force(thread, execution, job, now)
    }
  }

  #timeOut(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    const { atWork = execution } = thread
    if (atWork === execution || atWork.job === undefined) return this.#tooLong(job, timeoutOf(job))
    // The thread has gone on. Either the report is there, or its loop does not turn: it reports within a millisecond
    // of work otherwise, so it took the job it is at just after it began this one.
    thread.port.drain()
    if (execution.job !== job || execution.phase !== 'running') return
    const timeoutMs = timeoutOf(atWork.job)
    if (job.startedAt + timeoutMs > now) execution.deadlineAt = job.startedAt + timeoutMs
    else {
      execution.deadlineAt = Infinity
      this.#tooLong(atWork.job, timeoutMs)
    }
  }

  #tooLong(job: Job, timeoutMs: number): void {
    const message = `An attempt of task '${job.task.name}' ran longer than its timeout of ${timeoutMs} ms.`
    const error = serializeError(new SideworkError('ERR_SIDEWORK_TIMEOUT', message))
    this.#dispatcher.stop(job, { kind: 'timed-out', error }, 'ERR_SIDEWORK_TIMEOUT', message)
  }

  #force(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    switch (thread.lane) {
      case 'cpu':
        return this.#dispatcher.terminate(thread, 'timeout')
      case 'io':
        return this.#retire(thread, execution, job, now)
      case 'main':
        return this.#dispatcher.abandon(thread, execution)
    }
  }

  /** While the thread's loop answers, its neighbours may end; no new jobs come, and a new thread takes over. */
  #retire(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    const isAnswering = thread.heardAt >= execution.stoppedAt
    const wasRetired = execution.deadlineAt - execution.stoppedAt > job.task.policy.killAfterMs
    if (wasRetired || !thread.hasRunning || !isAnswering) {
      return this.#dispatcher.terminate(thread, 'timeout')
    }
    thread.phase = 'retiring'
    execution.deadlineAt = now + retiredForMs
    this.#dispatcher.staffing.callIn(this.#dispatcher.lanes.io)
  }
}

function timeoutOf(job: Job): number {
  return job.details?.policy?.timeoutMs ?? job.task.policy.timeoutMs
}
