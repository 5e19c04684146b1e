/**
 * Where every waiting job stands, and nothing else: the agenda (delayed, retrying), the ordering lines (blocked) and one
 * ready queue per lane. A job is in exactly one of them, by its state.
 *
 *      enter ──▶ agenda ──due──▶ line of its key ──head──▶ ready queue of its lane ──▶ dispatch
 *                  ▲                                            │  ▲
 *                  └────────── wait (retry, snooze) ────────────┘  └── giveBack (interrupted)
 */
import type { Job, LimitKeys } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import type { Lane } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import type { Clock } from '../world.js'
import type { Agenda } from './agenda.js'
import { LaneQueue } from './lane-queue.js'
import type { LimitBook } from './limit-book.js'
import { OrderingLines } from './ordering-lines.js'

/** As many as take some 0.1 ms to look at. */
const mostSeated = 1000

/** The rooms a queue works with. */
export interface QueueRooms {
  readonly agenda: Agenda
  readonly journal: Journal
  readonly limits: LimitBook
  readonly clock: Clock
}

export class Queue {
  readonly ready: Readonly<Record<Lane, LaneQueue>>
  readonly lines = new OrderingLines()
  readonly #agenda: Agenda
  readonly #journal: Journal
  readonly #clock: Clock
  /** When those that are due last joined their lines, if the timer was late. */
  #seatedAt = -1
  /** Told when a job became ready, so that its lane is looked at. */
  readonly #wake: (lane: Lane) => void

  constructor(rooms: QueueRooms, aging: number | false, wake: (lane: Lane) => void) {
    this.#agenda = rooms.agenda
    this.#journal = rooms.journal
    this.#clock = rooms.clock
    this.#wake = wake
    const port = {
      now: () => rooms.clock.now(),
      gatesOf: (job: Job) => (job.task.isGated ? rooms.limits.gatesOf(job) : undefined),
      wake,
    }
    this.ready = {
      cpu: new LaneQueue('cpu', aging, port),
      io: new LaneQueue('io', aging, port),
      main: new LaneQueue('main', aging, port),
    }
  }

  /** Lets the jobs of a task that is paused pass its gates, which are new to some of them. */
  regate({ name, pausing }: TaskRecord): void {
    pausing.wasPaused = true
    // A task that was defined anew may have jobs of its old definition, perhaps in another lane.
    for (const lane of Object.values(this.ready))
      for (const job of lane.takeAll(({ task }) => task.name === name)) lane.push(job)
  }

  /** A job that was just accepted in state `ready`: the usual case, without delay or key. */
  enterReady(job: Job): void {
    this.ready[job.task.policy.lane].push(job)
    this.#wake(job.task.policy.lane)
  }

  /** A job that is taken back joins its key's line before it is placed. Only a head that may run goes on being retried. */
  joinLine(job: Job): void {
    if (!this.#mayRun(job)) job.state = 'ready'
  }

  /** A new job, before it is accepted: decides the state it begins in and puts it there. */
  place(job: Job, now: number): void {
    const runAt = job.details?.runAt
    if (runAt !== undefined && runAt > now) {
      if (job.state !== 'retrying') job.state = 'scheduled' // else it was taken back
      this.#agenda.addJob(job, runAt)
    } else if (this.#mayRunNow(job, now)) this.enterReady(job)
    else job.state = 'blocked'
  }

  /** An accepted job that was held, or waited for another to settle: goes where its delay and key say. */
  enter(job: Job, now: number): void {
    const runAt = job.details?.runAt
    if (runAt === undefined || runAt <= now) {
      this.seatDue(job, now)
      return this.due(job, now)
    }
    this.#journal.schedule(job)
    this.#agenda.addJob(job, runAt)
  }

  /** Makes a job that has not started wait until `runAt`. It joins its line anew then. */
  postpone(job: Job, runAt: number, now: number): void {
    job.more().runAt = runAt
    const waitsForOther = job.state === 'blocked' && !this.lines.has(job)
    if (job.state === 'held' || waitsForOther || runAt <= now) return
    if (job.details?.afterLingering === 'join-again') job.details.afterLingering = 'stay'
    else this.take(job)
    if (job.state !== 'scheduled') this.#journal.schedule(job)
    // An execution that is still ending keeps the key.
    if (job.details?.isLingering !== true) this.leaveLine(job, now)
    this.#agenda.addJob(job, runAt)
  }

  /** A job that has not started got another payload: it passes the limits of that one's keys. */
  setLimitKeys(job: Job, keys: LimitKeys | undefined): void {
    // One whose old execution is still ending stands nowhere.
    const isQueued = job.state === 'ready' && job.details?.isLingering !== true
    if (isQueued) this.take(job)
    job.more().limitKeys = keys
    if (isQueued) this.enterReady(job)
  }

  /** Such a job got a payload with an ordering key of its own: it joins that key's line. */
  setOrderingKey(job: Job, key: string | undefined, now: number): void {
    const details = job.more()
    const { orderingKey: old } = details
    // An execution that is still ending keeps its key.
    if (key === undefined || key === old || details.isLingering) return
    const isQueued = job.state === 'ready'
    // One that is delayed, or waits for another to settle, joins a line later.
    const joins = isQueued || (job.state === 'blocked' && this.lines.has(job))
    if (isQueued) this.take(job)
    this.leaveLine(job, now)
    details.orderingKey = key
    this.#seatedAt = -1 // it may be due, too
    const mayRun = joins && this.#mayRunNow(job, now)
    if (isQueued && mayRun) this.enterReady(job)
    else if (isQueued) this.#journal.block(job)
    else if (mayRun) this.makeReady(job, now)
  }

  /** Puts a job to wait until its instant, keeping its place in its line. */
  wait(job: Job, until: number): void {
    job.more().runAt = until
    this.#agenda.addJob(job, until)
  }

  /**
   * A job whose time has come.
   * @param readyAt since when it could have started: after its due time, if something else held it up until then
   */
  due(job: Job, readyAt: number): void {
    if (this.#mayRun(job)) this.makeReady(job, readyAt)
    else if (job.state !== 'blocked') this.#journal.block(job)
  }

  /**
   * Before a job joins its line: those that are due, though a blocked event loop has kept the timer from saying so, join
   * theirs. They stay in the agenda until it does. Of very many, which the timer is at already, none is looked at.
   */
  seatDue(newcomer: Job, now: number): void {
    if (newcomer.details?.orderingKey === undefined || this.#seatedAt === now) return
    this.#seatedAt = now // no other falls due in the same instant
    for (const job of this.#agenda.jobsDue(now, mostSeated)) {
      const { details } = job
      const key = details?.orderingKey
      const joins = job.state === 'scheduled' && details?.isLingering !== true && !this.lines.has(job)
      if (key !== undefined && joins) this.lines.join(job, key)
    }
  }

  makeReady(job: Job, readyAt: number): void {
    job.readyAt = readyAt
    this.#journal.ready(job)
    this.enterReady(job)
  }

  /** A job that was taken but not started, or whose execution was interrupted: ready again where it stood. */
  giveBack(job: Job): void {
    this.enterReady(job)
  }

  /** Takes a waiting job out of wherever it stands, its line excepted. */
  take(job: Job): void {
    const { details } = job
    // It waits for its old execution to end, and stands nowhere.
    if (details !== undefined && details.afterLingering !== 'stay') details.afterLingering = 'stay'
    else if (job.state === 'ready') this.ready[job.task.policy.lane].remove(job)
    else if (job.state === 'scheduled' || job.state === 'retrying') this.#agenda.removeJob(job)
  }

  /** A settled job whose execution has really ended leaves its line; the next one of its key may run. */
  leaveLine(job: Job, now: number): void {
    const key = job.details?.orderingKey
    if (key === undefined) return
    const next = this.lines.leave(job, key)
    if (next?.state === 'blocked') this.makeReady(next, now)
  }

  /** A job of a new generation, in state `ready`: joins its key's line at the end. */
  enterAgain(job: Job): void {
    if (this.#mayRunNow(job, this.#clock.now())) this.enterReady(job)
    else this.#journal.block(job)
  }

  /**
   * Lets a halted key go on.
   * @param first a job that goes before all others of the key: in state `ready` it stands nowhere, else it is blocked by the key
   */
  releaseKey(key: string, now: number, first?: Job): void {
    if (first !== undefined) this.lines.leave(first, key)
    const head = this.lines.release(key)
    // Jobs that were restored halted the key, when one that had come before them was at work.
    const begun = head?.state === 'blocked' ? undefined : head
    if (first !== undefined) this.lines.joinFirst(first, key, begun)
    if (begun !== undefined) {
      if (first?.state === 'ready') this.#journal.block(first)
      return
    }
    if (first?.state === 'ready') return this.enterReady(first)
    const next = first ?? head
    if (next?.state === 'blocked') this.makeReady(next, now)
  }

  /** Of a job that comes now: like `#mayRun`, behind those that were due before. */
  #mayRunNow(job: Job, now: number): boolean {
    this.seatDue(job, now)
    return this.#mayRun(job)
  }

  /** Joins the line of its key, unless it stands there. @returns whether it is the head of a line that moves */
  #mayRun(job: Job): boolean {
    const key = job.details?.orderingKey
    if (key === undefined) return true
    if (this.lines.has(job)) return this.lines.mayRun(job, key)
    return this.lines.join(job, key)
  }
}
