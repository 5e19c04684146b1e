/**
 * Schedules that are gone while jobs of theirs are not, by name: whichever schedule takes the name next has those jobs. One
 * for all crons of a scheduler, as names are.
 */
import { takeOver, type OpenRunListener } from './open-run.js'
import type { Schedule } from './schedule.js'

export class FormerSchedules {
  /** Each has a job that has not settled, or a run that waits for it. */
  readonly #byName = new Map<string, Schedule>()

  get size(): number {
    return this.#byName.size
  }

  /** The schedule has ended or was removed. */
  keep(schedule: Schedule): void {
    if (schedule.isBusy) this.#byName.set(schedule.name, schedule)
  }

  /**
   * The name is that of another schedule: what is unsettled is of that one, what only waited to run does not run.
   * @param listener told of each run that is over from here on
   */
  handOver(to: Schedule, listener: OpenRunListener): void {
    const from = this.#byName.get(to.name)
    if (from === undefined) return
    this.#byName.delete(to.name)
    from.state = 'removed'
    takeOver(from, to, listener)
  }

  /** What waited to run does not run any more. */
  stop(): void {
    for (const schedule of this.#byName.values()) {
      schedule.state = 'removed'
      schedule.backlog = undefined
    }
  }

  /** A run of a schedule, perhaps of one of these, is over. */
  over(schedule: Schedule): void {
    if (this.#byName.size === 0 || schedule.isBusy) return
    if (this.#byName.get(schedule.name) === schedule) this.#byName.delete(schedule.name)
  }
}
