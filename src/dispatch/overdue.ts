/**
 * Timeouts, silence and cancellation, one mechanism: the token is taken away and the signal aborted, then after a grace comes
 * force. Force is: a cpu thread is terminated; a shared thread that still answers is retired, and terminated when the
 * neighbours have ended; on the main lane the handler is given up.
 *
 * One alarm per thread looks after the earliest deadline of its executions, so that starting a job arms no timer.
 */
import { TimeoutError, VisibilityTimeoutError, type SideworkError } from '../errors.js'
import { giveBackLimits, type Job } from '../job/job.js'
import type { Outcome } from '../job/outcome.js'
import { serializeError } from '../job/serialized-error.js'
import type { Crew } from './crew.js'
import type { DispatchRooms } from './dispatch-rooms.js'
import type { Execution } from './execution.js'
import type { LaneRoom } from './lane-room.js'
import type { LaneThread, StopReason } from './lane-thread.js'
import type { Recall } from './recall.js'
import type { Staffing } from './staffing.js'

/** A shared thread has at least this long to show that its loop turns: it may wait for a core. */
const shortestAnswerMs = 50
/** A retired thread's neighbours may go on this long. */
const retiredForMs = 5 * 60_000

export class Overdue {
  readonly #rooms: DispatchRooms
  readonly #crew: Crew
  readonly #recall: Recall
  readonly #staffing: Staffing
  readonly #dispatch: (room: LaneRoom) => void
  /** Handlers were told that the scheduler is closing. */
  isClosing = false
  /** Longest grace before force; shorter while closing. */
  #longestGraceMs = Infinity
  /** Handlers that went on after they were given up: on the main lane, and on threads that did not end. */
  abandoned = 0

  constructor(
    rooms: DispatchRooms,
    crew: Crew,
    recall: Recall,
    staffing: Staffing,
    dispatch: (room: LaneRoom) => void,
  ) {
    this.#rooms = rooms
    this.#crew = crew
    this.#recall = recall
    this.#staffing = staffing
    this.#dispatch = dispatch
  }

  /** The job has its place: an attempt is charged, and its time runs. */
  begin(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    execution.phase = 'running'
    this.#rooms.journal.start(job, now)
    execution.heardAt = now
    execution.deadlineAt = now + Math.min(timeoutOf(job), job.task.policy.visibilityTimeoutMs)
    if (execution.deadlineAt < thread.watchAt) this.watch(thread, execution.deadlineAt)
  }

  /** Looks after the thread no later than `at`. */
  watch(thread: LaneThread, at: number): void {
    if (at >= thread.watchAt) return
    thread.watch?.disarm()
    thread.watchAt = at
    thread.watch = this.#rooms.agenda.alarm(at, (now) => this.#look(thread, now))
  }

  /** Takes a running job's token away, tells its handler to stop, and gives it the task's grace to end. */
  stop(job: Job, outcome: Outcome, code: string, message: string): void {
    const thread = this.#crew.threadOf(job)
    const execution = thread?.places.find(job.token)
    if (thread === undefined || execution === undefined) return
    const now = this.#rooms.world.clock.now()
    if (execution.phase === 'prefetched') this.begin(thread, execution, job, now)
    execution.phase = 'stopping'
    execution.stoppedAt = now
    execution.hasAnswered = false
    execution.deadlineAt = now + this.#graceMs(job)
    this.#rooms.settler.endedEarly(job, outcome, now)
    thread.port.post({ kind: 'abort', token: execution.token, code, message })
    this.watch(thread, execution.deadlineAt)
    if (this.#recall.from(thread)) this.#dispatch(this.#crew.lanes[thread.lane])
    if (thread.isIdle) this.#staffing.idled(thread, now) // it had not taken the job, and nothing else came
  }

  #graceMs(job: Job): number {
    return Math.min(job.task.policy.killAfterMs, this.#longestGraceMs)
  }

  /** Tells every running handler to stop, without taking its token: what it still finishes counts. */
  tellAll(code: string, message: string, longestGraceMs: number): void {
    this.isClosing = true
    this.#longestGraceMs = longestGraceMs
    for (const thread of this.#crew.threads) {
      for (const { token, phase } of thread.places.values()) {
        if (phase === 'running') thread.port.post({ kind: 'abort', token, code, message })
      }
    }
  }

  /** Whether a handler that was given up may still end within its grace. */
  get hasLingering(): boolean {
    return this.#crew.threads.some(
      (thread) =>
        thread.phase !== 'stopping' && thread.places.values().some(({ phase }) => phase === 'stopping'),
    )
  }

  /** The longest grace that a running job's task asks for. */
  get longestKillAfterMs(): number {
    let longest = 0
    for (const thread of this.#crew.threads) {
      for (const { job } of thread.places.values())
        longest = Math.max(longest, job?.task.policy.killAfterMs ?? 0)
    }
    return longest
  }

  /**
   * Messages that wait are read first: a blocked main thread must not take a finished job for a late one, nor a lively
   * one for lost. On the main lane what waits are callbacks of the loop, so it turns once more.
   */
  #look(thread: LaneThread, now: number): void {
    thread.watchAt = Infinity
    const isSure = thread.lane !== 'io' || thread.places.outstanding === 1
    if (thread.lane !== 'main') this.#judge(thread, now, isSure)
    else this.#rooms.world.nextTurn(() => this.#judge(thread, this.#rooms.world.clock.now(), true))
  }

  /** @param isSure whether who is late is late by itself; on a shared thread a neighbour that spins makes all late */
  #judge(thread: LaneThread, now: number, isSure: boolean): void {
    if (thread.phase === 'stopping') return
    thread.port.drain()
    let nextAt = Infinity
    for (const execution of thread.places.values()) {
      if (execution.deadlineAt <= now) this.#act(thread, execution, now, isSure)
      if (execution.deadlineAt > now) nextAt = Math.min(nextAt, execution.deadlineAt)
    }
    if (thread.answersBy !== undefined && thread.answersBy > now) nextAt = Math.min(nextAt, thread.answersBy)
    else thread.answersBy = undefined // whoever the thread was asked for has ended, or was given up
    if (nextAt < Infinity) this.watch(thread, nextAt)
  }

  #act(thread: LaneThread, execution: Execution, now: number, isSure: boolean): void {
    const { job } = execution
    if (job === undefined) return
    switch (execution.phase) {
      case 'prefetched':
        return
      case 'running':
        return this.#runsLate(thread, execution, job, now, isSure)
      case 'stopping':
        return this.#force(thread, execution, job, now)
    }
  }

  #runsLate(thread: LaneThread, execution: Execution, job: Job, now: number, isSure: boolean): void {
    const { atWork = execution } = thread
    if (atWork === execution || atWork.job === undefined)
      return this.#giveUpIfLate(thread, execution, job, now, isSure)
    // The thread has gone on. Either the report is there, or its loop does not turn: it reports within a millisecond
    // of work otherwise, so it took the job it is at just after it began this one.
    thread.port.drain()
    if (execution.job !== job || execution.phase !== 'running') return
    const timeoutMs = timeoutOf(atWork.job)
    if (job.startedAt + timeoutMs > now) execution.deadlineAt = job.startedAt + timeoutMs
    else {
      execution.deadlineAt = Infinity
      this.#giveUp(atWork.job, tooLong(atWork.job))
    }
  }

  #giveUpIfLate(thread: LaneThread, execution: Execution, job: Job, now: number, isSure: boolean): void {
    const endsAt = job.startedAt + timeoutOf(job)
    const isLostAt = execution.heardAt + job.task.policy.visibilityTimeoutMs
    if (endsAt > now && isLostAt > now) execution.deadlineAt = Math.min(endsAt, isLostAt)
    else if (isSure) this.#giveUp(job, endsAt <= now ? tooLong(job) : tooSilent(job))
    else this.#ask(thread, job, now)
  }

  /** Asks whether the thread's loop turns. If it does not, nobody can be blamed, and all of its jobs run alone next. */
  #ask(thread: LaneThread, job: Job, now: number): void {
    if (thread.answersBy === undefined) {
      thread.answersBy = now + Math.max(shortestAnswerMs, this.#graceMs(job))
      thread.port.post({ kind: 'ping' })
    } else if (thread.answersBy <= now) this.#terminate(thread, 'stuck')
  }

  /** The thread's loop turns: whoever is late, is late by itself. */
  answered(thread: LaneThread, now: number): void {
    thread.answersBy = undefined
    this.#judge(thread, now, true)
  }

  #giveUp(job: Job, error: SideworkError): void {
    this.stop(job, { kind: 'timed-out', error: serializeError(error) }, error.code, error.message)
  }

  #force(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    switch (thread.lane) {
      case 'cpu':
        return this.#terminateFor(thread, job)
      case 'io':
        return this.#retireOrTerminate(thread, execution, job, now)
      case 'main':
        return this.#abandon(thread, execution)
    }
  }

  /** Ends an execution that was given up while its thread goes on: its place is free, whatever its handler does. */
  #abandon(thread: LaneThread, execution: Execution): void {
    const { job } = execution
    if (job === undefined) return
    this.abandoned++
    thread.places.end(execution)
    giveBackLimits(job, this.#rooms.world.clock.now())
    this.#rooms.settler.lingeringEnded(job, this.#rooms.world.clock.now())
    this.#dispatch(this.#crew.lanes[thread.lane])
  }

  /** The thread gets no new jobs, and ends when those it has have ended; a new one takes over. */
  retire(thread: LaneThread): void {
    if (thread.phase !== 'open') return
    const room = this.#crew.lanes[thread.lane]
    thread.phase = 'retiring'
    this.#recall.from(thread)
    if (thread.isIdle) this.#crew.release(thread, 'retired')
    this.#dispatch(room)
    this.#staffing.replace(thread)
  }

  /** A replacement is asked for at once, however long the thread takes to exit. */
  #terminate(thread: LaneThread, reason: StopReason): void {
    this.#crew.terminate(thread, reason)
    this.#rooms.listener.threadStopped()
    this.#dispatch(this.#crew.lanes[thread.lane])
    this.#staffing.replace(thread)
  }

  /** The job was told to stop and has not, so its thread is stopped. */
  #terminateFor(thread: LaneThread, job: Job): void {
    thread.stoppedFor ??= job
    this.#terminate(thread, 'timeout')
  }

  /** While the thread's loop answers, its neighbours may end; no new jobs come, and a new thread takes over. */
  #retireOrTerminate(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    // What else the thread says may have been posted before its loop stopped.
    const { stoppedAt, hasAnswered: isAnswering } = execution
    if (!isAnswering && now < stoppedAt + shortestAnswerMs) {
      execution.deadlineAt = stoppedAt + shortestAnswerMs
      return
    }
    if (!isAnswering && hasCompany(thread, execution)) return this.#terminate(thread, 'stuck')
    const longestMs = Math.max(shortestAnswerMs, job.task.policy.killAfterMs)
    const wasRetired = execution.deadlineAt - stoppedAt > longestMs
    if (wasRetired || !thread.hasRunning || !isAnswering) return this.#terminateFor(thread, job)
    execution.deadlineAt = now + retiredForMs
    this.retire(thread)
  }
}

/**
 * Whether another was on the shared thread when this execution was told to stop, so that either may hold its loop. What
 * was sent there later is read after what stops this one.
 */
function hasCompany({ places }: LaneThread, execution: Execution): boolean {
  return places
    .values()
    .some((other) => other !== execution && (other.job?.startedAt ?? Infinity) <= execution.stoppedAt)
}

function timeoutOf(job: Job): number {
  return job.details?.policy?.timeoutMs ?? job.task.policy.timeoutMs
}

function tooLong(job: Job): SideworkError {
  return new TimeoutError(
    `An attempt of task '${job.task.name}' ran longer than its timeout of ${timeoutOf(job)} ms.`,
  )
}

function tooSilent(job: Job): SideworkError {
  const { name, policy } = job.task
  return new VisibilityTimeoutError(
    `An attempt of task '${name}' was silent for longer than its visibilityTimeout of ${policy.visibilityTimeoutMs} ms. ` +
      'Call heartbeat() or progress() more often.',
  )
}
