/** One job of a schedule, from its defer until it has settled. */
import type { Waiter } from '../job/job.js'
import type { Job } from '../scheduler.js'
import type { Schedule } from './schedule.js'

/** Told of each run that is over. */
export interface OpenRunListener {
  runOver(schedule: Schedule): void
}

export class OpenRun implements Waiter {
  /** Whose run it is: the schedule that deferred it, or the one that took that one's name. */
  schedule: Schedule
  #listener: OpenRunListener
  #job: Job | undefined
  /** Where it stands in `schedule.open`. */
  #place = 0

  constructor(schedule: Schedule, listener: OpenRunListener) {
    this.schedule = schedule
    this.#listener = listener
  }

  /** Counts from here on until the job has settled, which for a duplicate may be so already. @throws what `defer` throws */
  begin(defer: (run: OpenRun) => Job): Job {
    const { schedule } = this
    if (schedule.open === undefined) schedule.open = [this]
    else this.#place = schedule.open.push(this) - 1
    try {
      return (this.#job = defer(this))
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  cancel(reason: string): void {
    this.#job?.cancel(reason)
  }

  settled(): void {
    this.#leave()
    this.#listener.runOver(this.schedule)
  }

  /** It is a run of that schedule from here on, whose listener is told of its end. */
  joins(schedule: Schedule, listener: OpenRunListener): void {
    this.schedule = schedule
    this.#listener = listener
  }

  /** The last one takes its place: with 'allow' there may be many, and their order says nothing. */
  #leave(): void {
    const { open } = this.schedule
    const last = open?.pop()
    if (open === undefined || last === undefined || last === this) return
    open[this.#place] = last
    last.#place = this.#place
  }
}

/** The runs of a schedule that is gone are those of the one that has its name. */
export function takeOver(from: Schedule, to: Schedule, listener: OpenRunListener): void {
  to.open = from.open
  from.open = undefined
  for (const run of to.open ?? []) run.joins(to, listener)
}
