import { durationMs, ownOptions, type Duration } from '../options.js'
import type { Task } from '../task/define-task.js'
import {
  errorFits,
  explain,
  lookedAt,
  readTimes,
  type ErrorPattern,
  type MatcherContext,
  type MatcherResult,
} from './matching.js'
import type { TraceEntry } from './test-record.js'
import { nameOf } from '../task/task-name.js'

/** What `toHaveRetried` can ask of one job's retries. */
export interface ExpectedRetries {
  /** Exactly so many retries of one job. Default: at least one. */
  times?: number
  payload?: unknown
  /** The waits before its retries, all of them, in order. */
  after?: readonly Duration[]
  /** How far a wait may be from `after`, as a share of it: 0–1. Default 0.1, as much as the default backoff jitters. */
  jitter?: number
  /** A part of the error's message, or a pattern: of every failure that was retried. */
  error?: ErrorPattern
}

type Retry = Extract<TraceEntry, { event: 'retrying' }>

const known = new Set(['times', 'payload', 'after', 'jitter', 'error'])

/** See `SideworkMatchers.toHaveRetried`. */
export function toHaveRetried(
  this: MatcherContext,
  received: unknown,
  task: Task | string,
  expected?: ExpectedRetries,
): MatcherResult {
  const scheduler = lookedAt('toHaveRetried', received)
  const wanted = ownOptions('toHaveRetried', expected, known) as ExpectedRetries
  const times = readTimes(wanted.times)
  const jobs = scheduler.deferred(task)
  const trace = scheduler.trace()
  const retries = trace.filter((entry): entry is Retry => entry.event === 'retrying')
  const perJob = jobs
    .filter(({ payload }) => wanted.payload === undefined || this.equals(payload, wanted.payload))
    .map(({ id }) => retries.filter((retry) => retry.id === id))
  const name = nameOf('toHaveRetried', task)
  return {
    pass: perJob.some((own) => (own.length > 0 || times === 0) && isWanted(own, wanted)),
    message: () => {
      const told = perJob.map((own) =>
        own.length === 0
          ? 'never'
          : own
              .map((retry) => inWords(waitOf(retry)) + (hasBegun(retry, trace) ? '' : ' (not begun)'))
              .join(', '),
      )
      const waits =
        told.length === 0 ? 'No job of it fits.' : `Its jobs were retried after: ${told.join(' | ')}.`
      const wish = [
        ...(wanted.times === undefined ? [] : [`${wanted.times} times`]),
        ...(wanted.after === undefined ? [] : [`after ${wanted.after.map(ms).map(inWords).join(', ')}`]),
        ...(wanted.error === undefined ? [] : [`because of ${wanted.error}`]),
      ]
      const not = this.isNot === true ? 'not ' : ''
      const wrong = `Expected a job of task '${name}' ${not}to be retried ${wish.join(', ')}`.trimEnd()
      return explain(this, 'toHaveRetried', name, `${wrong}.\n${waits}`, scheduler.deferred())
    },
  }
}

function isWanted(
  retries: readonly Retry[],
  { times, after, jitter = 0.1, error }: ExpectedRetries,
): boolean {
  if (times !== undefined && retries.length !== times) return false
  if (after !== undefined && !areWaits(retries.map(waitOf), after.map(ms), jitter)) return false
  return retries.every((retry) => errorFits(retry.error, error))
}

function areWaits(waits: readonly number[], wanted: readonly number[], jitter: number): boolean {
  return (
    waits.length === wanted.length &&
    // A wait is a whole number of milliseconds, rounded up.
    wanted.every((want, index) => Math.abs((waits[index] ?? Infinity) - want) <= want * jitter + 1)
  )
}

function waitOf({ at, runAt }: Retry): number {
  return runAt - at
}

/** Whether the attempt that it announced has started. */
function hasBegun(retry: Retry, trace: readonly TraceEntry[]): boolean {
  const later = trace.slice(trace.indexOf(retry))
  return later.some((entry) => entry.event === 'started' && entry.id === retry.id)
}

function ms(duration: Duration): number {
  return durationMs('after', duration, { zero: true })
}

function inWords(waitMs: number): string {
  return waitMs < 1000 ? `${waitMs} ms` : `${Number((waitMs / 1000).toFixed(1))} s`
}
