/** Everything that waits for its time: delayed jobs and alarms, in one heap behind one timer. */
import type { Disarmable, Job } from '../job/job.js'
import type { World } from '../world.js'
import { TimeHeap } from './time-heap.js'

/** Something to be done at an instant. Goes before jobs that are due at the same time. */
class AgendaAlarm implements Disarmable {
  readonly seq = -1
  place = 0
  readonly run: (now: number) => void
  readonly #agenda: Agenda
  isArmed = true

  constructor(agenda: Agenda, run: (now: number) => void) {
    this.#agenda = agenda
    this.run = run
  }

  disarm(): void {
    if (this.isArmed) this.#agenda.disarm(this)
  }
}

export type { AgendaAlarm }

export class Agenda {
  readonly #world: World
  readonly #heap = new TimeHeap<Job | AgendaAlarm>()
  readonly #wake: () => void
  #armedAt: number | undefined
  #isClosed = false

  /** @param wake called when something may be due; it should call `doNext` until there is nothing more, then `rearm` */
  constructor(world: World, wake: () => void) {
    this.#world = world
    this.#wake = wake
  }

  get size(): number {
    return this.#heap.size
  }

  addJob(job: Job, at: number): void {
    this.#heap.add(job, at)
    this.#arm()
  }

  removeJob(job: Job): void {
    this.#heap.remove(job)
    this.#arm()
  }

  /** Calls `run` at the instant or soon after. */
  alarm(at: number, run: (now: number) => void): AgendaAlarm {
    const alarm = new AgendaAlarm(this, run)
    this.#heap.add(alarm, at)
    this.#arm()
    return alarm
  }

  disarm(alarm: AgendaAlarm): void {
    alarm.isArmed = false
    this.#heap.remove(alarm)
    this.#arm()
  }

  /** Takes out the earliest that is due: an alarm is run, a job goes to `due`. @returns false when nothing is due */
  doNext(now: number, due: (job: Job) => void): boolean {
    const isDue = this.#heap.firstAt + this.#world.clock.resolutionMs <= now
    const first = isDue ? this.#heap.shift() : undefined
    if (first === undefined) return false
    if (first instanceof AgendaAlarm) {
      first.isArmed = false
      first.run(now)
    } else due(first)
    return true
  }

  /** Jobs that `doNext` would give out, in that order, or none where more than `most` are due; they stay. */
  jobsDue(now: number, most: number): Job[] {
    const due = this.#heap.until(now - this.#world.clock.resolutionMs, most)
    return due.filter((item): item is Job => !(item instanceof AgendaAlarm))
  }

  /** The earliest instant; Infinity when empty. */
  get nextAt(): number {
    return this.#heap.firstAt
  }

  /** Sets the timer to the earliest instant. Called after a round of `doNext`. */
  rearm(): void {
    this.#armedAt = undefined
    this.#arm()
  }

  /** Nothing falls due any more, whatever is still noted. */
  close(): void {
    this.#isClosed = true
  }

  #arm(): void {
    if (this.#isClosed) return
    const at = this.#heap.firstAt === Infinity ? undefined : this.#heap.firstAt
    if (at === this.#armedAt) return
    this.#armedAt = at
    this.#world.armTimer(at, this.#wake)
  }
}
