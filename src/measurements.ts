/** What has been counted beside `stats()`, live, for an add-on that shows it. */
import type { TaskRecord } from './job/task-record.js'

/** The code under which refusals are counted whose error is none of this package's, but a task's own. */
export const otherRefusals = 'other'

/** Reading it costs nothing until it is read. */
export interface Measurements {
  /** Every task the scheduler has used, in the order of first use, which never changes. */
  tasks(): Iterable<Pick<TaskRecord, 'name' | 'counts' | 'tally'>>
  /** Defers that were refused, by the code of their error. */
  readonly refusals: ReadonlyMap<string, number>
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  /** Upper bounds of the buckets of each tally of durations, ms; one more bucket is for what is longer. */
  readonly bucketBoundsMs: readonly number[]
}
