/** What flows, chains and batches are made of, typed by their keys and tasks. */
import type { OnFailure } from '../job/flow-step.js'
import type { Duration, Priority } from '../options.js'
import type { DeferOptions } from './defer-options.js'
import type { Task } from './define-task.js'

/** Any task, or a task's name. */
export type AnyTask = Task | string

/** What a step can say for itself. A step is never taken for a duplicate, so `dedupe` is not among it. */
export type StepOptions = Omit<DeferOptions, 'dedupe'>

/** What a job of the task is given. */
export type PayloadOf<T> = T extends Task<infer I> ? I : unknown

/** What a task's handler resolves with. */
export type ResultOf<T> = T extends Task<never, infer R> ? R : unknown

/** `payload`, optional where the task takes none. */
export type PayloadFor<T> =
  undefined extends PayloadOf<T> ? { payload?: PayloadOf<T> } : { payload: PayloadOf<T> }

/** One step of a flow. `after` names the steps whose end it waits for; their results are in `context.results`. */
export type FlowStepSpec<T extends AnyTask, Ref extends string> = {
  task: T
  after?: readonly Ref[] | undefined
  options?: StepOptions | undefined
} & PayloadFor<T>

/** One step of a chain. `ref`: its name in `context.results`; default the task's name, then `name#2`, `name#3` … */
export type ChainStepSpec<T extends AnyTask> = {
  task: T
  ref?: string | undefined
  options?: StepOptions | undefined
} & PayloadFor<T>

/** How a flow or chain behaves. */
export interface FlowOptions {
  /**
   * What a step that finally fails, is cancelled or expires does to those after it: `'cancel'` (default) cancels them,
   * `'continue'` lets them run and see it in `context.results`.
   */
  onFailure?: OnFailure | undefined
  /** Longest the whole may take, from acceptance or release. What has not settled by then expires or is stopped. */
  deadline?: Duration | undefined
  /** Of every step that does not say: 0–9 or 'low' (2), 'normal' (5), 'high' (8). Default: each task's own. */
  priority?: Priority | undefined
}

/** The job after all jobs of a batch. `context.results.batch` holds the counts. */
export type CallbackSpec<T extends AnyTask> = { task: T; options?: StepOptions } & PayloadFor<T>

/** How a batch behaves. `onFailure` is `'continue'` unless told otherwise. */
export interface BatchOptions<C extends AnyTask = AnyTask> extends FlowOptions {
  /** Runs once, after every job of the batch has settled, also when there is none. */
  callback?: CallbackSpec<C> | undefined
  /** For each job of the batch; no `id`, which would be the same for all. */
  options?: Omit<StepOptions, 'id'> | undefined
}
