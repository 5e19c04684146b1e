import { ownOptions, durationMs, priorityLevel, type Duration, type Priority } from '../options.js'
import type { JobSnapshot } from '../job/snapshot.js'
import type { Task } from '../task/define-task.js'
import { delayOf } from './test-record.js'
import {
  closest,
  explain,
  fits,
  howMany,
  lookedAt,
  readTimes,
  type MatcherContext,
  type MatcherResult,
} from './matching.js'
import { nameOf } from '../task/task-name.js'

/** What `toHaveDeferred` can ask of jobs besides their payload. */
export interface ExpectedDefer {
  /** Exactly so many such jobs. Default: at least one. */
  times?: number
  priority?: Priority
  /** From acceptance to the instant at which it was first due. */
  delay?: Duration
  orderingKey?: string
  dedupeKey?: string
  maxAttempts?: number
  request?: unknown
}

const known = new Set(['times', 'priority', 'delay', 'orderingKey', 'dedupeKey', 'maxAttempts', 'request'])

/** See `SideworkMatchers.toHaveDeferred`. */
export function toHaveDeferred(
  this: MatcherContext,
  received: unknown,
  task: Task | string,
  payload?: unknown,
  expected?: ExpectedDefer,
): MatcherResult {
  const scheduler = lookedAt('toHaveDeferred', received)
  const { times: given, ...others } = ownOptions('toHaveDeferred', expected, known) as ExpectedDefer
  const times = readTimes(given)
  const all = scheduler.deferred()
  const jobs = scheduler.deferred(task)
  const fieldsOf = (job: JobSnapshot): Record<string, unknown> => ({ ...job, delay: delayOf(scheduler, job) })
  const wanted = wantedFields(payload, others)
  const fitting = jobs.filter((job) => fits(this, fieldsOf(job), wanted))
  const name = nameOf('toHaveDeferred', task)
  return {
    pass: times === undefined ? fitting.length > 0 : fitting.length === times,
    message: () => {
      const wrong = `${fitting.length} of ${jobs.length} deferred jobs of task '${name}' fit; expected ${howMany(this, times)}.`
      const near = fitting.length > 0 ? undefined : closest(this, jobs.map(fieldsOf), wanted)
      return explain(this, 'toHaveDeferred', name, wrong, all, near && [wanted, pick(near, wanted)])
    },
  }
}

function wantedFields(
  payload: unknown,
  { priority, delay, ...same }: ExpectedDefer,
): Record<string, unknown> {
  return {
    ...(payload === undefined ? undefined : { payload }),
    ...(priority === undefined ? undefined : { priority: priorityLevel(priority) }),
    ...(delay === undefined ? undefined : { delay: durationMs('delay', delay, { zero: true }) }),
    ...same,
  }
}

function pick(fields: Record<string, unknown>, wanted: object): object {
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, fields[name]]))
}
