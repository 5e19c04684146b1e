/** From a decision to jobs: overlap, refusals, events and log lines. */
import type { AddOnPort } from '../add-on-port.js'
import type { SchedulerEvents } from '../events/event-types.js'
import type { ScheduleContext } from '../job/snapshot.js'
import type { Job } from '../scheduler.js'
import type { Leadership } from './leader.js'
import { OpenRun, type OpenRunListener } from './open-run.js'
import type { Plan } from './plan.js'
import type { DueRun, Schedule } from './schedule.js'
import { reading } from './timetable.js'

const missed =
  'a schedule missed runs: the process stood still, the clock was set, or leader() took its time to answer'

type SkipReason = SchedulerEvents['schedule:skipped']['reason']
type FireReason = SchedulerEvents['schedule:fired']['reason']

/** Told how runs go on. */
export interface FiringListener {
  /** The last run of a schedule began after it had waited. */
  exhausted(schedule: Schedule): void
  /** A run of a schedule is over, and the one that waited for it has begun. */
  over(schedule: Schedule): void
}

export class Firing implements OpenRunListener {
  readonly #port: AddOnPort
  readonly #listener: FiringListener

  constructor(port: AddOnPort, listener: FiringListener) {
    this.#port = port
    this.#listener = listener
  }

  /** Runs, skips and tells what the plan decided. */
  carryOut(schedule: Schedule, decided: Plan, leadership: Leadership): void {
    if (decided.missed > 0) this.#missed(schedule, decided)
    const runs = dueRuns(schedule, decided)
    if (leadership === 'leader') this.#meetOthers(schedule, runs)
    else this.#skipAll(schedule, runs, leadership)
  }

  /** A job at once, whatever else of the schedule runs. @throws what `defer` throws */
  runNow(schedule: Schedule): Job {
    const { clock } = this.#port
    const context = { name: schedule.name, firedFor: clock.wall(), lateBy: 0 }
    return this.#defer(schedule, context, 'run-now')
  }

  /**
   * The overlap policy. Runs that are made up for together are one series: one after another, unless all may run. What comes
   * after the last run that `maxRuns` allows comes after the schedule's end.
   */
  #meetOthers(schedule: Schedule, runs: readonly DueRun[]): void {
    const [first, ...others] = runs
    if (first === undefined) return
    switch (schedule.policy.overlap) {
      case 'allow':
        for (const run of runs) if (!schedule.isExhausted) this.#fire(schedule, run)
        return
      case 'replace':
        return this.#replace(schedule, runs)
      case 'skip':
        if (schedule.isBusy) return this.#skipAll(schedule, runs, 'overlap')
        break
      case 'queue':
        if (schedule.backlog !== undefined) return this.#skipAll(schedule, runs, 'overlap')
        if (schedule.isBusy) {
          schedule.backlog = [...runs]
          return
        }
    }
    this.#fire(schedule, first)
    if (others.length > 0 && !schedule.isExhausted) this.#wait(schedule, others)
  }

  #replace(schedule: Schedule, runs: readonly DueRun[]): void {
    const last = runs.at(-1)
    this.#skipAll(schedule, runs.slice(0, -1), 'overlap')
    const reason = `A later run of schedule '${schedule.name}' took its place.`
    // A copy, as those that settle leave the list.
    for (const run of [...(schedule.open ?? [])]) run.cancel(reason)
    if (last !== undefined) this.#fire(schedule, last)
  }

  #wait(schedule: Schedule, runs: DueRun[]): void {
    schedule.backlog = runs
    // A refused job settles nothing, so nothing would call the next.
    if ((schedule.open?.length ?? 0) === 0) this.#next(schedule)
  }

  /** The job before has settled: the next of the backlog may go. */
  #next(schedule: Schedule): void {
    while (schedule.backlog !== undefined && (schedule.open?.length ?? 0) === 0) {
      const run = schedule.backlog.shift()
      if (schedule.backlog.length === 0) schedule.backlog = undefined
      if (run !== undefined) this.#fire(schedule, run)
      if (schedule.isExhausted) schedule.backlog = undefined
    }
  }

  #fire(schedule: Schedule, run: DueRun): void {
    // A handler that was cancelled for this run hears of it at once, and may have paused or removed the schedule.
    if (schedule.state === 'paused' || schedule.state === 'removed') return
    try {
      this.#defer(schedule, this.#context(schedule, run), run.reason)
    } catch (error) {
      this.#refused(schedule, run, error)
      return
    }
    schedule.runCount++
    schedule.lastFiredFor = this.#wallOf(schedule, run.instant)
  }

  #defer(schedule: Schedule, context: ScheduleContext, reason: FireReason): Job {
    const job = new OpenRun(schedule, this).begin((run) => this.#port.deferPrepared(schedule, context, run))
    const { events, clock } = this.#port
    if (events.wants['schedule:fired']) {
      events.emit('schedule:fired', { ...context, id: job.id, task: job.task, reason, at: clock.wall() })
    }
    return job
  }

  /** The next of the backlog may go: after the current call, as settling is under way. */
  runOver(schedule: Schedule): void {
    if (schedule.backlog === undefined) return this.#listener.over(schedule)
    this.#port.soon(() => {
      this.#next(schedule)
      if (schedule.isExhausted) this.#listener.exhausted(schedule)
      this.#listener.over(schedule)
    })
  }

  #context(schedule: Schedule, { instant, jitterMs }: DueRun): ScheduleContext {
    const { clock } = this.#port
    const { name, timetable } = schedule
    const lateBy = Math.max(0, Math.floor(reading(clock, timetable.scale) - instant - jitterMs))
    return Object.freeze({ name, firedFor: this.#wallOf(schedule, instant), lateBy })
  }

  /** Ms since the epoch of an instant of the schedule. */
  #wallOf({ timetable }: Schedule, instant: number): number {
    return timetable.scale === 'wall' ? instant : this.#port.clock.wallAt(instant)
  }

  #missed(schedule: Schedule, { missed: count, last }: Plan): void {
    const { events, clock } = this.#port
    const { name } = schedule
    const firedFor = this.#wallOf(schedule, last)
    if (events.wants['schedule:missed'])
      events.emit('schedule:missed', { name, firedFor, count, at: clock.wall() })
    this.#log('warn', { schedule: name, count }, missed)
  }

  #skipAll(schedule: Schedule, runs: readonly DueRun[], reason: SkipReason): void {
    for (const run of runs) this.#skipped(schedule, run, reason)
  }

  #skipped(schedule: Schedule, { instant }: DueRun, reason: SkipReason): void {
    const { events, clock } = this.#port
    const { name } = schedule
    const firedFor = this.#wallOf(schedule, instant)
    if (events.wants['schedule:skipped'])
      events.emit('schedule:skipped', { name, firedFor, reason, at: clock.wall() })
    if (reason !== 'not-leader')
      this.#log('info', { schedule: name, reason }, 'a run of a schedule was skipped')
  }

  #refused(schedule: Schedule, run: DueRun, error: unknown): void {
    const isFull = (error as { code?: unknown } | null)?.code === 'ERR_SIDEWORK_QUEUE_FULL'
    if (!isFull) {
      const err = this.#port.shownError(schedule, error)
      this.#log('error', { err, schedule: schedule.name }, 'a run of a schedule was refused')
    }
    this.#skipped(schedule, run, isFull ? 'queue-full' : 'refused')
  }

  /** A schedule may come every few milliseconds. */
  #log(level: 'info' | 'warn' | 'error', fields: object, message: string): void {
    const { logger } = this.#port
    if (logger !== undefined && this.#port.mayLog(message)) logger[level](fields, message)
  }
}

/** What the plan says to run. */
function dueRuns({ jitterMs }: Schedule, decided: Plan): DueRun[] {
  return decided.runs.map((instant) => {
    const isDue = decided.isOnTime && instant === decided.last
    return { instant, jitterMs, reason: isDue ? 'due' : 'catch-up' }
  })
}
