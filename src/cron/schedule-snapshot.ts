import type { Clock } from '../world.js'
import { describeExpression, describeInterval } from './describe.js'
import type { CatchUp } from './plan.js'
import type { Schedule } from './schedule.js'
import type { Overlap } from './schedule-options.js'
import type { Pattern } from './timetable.js'

/** A schedule at one moment: frozen plain data, with how it was said to run. Instants are ms since the epoch. */
export type ScheduleSnapshot = Readonly<Pattern> & {
  readonly name: string
  /** The task's name; '(inline)' for a closure. */
  readonly task: string
  readonly state: 'active' | 'paused'
  /** In words, such as 'every day at 02:00 (Europe/Berlin)'. */
  readonly description: string
  readonly overlap: Overlap
  readonly catchUp: CatchUp
  /** The next run, jitter included; absent while it is paused. */
  readonly nextRunAt?: number
  /** The instant of the latest run; absent before the first. */
  readonly lastFiredFor?: number
  /** Runs so far, `runNow` and skipped ones not counted. */
  readonly runs: number
  /** Its jobs that have not settled. */
  readonly unsettled: number
}

export function snapshotOf(schedule: Schedule, clock: Clock): ScheduleSnapshot {
  const { name, policy, timetable } = schedule
  const { pattern } = timetable
  const nextAt = schedule.nextAt + schedule.jitterMs
  const isPaused = schedule.state === 'paused'
  return Object.freeze({
    name,
    ...pattern,
    task: taskName(schedule.task),
    state: isPaused ? 'paused' : 'active',
    description: describe(pattern),
    overlap: policy.overlap,
    catchUp: policy.catchUp,
    ...(isPaused ? undefined : { nextRunAt: timetable.scale === 'wall' ? nextAt : clock.wallAt(nextAt) }),
    ...(schedule.lastFiredFor === undefined ? undefined : { lastFiredFor: schedule.lastFiredFor }),
    runs: schedule.runCount,
    unsettled: schedule.open?.length ?? 0,
  })
}

function taskName(task: unknown): string {
  if (typeof task === 'function') return '(inline)'
  return typeof task === 'string' ? task : (task as { name: string }).name // `defer` would take nothing else
}

function describe(pattern: Pattern): string {
  return 'expression' in pattern
    ? describeExpression(pattern.expression, pattern.timezone)
    : describeInterval(pattern.intervalMs)
}
