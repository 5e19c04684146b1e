/**
 * Pairs ready jobs with free places. READ THIRD: the walk of one attempt, for a batch at a time.
 *
 *      dispatch ─▶ fill a thread: pop by the rule, give each a token, start it ─▶ one run message
 *      reported ◀─ the thread says how executions ended ─▶ settle each ─▶ refill
 *      watch    ◀─ a deadline passed ─▶ stop the execution (overdue.ts)
 *      exited   ◀─ a thread is gone ─▶ blame or interrupt its executions (departure.ts) ─▶ start another
 *
 * A cpu thread with short jobs is sent more than it can start: those wait in its window as `prefetched`, still `ready`
 * in every account, and can be recalled at any moment (threads/claims.ts).
 */
import { ClosedError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import type { Outcome } from '../job/outcome.js'
import type { EncodedPayload } from '../job/payload.js'
import type { Lane } from '../job/snapshot.js'
import type { Agenda } from '../queue/agenda.js'
import type { Queue } from '../queue/queue.js'
import type { Settler } from '../settle/settler.js'
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
import type { ThreadExit, World } from '../world.js'
import { blame } from './departure.js'
import type { Execution } from './execution.js'
import type { LaneRoom } from './lane-room.js'
import { LaneThread, type StopReason } from './lane-thread.js'
import { Overdue } from './overdue.js'
import { Batch } from './pack.js'
import { allowance, mayBeSentAhead, measure } from './prefetch.js'
import { windowSize } from './places.js'
import { Staffing } from './staffing.js'

/** What threads say that is none of the dispatcher's business. */
export interface DispatchListener {
  progress(job: Job, value: EncodedPayload): void
  log(job: Job, message: LogMessage): void
  defer(job: Job, message: DeferMessage | DeferFlowMessage, thread: LaneThread): void
  pauseLimit(job: Job, name: string, delayMs: number): void
  threadStarted(thread: LaneThread): void
  threadExited(thread: LaneThread, reason: string, exitCode: number): void
  startFailed(lane: Lane, error: unknown): void
}

/** The rooms and ports a dispatcher works with. */
export interface DispatchRooms {
  readonly world: World
  readonly agenda: Agenda
  readonly queue: Queue
  readonly journal: Journal
  readonly settler: Settler
  readonly listener: DispatchListener
}

export class Dispatcher {
  readonly lanes: Readonly<Record<Lane, LaneRoom>>
  readonly rooms: DispatchRooms
  readonly staffing: Staffing
  readonly #overdue: Overdue
  isPaused = false
  /** Longest grace before force; shorter while closing. */
  longestGraceMs = Infinity
  /** Messages that named no valid execution. */
  ignored = 0
  /** Main-lane handlers that went on after they were given up. */
  abandoned = 0
  #willDispatch = false
  /** Handlers were told that the scheduler is closing. */
  #isStopping = false

  constructor(lanes: Readonly<Record<Lane, LaneRoom>>, rooms: DispatchRooms) {
    this.lanes = lanes
    this.rooms = rooms
    this.staffing = new Staffing(this)
    this.#overdue = new Overdue(this)
  }

  /** A job of the lane became ready. Dispatches when the current call has returned, so that a burst makes a batch. */
  readonly wake = (lane: Lane): void => {
    if (this.#willDispatch || this.lanes[lane].isSaturated) return
    this.#willDispatch = true
    this.rooms.world.soon(this.#dispatchAll)
  }

  readonly #dispatchAll = (): void => {
    this.#willDispatch = false
    this.dispatch(this.lanes.cpu)
    this.dispatch(this.lanes.io)
    this.dispatch(this.lanes.main)
  }

  /** Gives the lane's free places to its ready jobs. */
  dispatch(room: LaneRoom): void {
    if (this.isPaused) return
    room.isSaturated = false
    if (room.ready.size > 0) {
      const now = this.rooms.world.clock.now()
      const openThreads = room.openThreads
      for (const thread of room.threads) {
        if (thread.phase === 'open') this.#fill(room, thread, openThreads, now)
      }
      // What is left and may start found no place.
      room.isSaturated = room.ready.peek() !== undefined
      if (room.isSaturated) this.staffing.callIn(room)
    }
  }

  /** One message with whatever the thread may get now. */
  #fill(room: LaneRoom, thread: LaneThread, openThreads: number, now: number): void {
    const { window } = thread
    const batch = new Batch(thread.claims?.generation ?? 0, window !== undefined)
    const share = Math.ceil(room.ready.size / openThreads)
    for (let job = room.ready.peek(); job !== undefined; job = room.ready.peek()) {
      const mayTake =
        window === undefined
          ? this.#hasPlace(room, thread, job)
          : batch.size < share && this.#mayGoTo(thread, job, batch.size)
      if (!mayTake) break
      if (hasExpired(job, now)) this.rooms.settler.expireWaiting(job, now)
      else {
        const limits = job.details?.gates?.limits
        if (limits !== undefined) for (const limit of limits) limit.took(now)
        room.ready.remove(job)
        this.#give(thread, job, batch, now)
      }
    }
    if (batch.size > 0) thread.port.post(batch.message())
    if (window !== undefined && window.outstanding > 1) this.#watchForStuck(room)
  }

  /** Shared threads: a free place, and nobody who must be alone. */
  #hasPlace(room: LaneRoom, thread: LaneThread, job: Job): boolean {
    const { outstanding } = thread.places
    if (outstanding === 0) return true
    return (
      outstanding < room.settings.placesPerThread && !thread.isExclusive && job.details?.runsAlone !== true
    )
  }

  /** Cpu threads: the one place, or room ahead of it for short jobs. */
  #mayGoTo(thread: LaneThread, job: Job, inBatch: number): boolean {
    const outstanding = thread.places.outstanding
    if (outstanding === 0) return true
    if (thread.isStuck || thread.claims === undefined || !mayBeSentAhead(job)) return false
    const most = allowance(job.task.averageMs)
    if (inBatch === 0 && outstanding > most) return false
    return inBatch < most && outstanding < Math.min(2 * most, windowSize - 1) && most > 1
  }

  #give(thread: LaneThread, job: Job, batch: Batch, now: number): void {
    const isPrefetched = thread.window !== undefined && thread.places.outstanding > 0
    const execution = thread.places.add(job)
    job.token = execution.token
    batch.add(execution, job)
    if (job.details?.runsAlone === true) thread.isExclusive = true
    if (isPrefetched) execution.phase = 'prefetched'
    else this.#start(thread, execution, job, now)
  }

  #start(thread: LaneThread, execution: Execution, job: Job, now: number): void {
    execution.phase = 'running'
    this.rooms.journal.start(job, now)
    const timeoutMs = job.details?.policy?.timeoutMs ?? job.task.policy.timeoutMs
    execution.deadlineAt = now + timeoutMs
    if (execution.deadlineAt < thread.watchAt) this.#overdue.watch(thread, execution.deadlineAt)
  }

  /** Everything a thread says comes through here. */
  received(thread: LaneThread, message: FromThread): void {
    const now = this.rooms.world.clock.now()
    thread.heardAt = now
    if (typeof message === 'number') return this.#finished(thread, message, now)
    switch (message.kind) {
      case 'ended':
        return this.#ended(thread, message, now)
      case 'ready':
        return this.staffing.opened(thread, message.tasks)
      case 'start-failed':
        return this.staffing.startFailed(thread, message.error)
      case 'heartbeat':
        return undefined
      case 'progress':
      case 'log':
      case 'defer':
      case 'defer-flow':
      case 'pause-limit':
        return this.#told(thread, message)
    }
  }

  #told(
    thread: LaneThread,
    message: ProgressMessage | LogMessage | DeferMessage | DeferFlowMessage | PauseLimitMessage,
  ): void {
    const execution = thread.places.find(message.token)
    const job = execution?.job
    if (execution === undefined || job === undefined || !execution.isValid) {
      this.ignored++
      return
    }
    switch (message.kind) {
      case 'progress':
        return this.rooms.listener.progress(job, message.value)
      case 'log':
        return this.rooms.listener.log(job, message)
      case 'defer':
      case 'defer-flow':
        return this.rooms.listener.defer(job, message, thread)
      case 'pause-limit':
        return this.rooms.listener.pauseLimit(job, message.name, message.delayMs)
    }
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
      last = job
      this.#endOne(thread, execution, job, null, now)
    }
    this.#afterReport(thread, last, count, now)
  }

  #ended(thread: LaneThread, message: EndedMessage, now: number): void {
    let last: Job | undefined
    for (const [index, token] of message.tokens.entries()) {
      const execution = thread.places.find(token)
      const job = execution?.job
      const isInOrder = thread.window === undefined || thread.window.current === execution
      if (execution === undefined || job === undefined || !isInOrder) this.ignored++
      else {
        last = job
        this.#endOne(thread, execution, job, message.endings[index] ?? null, now)
      }
    }
    this.#afterReport(thread, last, message.tokens.length, now)
  }

  /** The execution has really ended: its place is free, and if its token still counts, so does how it ended. */
  #endOne(thread: LaneThread, execution: Execution, job: Job, ending: Ending, now: number): void {
    if (execution.phase === 'prefetched') this.#start(thread, execution, job, now)
    const { isValid } = execution
    thread.places.end(execution)
    giveBackLimits(job, now)
    if (!isValid) this.rooms.settler.lingeringEnded(job, now)
    else if (ending === null) this.rooms.settler.completed(job, undefined, now)
    else if (typeof ending === 'string') this.rooms.settler.completed(job, ending, now)
    else this.rooms.settler.ended(job, this.#isStopping && gaveWay(ending) ? interrupted : ending, now)
  }

  #afterReport(thread: LaneThread, last: Job | undefined, count: number, now: number): void {
    thread.isStuck = false
    const current = thread.window?.current
    if (current?.job !== undefined && current.phase === 'prefetched')
      this.#start(thread, current, current.job, now)
    if (thread.claims !== undefined && last !== undefined) measure(last.task, thread.claims.busyMs(), count)
    if (thread.isIdle) {
      thread.isExclusive = false
      this.staffing.idled(thread, now)
    }
    if (thread.phase === 'open') this.dispatch(this.lanes[thread.lane])
    else if (thread.phase === 'retiring' && !thread.hasRunning) this.terminate(thread, 'retired')
  }

  /** Ends an execution that was given up while its thread goes on: its place is free, whatever its handler does. */
  abandon(thread: LaneThread, execution: Execution): void {
    const { job } = execution
    if (job === undefined) return
    this.abandoned++
    thread.places.end(execution)
    giveBackLimits(job, this.rooms.world.clock.now())
    this.rooms.settler.lingeringEnded(job, this.rooms.world.clock.now())
    this.dispatch(this.lanes[thread.lane])
  }

  /** Takes a running job's token away and tells its handler to stop. */
  stop(job: Job, outcome: Outcome, code: string, message: string): void {
    const thread = this.threadOf(job)
    const execution = thread?.places.find(job.token)
    if (thread === undefined || execution === undefined) return
    const now = this.rooms.world.clock.now()
    if (execution.phase === 'prefetched') this.#start(thread, execution, job, now)
    this.#overdue.stop(thread, execution, job, outcome, { code, message }, now)
  }

  /** The thread a job is with: running there, or sent ahead. */
  threadOf(job: Job): LaneThread | undefined {
    if (job.token === 0) return undefined
    return this.lanes[job.task.policy.lane].threads.find(
      (thread) => thread.places.find(job.token)?.job === job,
    )
  }

  /**
   * Takes back the jobs a cpu thread was sent but has not taken: they are ready as before.
   * @returns whether any came back
   */
  recall(thread: LaneThread): boolean {
    const { window, claims } = thread
    if (window === undefined || claims === undefined || window.outstanding === 0) return false
    const { current } = window
    const deadlineAt = current?.deadlineAt ?? Infinity
    const kept = claims.recall(window.oldest) === 0 ? current?.job : undefined
    const isWanted = current?.isValid === true
    const jobs = window.takeBackFrom(
      window.oldest + (kept === undefined ? claims.takenSince(window.oldest) : 0),
    )
    if (kept !== undefined && isWanted) this.#sendAgain(thread, kept, deadlineAt)
    else if (kept !== undefined) {
      const now = this.rooms.world.clock.now()
      giveBackLimits(kept, now)
      this.rooms.settler.lingeringEnded(kept, now)
    }
    for (const job of jobs) {
      if (job === kept) continue
      job.token = 0
      this.rooms.queue.giveBack(job)
    }
    return jobs.length > (kept === undefined ? 0 : 1)
  }

  /** The job that has the place was not taken yet: it keeps the place, under the next generation of claims. */
  #sendAgain(thread: LaneThread, job: Job, deadlineAt: number): void {
    const execution = thread.places.add(job)
    execution.deadlineAt = deadlineAt
    job.token = execution.token
    const batch = new Batch(thread.claims?.generation ?? 0, true)
    batch.add(execution, job)
    thread.port.post(batch.message())
  }

  /** Takes back every job that was sent ahead. */
  recallAll(): void {
    for (const thread of this.lanes.cpu.threads) {
      thread.port.drain()
      this.recall(thread)
    }
  }

  #watchForStuck(room: LaneRoom): void {
    if (room.stuckCheck?.isArmed === true) return
    const at = this.rooms.world.clock.now() + stuckAfterMs
    room.stuckCheck = this.rooms.agenda.alarm(at, () => this.#recallStuck(room))
  }

  /** Jobs sent ahead of a thread that has not moved since the last look would wait behind a long job: take them back. */
  #recallStuck(room: LaneRoom): void {
    let isWaiting = false
    for (const thread of room.threads) {
      thread.port.drain()
      const { window } = thread
      if (window === undefined || window.outstanding < 2) continue
      if (window.oldest === thread.lastSeenOldest) {
        thread.isStuck = true
        this.recall(thread)
      } else isWaiting = true
      thread.lastSeenOldest = window.oldest
    }
    this.dispatch(room)
    if (isWaiting) this.#watchForStuck(room)
  }

  /** A thread is gone: whoever is to blame failed, the others are ready again. */
  exited(thread: LaneThread, exit: ThreadExit): void {
    const now = this.rooms.world.clock.now()
    const room = this.lanes[thread.lane]
    this.staffing.left(thread, exit)
    for (const { job, isValid, isStarted, outcome } of blame(thread, exit)) {
      if (isStarted) giveBackLimits(job, now)
      if (outcome === undefined) {
        job.token = 0
        this.rooms.queue.giveBack(job)
      } else if (isValid) {
        if (!isStarted) this.rooms.journal.start(job, now)
        this.rooms.settler.ended(job, outcome, now)
      } else this.rooms.settler.lingeringEnded(job, now)
    }
    this.dispatch(room)
  }

  /** Tells every running handler to stop, without taking its token: what it still finishes counts. */
  tellAll(code: string, message: string): void {
    this.#isStopping = true
    for (const thread of this.#threads()) {
      for (const { token, phase } of thread.places.values()) {
        if (phase === 'running') thread.port.post({ kind: 'abort', token, code, message })
      }
    }
  }

  /** The longest grace that a running job's task asks for. */
  get longestKillAfterMs(): number {
    let longest = 0
    for (const thread of this.#threads()) {
      for (const { job } of thread.places.values())
        longest = Math.max(longest, job?.task.policy.killAfterMs ?? 0)
    }
    return longest
  }

  /** Stops every thread; the scheduler is closing. Who waits for a first open thread is told. */
  stopThreads(): void {
    for (const { starters } of Object.values(this.lanes)) {
      for (const { failed } of starters.splice(0)) failed(new ClosedError())
    }
    for (const thread of this.#threads()) this.terminate(thread, 'closing')
  }

  #threads(): LaneThread[] {
    return [...this.lanes.cpu.threads, ...this.lanes.io.threads, ...this.lanes.main.threads]
  }

  /** Stops a thread by force; what ran on it is sorted out when it has exited. */
  terminate(thread: LaneThread, reason: StopReason): void {
    if (thread.phase === 'stopping') return
    thread.phase = 'stopping'
    thread.stopReason = reason
    thread.port.terminate()
  }
}

function hasExpired(job: Job, now: number): boolean {
  return job.details?.expiresAt !== undefined && job.details.expiresAt <= now
}

/** The execution has really ended: what its start took of the limits can be had again. */
function giveBackLimits(job: Job, now: number): void {
  const limits = job.details?.gates?.limits
  if (limits !== undefined) for (const limit of limits) limit.gaveBack(now)
}

const interrupted: Outcome = { kind: 'interrupted' }

/** A handler that threw the reason of its signal, or an error because of it, stopped through no fault of its own. */
function gaveWay(outcome: Outcome): boolean {
  if (outcome.kind !== 'threw') return false
  const { code, cause } = outcome.error
  return code === 'ERR_SIDEWORK_CLOSING' || cause?.code === 'ERR_SIDEWORK_CLOSING'
}

/** Jobs sent ahead are called back when their thread has not moved for this long. */
const stuckAfterMs = 5
