/** The public 'sidework/cron': recurring jobs. */
export { createCron, type Cron, type CronOptions } from './cron.js'
export type { EveryOptions, Overlap, RecurringDeferOptions, ScheduleOptions } from './schedule-options.js'
export type { ScheduleSnapshot } from './schedule-snapshot.js'
export type { CatchUp } from './plan.js'
export type { DayMatch } from './fields.js'
export type { LeaderHook } from './leader.js'
