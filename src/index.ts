/** The public '.': in the order of the corridor (task, defer, run, settle, tell). */
export { defineTask, type Handler, type Task } from './task/define-task.js'
export type { Backoff, DedupeOptions, TaskOptions, TaskOptionsWithInput } from './task/task-options.js'
export type {
  ChildOptions,
  DeferChild,
  DeferredChild,
  DeferredFlow,
  LogLevel,
  LogMethod,
  StepResult,
  StepResults,
  TaskContext,
  TaskLog,
} from './task/context.js'
export { PermanentError, RetryLater, Snooze } from './task/control.js'

export { createScheduler, type Scheduler } from './scheduler.js'
export type { SchedulerOptions, ThreadOptions } from './scheduler-options.js'
export type { CloseReport, DeferItem, InlineHandler, Job, JobFilter, Stats } from './scheduler.js'
export type { LaneStats } from './stats.js'
export { formatStats } from './format-stats.js'
export type { DeferOptions } from './task/defer-options.js'
export type {
  AnyTask,
  BatchOptions,
  CallbackSpec,
  ChainStepSpec,
  FlowOptions,
  FlowStepSpec,
  StepOptions,
} from './task/flow-options.js'
export type { Batch, Flow } from './flows/flow-handle.js'
export type { FlowState } from './flows/flow.js'
export type { FlowOverview, FlowProgress, FlowSnapshot, StepSnapshot } from './flows/flow-snapshot.js'
export type {
  BatchCounts,
  FlowKind,
  FlowPlace,
  FlowRemains,
  OnFailure,
  RemainingEnd,
} from './job/flow-step.js'
export type { Duration, Priority } from './options.js'

export { isSettled, type JobState, type SettledState, type UnsettledState } from './job/lifecycle.js'
export type {
  AttemptError,
  JobRemains,
  JobSnapshot,
  Lane,
  Progress,
  RequestContext,
  ScheduleContext,
} from './job/snapshot.js'
export type { SerializedError } from './job/serialized-error.js'
export type { StateCounts } from './job/task-record.js'
export type {
  EventName,
  FlowEvent,
  JobEvent,
  SchedulerEvents,
  ThreadExitReason,
} from './events/event-types.js'
export type { AttemptTrace, DeferTrace } from './task/trace-channels.js'

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
  type JobErrorCode,
  type PayloadIssue,
  type SideworkErrorCode,
} from './errors.js'
