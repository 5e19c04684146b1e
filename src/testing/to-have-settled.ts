import { OptionError } from '../errors.js'
import type { SettledState } from '../job/lifecycle.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { ownOptions, show } from '../options.js'
import type { Task } from '../task/define-task.js'
import {
  closest,
  errorFits,
  explain,
  fits,
  howMany,
  lookedAt,
  readTimes,
  type ErrorPattern,
  type MatcherContext,
  type MatcherResult,
} from './matching.js'
import { nameOf } from '../task/task-name.js'

/** What `toHaveSettled` can ask of jobs. */
export interface ExpectedEnd {
  /** Exactly so many such jobs. Default: at least one. */
  times?: number
  state?: SettledState
  payload?: unknown
  result?: unknown
  /** A part of the error's message, or a pattern. */
  error?: ErrorPattern
  /** The number of the last attempt. */
  attempt?: number
}

const notRun = ' None has ended yet: await scheduler.run(), or advance() to when it is due, before.'
const known = new Set(['times', 'state', 'payload', 'result', 'error', 'attempt'])
const settledStates: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'expired'])

/** See `SideworkMatchers.toHaveSettled`. */
export function toHaveSettled(
  this: MatcherContext,
  received: unknown,
  task: Task | string,
  expected?: SettledState | ExpectedEnd,
): MatcherResult {
  const scheduler = lookedAt('toHaveSettled', received)
  const given = typeof expected === 'string' ? { state: expected } : expected
  const { times: count, error, ...wanted } = ownOptions('toHaveSettled', given, known) as ExpectedEnd
  const times = readTimes(count)
  refuseOtherStates(wanted.state)
  const settled = scheduler.deferred(task).filter(({ state }) => settledStates.has(state))
  const fitting = settled.filter((job) => fits(this, job, wanted) && errorFits(job.error, error))
  const name = nameOf('toHaveSettled', task)
  const isAnyLeft = settled.length < scheduler.deferred(task).length
  const hint = settled.length === 0 && isAnyLeft ? notRun : ''
  return {
    pass: times === undefined ? fitting.length > 0 : fitting.length === times,
    message: () => {
      const wrong = `${fitting.length} of ${settled.length} settled jobs of task '${name}' fit; expected ${howMany(this, times)}.${hint}`
      const near = fitting.length > 0 ? undefined : closest(this, settled, wanted)
      const asked = { ...wanted, ...(error === undefined ? undefined : { error }) }
      const difference = near && ([asked, shown(near, asked)] as const)
      return explain(this, 'toHaveSettled', name, wrong, scheduler.deferred(), difference)
    },
  }
}

/** An asymmetric matcher may stand for a state. */
function refuseOtherStates(state: unknown): void {
  if (typeof state !== 'string' || settledStates.has(state)) return
  const known = [...settledStates].map((one) => `'${one}'`).join(', ')
  throw new OptionError(`toHaveSettled got the state ${show(state)}. Give one of ${known}.`)
}

/** The fields of a job that were asked for; of its error the message, which is what is compared. */
function shown(job: JobSnapshot, wanted: object): object {
  const fields = { ...job, error: job.error?.message } as Record<string, unknown>
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, fields[name]]))
}
