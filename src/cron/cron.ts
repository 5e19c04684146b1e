/**
 * The public surface of recurring jobs.
 *
 *      schedule ─▶ guard ─▶ fields ─▶ timetable ─▶ book ─── due ──▶ plan ─▶ firing ─▶ the scheduler's defer
 *      every ───────────────────────▶ timetable ──┘
 */
import cluster from 'node:cluster'
import type { AddOnPort } from '../add-on-port.js'
import { ClosedError, fromLineOf, OptionError, SideworkError } from '../errors.js'
import { integer, key, knownAre, ownOptions, show, type Duration } from '../options.js'
import type { InlineHandler, Job, Scheduler } from '../scheduler.js'
import type { Task } from '../task/define-task.js'
import { FormerSchedules } from './former-schedules.js'
import { severalInstances } from './instances.js'
import type { LeaderHook } from './leader.js'
import { ownScheduler } from '../own-scheduler.js'
import type { Schedule, ScheduleFacts } from './schedule.js'
import { ScheduleBook } from './schedule-book.js'
import { readEvery, readSchedule, warningOf, type ScheduleCall } from './schedule-call.js'
import { readInstant, type EveryOptions, type ScheduleOptions } from './schedule-options.js'
import { snapshotOf, type ScheduleSnapshot } from './schedule-snapshot.js'

/** Options of `createCron`. */
export interface CronOptions {
  /**
   * Where several processes have the same schedules: whether this one runs what is due. Asked at each wake with something
   * due. Throwing, rejecting and 10 s without an answer count as a failure: the runs are skipped. Default: always.
   */
  leader?: LeaderHook | undefined
}

/** All of a scheduler: a name is that of one schedule, whichever of them made it. */
interface Family {
  readonly crons: Set<Cron>
  readonly former: FormerSchedules
}

const families = new WeakMap<Scheduler, Family>()
const cronNames: ReadonlySet<string> = new Set(['leader'])
const mostNextRuns = 1_000

/** Defers jobs again and again. Made by `createCron`. */
export class Cron {
  readonly #port: AddOnPort
  readonly #book: ScheduleBook
  readonly #hasLeader: boolean
  readonly #others: ReadonlySet<Cron>
  #hasLookedAround = false

  /** @internal Use `createCron`. */
  constructor(scheduler: Scheduler, leader: LeaderHook | undefined) {
    this.#port = ownScheduler('createCron()', scheduler).attach({ stop: () => this.#book.stop() })
    const family = families.get(scheduler) ?? { crons: new Set(), former: new FormerSchedules() }
    families.set(scheduler, family)
    this.#book = new ScheduleBook(this.#port, family.former, leader)
    this.#hasLeader = leader !== undefined
    this.#others = family.crons.add(this)
  }

  /**
   * Defers a job whenever the expression says. A schedule of the same name is replaced.
   * @param name 1–256 bytes
   * @param expression 5 fields (minute hour day month weekday) or 6 (second first) as node-cron reads them, or a nickname
   *   such as '@daily'
   * @param payload as of `defer`: checked and copied at the call
   * @throws SideworkError (ERR_SIDEWORK_CRON_EXPRESSION) for an expression that is none or never comes; OptionError; what
   *   `defer` throws for bad input; ClosedError
   * @example
   * cron.schedule('nightly-report', '0 2 * * *', generateReport, { format: 'pdf' }, { timezone: 'Europe/Berlin' })
   */
  schedule(name: string, expression: string, task: string, payload?: unknown, options?: ScheduleOptions): void
  schedule(name: string, expression: string, fn: InlineHandler, options?: ScheduleOptions): void
  schedule(name: string, expression: string, task: Task<undefined>): void
  schedule<I>(
    name: string,
    expression: string,
    task: Task<I>,
    payload: NoInfer<I>,
    options?: ScheduleOptions,
  ): void
  schedule(name: string, expression: string, task: unknown, ...rest: readonly unknown[]): void {
    fromLineOf(schedule, () => this.#add(readSchedule(name, expression, task, rest, this.#port.clock)))
  }

  /**
   * Defers a job at a fixed interval of real time, whatever the clock on the wall does; the first after one interval, or at
   * `startAt`. A schedule of the same name is replaced.
   * @param interval above 0; a whole number of ms, else rounded up
   * @throws OptionError, what `defer` throws for bad input, ClosedError
   * @example
   * cron.every('cleanup-sessions', '15m', () => sessions.removeExpired())
   */
  every(name: string, interval: Duration, task: string, payload?: unknown, options?: EveryOptions): void
  every(name: string, interval: Duration, fn: InlineHandler, options?: EveryOptions): void
  every(name: string, interval: Duration, task: Task<undefined>): void
  every<I>(name: string, interval: Duration, task: Task<I>, payload: NoInfer<I>, options?: EveryOptions): void
  every(name: string, interval: Duration, task: unknown, ...rest: readonly unknown[]): void {
    fromLineOf(every, () => this.#add(readEvery(name, interval, task, rest, this.#port.clock)))
  }

  /** All schedules, in the order in which they were made. */
  list(): ScheduleSnapshot[] {
    return this.#book.all().map((schedule) => snapshotOf(schedule, this.#port.clock))
  }

  /** The schedule as it is now, or undefined for an unknown name and one that has ended. */
  get(name: string): ScheduleSnapshot | undefined {
    const schedule = this.#book.get(name)
    return schedule === undefined ? undefined : snapshotOf(schedule, this.#port.clock)
  }

  /** No runs until `resume`; jobs that were deferred go on. @returns false when it is unknown or paused already */
  pause(name: string): boolean {
    return this.#book.pause(name)
  }

  /** Runs go on; those that came while it was paused are not made up for. @returns false when it was not paused */
  resume(name: string): boolean {
    return this.#book.resume(name)
  }

  /**
   * Defers a job of the schedule at once, also while it is paused and whatever `overlap` says.
   * @throws SideworkError (ERR_SIDEWORK_UNKNOWN_SCHEDULE), what `defer` throws
   */
  runNow(name: string): Job {
    return fromLineOf(runNow, () => {
      if (this.#port.isClosing()) throw new ClosedError() // and no name is known any more
      return this.#book.runNow(this.#find(name))
    })
  }

  /** Takes the schedule away; jobs that were deferred go on. @returns false when it is unknown */
  remove(name: string): boolean {
    return this.#book.remove(name)
  }

  /**
   * The next `count` instants strictly after `from` (default: now), in ms since the epoch; fewer where the schedule ends.
   * Jitter comes on top of them, `maxRuns` and pauses are not looked at.
   * @param count 1–1,000
   * @throws SideworkError (ERR_SIDEWORK_UNKNOWN_SCHEDULE), OptionError
   */
  nextRuns(name: string, count: number, from?: Date | number): number[] {
    const { timetable } = this.#find(name)
    const { clock } = this.#port
    integer('count', count, 1, mostNextRuns)
    // What an interval's instants are ahead of the epoch: the way to `wallAt` and back, whatever the wall clock has drifted.
    const offset = timetable.scale === 'wall' ? 0 : clock.wallAt(0)
    const now = timetable.scale === 'wall' ? clock.wall() : clock.now()
    const runs: number[] = []
    let instant = timetable.next(from === undefined ? now : readInstant('from', from) - offset)
    while (instant !== undefined && runs.length < count) {
      runs.push(instant + offset)
      instant = timetable.next(instant)
    }
    return runs
  }

  #add(call: ScheduleCall): void {
    const { name, timetable, task, payload, read } = call
    if (this.#port.isClosing()) throw new ClosedError()
    const prepared = this.#port.prepare(task, payload, read.defer)
    const facts: ScheduleFacts = {
      name: key('name', name),
      timetable,
      policy: read.policy,
      prepared,
    }
    if (!this.#book.add(facts)) {
      throw new OptionError(`Schedule '${name}' has no run ahead: endAt is over, or comes before the first.`)
    }
    for (const other of this.#others) if (other !== this) other.remove(facts.name)
    this.#book.takeOver(facts.name)
    this.#lookAround()
    const { logger } = this.#port
    if (logger?.isLevelEnabled('info') === true) {
      const { description, nextRunAt } = this.get(name) ?? {}
      logger.info({ schedule: name, nextRunAt }, `schedule '${name}' runs ${description}`)
    }
    const warning = warningOf(call)
    if (warning !== undefined) logger?.warn({ schedule: name }, warning)
  }

  /** Once: whether other processes have these schedules too. */
  #lookAround(): void {
    if (this.#hasLookedAround || this.#hasLeader) return
    this.#hasLookedAround = true
    const why = severalInstances({ clusterWorker: cluster.worker?.id, environment: process.env })
    if (why === undefined) return
    this.#port.logger?.warn(
      {},
      `${why}: each has its own schedules, so every run takes place in each. ` +
        'Give createCron a leader hook, or schedule in one of them only.',
    )
  }

  #find(name: string): Schedule {
    const schedule = this.#book.get(name)
    if (schedule !== undefined) return schedule
    const known = this.#book.all().map((one) => one.name)
    const isOfOther = [...this.#others].some((other) => other.#book.get(name) !== undefined)
    throw new SideworkError(
      'ERR_SIDEWORK_UNKNOWN_SCHEDULE',
      isOfOther
        ? `Schedule ${show(name)} was made by another createCron() of this scheduler. Make one, and hand it to whoever needs it.`
        : `No schedule is named ${show(name)}. ${knownAre(known, name)}`,
    )
  }
}

// As they stand on the stack, whatever somebody puts in their places later.
// eslint-disable-next-line @typescript-eslint/unbound-method -- never called
const { schedule, every, runNow } = Cron.prototype

/**
 * Recurring jobs for a scheduler. Starts nothing until something is scheduled; `scheduler.close()` stops it. While a
 * schedule is active (not paused) the process stays alive.
 * @throws OptionError for what is no scheduler and for unknown options; ClosedError
 */
export function createCron(scheduler: Scheduler, options: CronOptions = {}): Cron {
  return fromLineOf(createCron, () => {
    const { leader } = ownOptions('createCron', options, cronNames)
    if (leader !== undefined && typeof leader !== 'function')
      throw new OptionError(`leader is ${show(leader)}. Give a function that answers true or false.`)
    return new Cron(scheduler, leader as LeaderHook | undefined) // what it answers is judged when it does
  })
}
