/**
 * The public '.' inside a scheduler's threads, by the condition `sidework-thread` of package.json: the same names, but the
 * rooms of the scheduler are not imported. Task modules need none of them, and they would be most of a thread's start.
 */
import { createRequire } from 'node:module'
import type { Scheduler } from './scheduler.js'
import type { SchedulerOptions } from './scheduler-options.js'

export { defineTask } from './task/define-task.js'
export { PermanentError, RetryLater, Snooze } from './task/control.js'
export { formatStats } from './format-stats.js'
export { isSettled } from './job/lifecycle.js'
export {
  ClosedError,
  JobError,
  OptionError,
  PayloadError,
  PayloadTooLargeError,
  QueueFullError,
  ResultError,
  ResultTimeoutError,
  SideworkError,
  ThreadStartError,
  UnknownTaskError,
} from './errors.js'

/** Refuses in a thread. A process that a handler forks inherits the thread's flags, and gets the real one. */
export function createScheduler(options?: SchedulerOptions): Scheduler {
  const real = createRequire(import.meta.url)('./scheduler.js') as typeof import('./scheduler.js')
  return real.createScheduler(options)
}
