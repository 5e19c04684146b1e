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
import type { TimeHeap } from '../queue/time-heap.js'
import { Firing } from './firing.js'
import type { FormerSchedules } from './former-schedules.js'
import { askLeader, type LeaderHook, type Leadership } from './leader.js'
import { plan, type CatchUpPolicy } from './plan.js'
import { Schedule, type ScheduleFacts } from './schedule.js'
import { reading, type Scale, type Timetable } from './timetable.js'
import { Slice } from '../slice.js'

const longestWaitMs = 30_000
/** A wall clock that goes back by more than this begins a new count of instants; after less, the same instants go on. */
const setBackMs = 60_000
const firesPerReading = 16

const leaderFailed = 'the leader hook of cron failed; runs are skipped'

const scales: readonly Scale[] = ['wall', 'steady']

export class ScheduleBook {
  readonly #port: AddOnPort
  readonly #leader: LeaderHook | undefined
  readonly #former: FormerSchedules
  readonly #firing: Firing
  readonly #byName = new Map<string, Schedule>()
  #heaps: Record<Scale, TimeHeap<Schedule>>
  #made = 0
  #alarm: Disarmable | undefined
  #armedAt = Infinity
  /** The highest wall clock seen since it was last set back, and when it was last looked at. */
  #highestWall: number
  #lookedAt: number
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
    this.#heaps = { wall: port.timeHeap(), steady: port.timeHeap() }
    this.#highestWall = port.clock.wall()
    this.#lookedAt = port.clock.now()
  }

  /** Adds a schedule, in the place of one of its name. @returns false when it has no run ahead, and was not added */
  add(facts: ScheduleFacts): boolean {
    const { timetable, name } = facts
    const schedule = new Schedule(facts, ++this.#made)
    const before = this.#byName.get(name)
    const isSame = before?.isAwaited === true && before.timetable === timetable
    const next = isSame ? before.nextAt : this.#nextOf(timetable)
    if (next === undefined) return false
    this.remove(name)
    this.#byName.set(name, schedule)
    this.#await(schedule, next)
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
    const { timetable } = schedule
    const next = this.#nextOf(timetable)
    schedule.state = 'active'
    if (next === undefined) this.#end(schedule)
    else this.#await(schedule, next)
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
    this.#heaps = { wall: this.#port.timeHeap(), steady: this.#port.timeHeap() }
    this.#isUnderWay = false
    this.#rearm()
  }

  #wake(): void {
    this.#alarm = undefined
    this.#armedAt = Infinity
    this.#lookAtClock()
    if (!this.#isUnderWay) this.#askAndSweep()
    this.#rearm()
  }

  #askAndSweep(): void {
    if (this.#leader === undefined || !this.#isAnythingDue()) return this.#sweep('leader')
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

  #isAnythingDue(): boolean {
    return scales.some((scale) => this.#heaps[scale].firstAt <= reading(this.#port.clock, scale))
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
      while (this.#heaps[scale].firstAt <= now) {
        const schedule = this.#takeFirst(scale)
        if (schedule !== undefined) this.#due(schedule, now, leadership, waitedMs)
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
    // After its end there is nothing to be made up for.
    const policy: CatchUpPolicy =
      now > timetable.end ? { ...schedule.policy, catchUp: 'none' } : schedule.policy
    const decided = plan(timetable, schedule.nextAt, now - schedule.jitterMs, policy, waitedMs)
    this.#firing.carryOut(schedule, decided, leadership)
    if (schedule.state !== 'active' || schedule.isAwaited) return // what it called has paused, removed or resumed it
    if (decided.next === undefined || schedule.isExhausted) this.#end(schedule)
    else this.#await(schedule, decided.next)
  }

  #await(schedule: Schedule, next: number): void {
    const { timetable } = schedule
    schedule.nextAt = next
    schedule.jitterMs = this.#jitter(schedule, next)
    schedule.isAwaited = true
    this.#heaps[timetable.scale].add(schedule, next + schedule.jitterMs)
  }

  /**
   * Below the wished for, and below the distance to the instant after, so that no run overtakes another; nor does any come
   * after the end.
   */
  #jitter({ policy, timetable }: Schedule, next: number): number {
    if (policy.jitterMs === 0) return 0
    const following = timetable.next(next) ?? timetable.end + 1
    return Math.floor(this.#port.random() * Math.min(policy.jitterMs, following - next))
  }

  /** Its last run, which had to wait, has begun while it waits for an instant that it does not need. */
  #exhausted(schedule: Schedule): void {
    if (schedule.state !== 'active') return
    this.#leave(schedule)
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
    this.#leave(schedule)
    schedule.state = state
    schedule.backlog = undefined
    this.#rearm()
  }

  /** The schedule that is due first. */
  #takeFirst(scale: Scale): Schedule | undefined {
    const schedule = this.#heaps[scale].shift()
    if (schedule !== undefined) schedule.isAwaited = false
    return schedule
  }

  /** It waits for no instant any more. */
  #leave(schedule: Schedule): void {
    if (!schedule.isAwaited) return
    schedule.isAwaited = false
    this.#heaps[schedule.timetable.scale].remove(schedule)
  }

  /** The first instant that has not been, also where the wall clock was set back a little: what it showed has been. */
  #nextOf(timetable: Timetable): number | undefined {
    this.#lookAtClock()
    const now = reading(this.#port.clock, timetable.scale)
    return timetable.next(timetable.scale === 'wall' ? Math.max(now, this.#highestWall) : now)
  }

  /** A wall clock that was set back makes instants come again that have been: they are counted anew from there. */
  #lookAtClock(): void {
    const { clock } = this.#port
    const wall = clock.wall()
    const now = clock.now()
    if (wall < this.#highestWall - setBackMs) {
      // What came since it was last looked at is due.
      this.#countAnew(wall - (now - this.#lookedAt))
      this.#highestWall = wall
    }
    this.#highestWall = Math.max(this.#highestWall, wall)
    this.#lookedAt = now
  }

  #countAnew(after: number): void {
    const waiting = this.#heaps.wall.values()
    this.#heaps.wall = this.#port.timeHeap()
    for (const schedule of waiting) {
      schedule.isAwaited = false
      const next = schedule.timetable.next(after)
      if (next === undefined) this.#end(schedule)
      else this.#await(schedule, next)
    }
  }

  /** Sets the alarm for the earliest of all, unless it is set for then or a sweep is under way. */
  #rearm(): void {
    const { wall, steady } = this.#heaps
    const isAwaited = wall.size + steady.size > 0 || this.#isUnderWay
    this.#port.keepAlive(isAwaited)
    if (this.#isUnderWay) return
    const at = isAwaited ? this.#nextLook() : Infinity
    if (at === this.#armedAt) return
    this.#alarm?.disarm()
    this.#armedAt = at
    this.#alarm = at === Infinity ? undefined : this.#port.alarm(at, () => this.#wake())
  }

  /** When to look next, on the steady scale. */
  #nextLook(): number {
    const { clock } = this.#port
    const now = clock.now()
    const wallAt = now + Math.max(0, Math.ceil(this.#heaps.wall.firstAt - clock.wall()))
    const lookAt = clock.wallMayJump ? now + longestWaitMs : Infinity
    return Math.min(wallAt, this.#heaps.steady.firstAt, lookAt)
  }
}
