/** The public '.': in the order of the corridor (task, defer, run, settle, events). */
export { defineTask, type Handler, type Task } from './task/define-task.js'
export type { TaskContext } from './task/context.js'
export { PermanentError, RetryLater, Snooze } from './task/control.js'
export type { Scheduler, Job, CloseReport, InlineHandler } from './scheduler.js'
