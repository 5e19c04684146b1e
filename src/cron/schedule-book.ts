/**
 * The schedules of one scheduler, behind one alarm.
 *
 *      alarm ─▶ wake ─▶ was the clock set back? ─▶ leader? ─▶ sweep: plan ─▶ fire ─▶ note the next instant ─▶ alarm
 *                                                               ▲                        │
 *                                                               └── a slice of 2 ms ─────┘
 *
 * The alarm is never armed for longer than 30 s, since it counts on the monotonic clock while expressions are about the
 * wall clock: that is how a clock that was set and a machine that slept are noticed. In virtual time neither happens.
 */
import type { AddOnPort } from '../add-on-port.js'
import type { Disarmable } from '../job/job.js'
import { Awaiting, scales } from './awaiting.js'
import { Firing } from './firing.js'
import type { FormerSchedules } from './former-schedules.js'
import { askLeader, type LeaderHook, type Leadership } from './leader.js'
import { plan, type CatchUpPolicy } from './plan.js'
import { Schedule, type ScheduleFacts } from './schedule.js'
import { reading } from './timetable.js'
import { Slice } from '../slice.js'

const firesPerReading = 16

const leaderFailed = 'the leader hook of cron failed; runs are skipped'

export class ScheduleBook {
  readonly #port: AddOnPort
  readonly #leader: LeaderHook | undefined
  readonly #former: FormerSchedules
  readonly #firing: Firing
  readonly #byName = new Map<string, Schedule>()
  readonly #awaiting: Awaiting
  #made = 0
  #alarm: Disarmable | undefined
  #armedAt = Infinity
  /** A sweep goes on in a later turn, or the leader hook is being asked. */
  #isUnderWay = false

  constructor(port: AddOnPort, former: FormerSchedules, leader: LeaderHook | undefined) {
    this.#port = port
    this.#former = former
    this.#leader = leader
    this.#firing = new Firing(port, {
      exhausted: (schedule) => this.#exhausted(schedule),
      over: (schedule) => former.over(schedule),
    })
    this.#awaiting = new Awaiting(port, (schedule) => this.#end(schedule))
  }

  /** Adds a schedule, in the place of one of its name. @returns false when it has no run ahead, and was not added */
  add(facts: ScheduleFacts): boolean {
    const { timetable, name } = facts
    const schedule = new Schedule(facts, ++this.#made)
    const before = this.#byName.get(name)
    const isSame = before?.isAwaited === true && before.timetable === timetable
    const next = isSame ? before.nextAt : this.#awaiting.next(timetable)
    if (next === undefined) return false
    this.remove(name)
    this.#byName.set(name, schedule)
    this.#awaiting.add(schedule, next)
    this.#rearm()
    return true
  }

  get(name: string): Schedule | undefined {
    return this.#byName.get(name)
  }

  all(): readonly Schedule[] {
    return [...this.#byName.values()]
  }

  /** Gives the schedule the unsettled jobs of those that had its name before. */
  takeOver(name: string): void {
    const schedule = this.#byName.get(name)
    if (schedule !== undefined) this.#former.handOver(schedule, this.#firing)
  }

  remove(name: string): boolean {
    const schedule = this.#byName.get(name)
    if (schedule === undefined) return false
    this.#byName.delete(name)
    this.#rest(schedule, 'removed')
    this.#former.keep(schedule)
    return true
  }

  pause(name: string): boolean {
    const schedule = this.#byName.get(name)
    if (schedule?.state !== 'active') return false
    this.#rest(schedule, 'paused')
    return true
  }

  /** What came while it was paused is not made up for. */
  resume(name: string): boolean {
    const schedule = this.#byName.get(name)
    if (schedule?.state !== 'paused') return false
    const next = this.#awaiting.next(schedule.timetable)
    schedule.state = 'active'
    if (next === undefined) this.#end(schedule)
    else this.#awaiting.add(schedule, next)
    this.#rearm()
    return true
  }

  runNow(schedule: Schedule): ReturnType<Firing['runNow']> {
    return this.#firing.runNow(schedule)
  }

  /** Nothing runs any more. */
  stop(): void {
    for (const schedule of this.#byName.values()) {
      schedule.state = 'removed'
      schedule.isAwaited = false
      schedule.backlog = undefined
    }
    this.#byName.clear()
    this.#former.stop()
    this.#awaiting.clear()
    this.#isUnderWay = false
    this.#rearm()
  }

  #wake(): void {
    this.#alarm = undefined
    this.#armedAt = Infinity
    this.#awaiting.lookAtClock()
    if (!this.#isUnderWay) this.#askAndSweep()
    this.#rearm()
  }

  #askAndSweep(): void {
    if (this.#leader === undefined || !this.#awaiting.isAnyDue) return this.#sweep('leader')
    this.#isUnderWay = true
    const { clock, logger } = this.#port
    const askedAt = clock.precise()
    askLeader(
      this.#leader,
      {
        alarm: (delayMs, run) => this.#port.alarm(clock.now() + delayMs, run),
        failed: (error) => {
          if (this.#port.mayLog(leaderFailed)) logger?.error({ err: error }, leaderFailed)
        },
        ask: (hook) => this.#port.ask(hook),
      },
      (leadership) => this.#sweep(leadership, clock.precise() - askedAt),
    )
  }

  /**
   * Fires what is due, a slice at a time.
   * @param waitedMs for how long the leader hook was waited for
   */
  #sweep(leadership: Leadership, waitedMs = 0): void {
    const { clock } = this.#port
    const slice = new Slice(clock, firesPerReading)
    for (const scale of scales) {
      const now = reading(clock, scale)
      // What a run calls may stop all of them.
      for (;;) {
        const schedule = this.#awaiting.takeDue(scale, now)
        if (schedule === undefined) break
        this.#due(schedule, now, leadership, waitedMs)
        if (slice.step()) {
          this.#isUnderWay = true
          this.#port.nextTurn(() => this.#sweep(leadership, waitedMs))
          return
        }
      }
    }
    this.#isUnderWay = false
    this.#rearm()
  }

  #due(schedule: Schedule, now: number, leadership: Leadership, waitedMs: number): void {
    const { timetable } = schedule
    const by = now - schedule.jitterMs
    const first = firstDue(schedule)
    if (first === undefined) return this.#end(schedule)
    if (first > by) return this.#awaiting.add(schedule, first)
    // After its end there is nothing to be made up for.
    const policy: CatchUpPolicy =
      now - waitedMs > timetable.end ? { ...schedule.policy, catchUp: 'none' } : schedule.policy
    const decided = plan(timetable, first, by, policy, waitedMs)
    this.#firing.carryOut(schedule, decided, leadership)
    if (schedule.state !== 'active' || schedule.isAwaited) return // what it called has paused, removed or resumed it
    if (decided.next === undefined || schedule.isExhausted) this.#end(schedule)
    else this.#awaiting.add(schedule, decided.next)
  }

  /** Its last run, which had to wait, has begun while it waits for an instant that it does not need. */
  #exhausted(schedule: Schedule): void {
    if (schedule.state !== 'active') return
    this.#awaiting.leave(schedule)
    this.#end(schedule)
    this.#rearm()
  }

  #end(schedule: Schedule): void {
    schedule.state = 'ended'
    this.#byName.delete(schedule.name)
    this.#former.keep(schedule)
    this.#port.logger?.info({ schedule: schedule.name, runs: schedule.runCount }, 'schedule ended')
  }

  #rest(schedule: Schedule, state: 'paused' | 'removed'): void {
    this.#awaiting.leave(schedule)
    schedule.state = state
    schedule.backlog = undefined
    this.#rearm()
  }

  /** Sets the alarm for the earliest of all, unless it is set for then or a sweep is under way. */
  #rearm(): void {
    this.#port.keepAlive(!this.#awaiting.isEmpty || this.#isUnderWay)
    if (this.#isUnderWay) return
    const at = this.#awaiting.nextLook
    if (at === this.#armedAt) return
    this.#alarm?.disarm()
    this.#armedAt = at
    this.#alarm = at === Infinity ? undefined : this.#port.alarm(at, () => this.#wake())
  }
}

/** The instant it waited for, or the first after it: the bounds of an interval may have moved, as the wall clock was set. */
function firstDue({ timetable, nextAt }: Schedule): number | undefined {
  return timetable.scale === 'wall' ? nextAt : timetable.next(nextAt - 1)
}
