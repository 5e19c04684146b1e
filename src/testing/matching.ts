/** What the matchers have in common: reading a test scheduler, comparing, and messages that show what was there. */
import type { SerializedError } from '../job/serialized-error.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { OptionError } from '../errors.js'
import { integer, show } from '../options.js'
import type { Task } from '../task/define-task.js'
import type { TraceEntry } from './test-record.js'

/** What vitest and jest give to a matcher as `this`. */
export interface MatcherContext {
  readonly isNot?: boolean | undefined
  equals(actual: unknown, expected: unknown): boolean
  readonly utils: {
    matcherHint(name: string, received?: string, expected?: string, options?: { isNot: boolean }): string
    diff(expected: unknown, received: unknown): string | null | undefined
  }
}

/** What a matcher answers. */
export interface MatcherResult {
  readonly pass: boolean
  message(): string
}

/** The part of a test scheduler that matchers look at. */
export interface Looked {
  deferred(task?: Task | string): JobSnapshot[]
  trace(): TraceEntry[]
}

/** A matcher's error: a text that it holds, or a pattern. */
export type ErrorPattern = string | RegExp

const mostShown = 20
const longestShown = 120

/** @throws OptionError for what is no test scheduler */
export function lookedAt(matcher: string, received: unknown): Looked {
  const { deferred, trace } = (received ?? {}) as { deferred?: unknown; trace?: unknown }
  if (typeof deferred === 'function' && typeof trace === 'function') return received as Looked
  throw new OptionError(
    `${matcher} got ${show(received)}. Give expect() what createTestScheduler() returned.`,
  )
}

/** @throws OptionError unless a number of jobs or retries, or undefined for any */
export function readTimes(times: unknown): number | undefined {
  return times === undefined ? undefined : integer('times', times, 0)
}

/** Whether every expected field is equal; asymmetric matchers may stand for values. */
export function fits(context: MatcherContext, actual: object, expected: object): boolean {
  return Object.entries(expected).every(
    ([name, value]) =>
      value === undefined || context.equals((actual as Record<string, unknown>)[name], value),
  )
}

export function errorFits(error: SerializedError | undefined, pattern: ErrorPattern | undefined): boolean {
  if (pattern === undefined) return true
  const message = error?.message ?? ''
  // Unlike `test`, `search` begins at the beginning, whatever the flags.
  return typeof pattern === 'string' ? message.includes(pattern) : message.search(pattern) >= 0
}

/** Of the jobs, the one that has most in common with what was expected. */
export function closest<T extends object>(
  context: MatcherContext,
  all: readonly T[],
  expected: unknown,
): T | undefined {
  let best: T | undefined
  let bestShared = -1
  for (const one of all) {
    const shared = sharedFields(context, one, expected)
    if (shared > bestShared) [best, bestShared] = [one, shared]
  }
  return best
}

function sharedFields(context: MatcherContext, actual: unknown, expected: unknown): number {
  if (!isObject(actual) || !isObject(expected)) return context.equals(actual, expected) ? 1 : 0
  return Object.entries(expected).reduce(
    (sum, [name, value]) => sum + sharedFields(context, actual[name], value),
    context.equals(actual, expected) ? 1 : 0,
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** How many jobs were expected, in words. */
export function howMany({ isNot }: MatcherContext, times: number | undefined): string {
  if (isNot === true) return times === undefined ? 'none' : `another number than ${times}`
  return times === undefined ? 'at least 1' : `exactly ${times}`
}

/** The lines of a message: what was called, what is wrong, a difference, and the jobs there are. */
export function explain(
  context: MatcherContext,
  matcher: string,
  task: string,
  wrong: string,
  jobs: readonly JobSnapshot[],
  difference?: readonly [expected: unknown, received: unknown],
): string {
  const isNot = context.isNot === true
  const hint = context.utils.matcherHint(matcher, 'scheduler', `'${task}'`, { isNot })
  const diff = difference === undefined ? undefined : context.utils.diff(...difference)
  return [hint, '', wrong, ...(diff == null ? [] : ['', diff]), '', ...listed(jobs)].join('\n')
}

function listed(jobs: readonly JobSnapshot[]): string[] {
  if (jobs.length === 0) return ['No job was deferred.']
  const lines = jobs.slice(0, mostShown).map(({ task, state, attempt, payload, error }) => {
    const why = error === undefined || state === 'completed' ? '' : `  ${error.message.split('\n')[0]}`
    return `  ${task} ${state}, attempt ${attempt}  ${inBrief(payload)}${why}`
  })
  const more = jobs.length > mostShown ? [`  and ${jobs.length - mostShown} more`] : []
  return ['Deferred were:', ...lines, ...more]
}

/** A payload on one line. */
function inBrief(payload: unknown): string {
  const json = payload === undefined ? '' : JSON.stringify(payload)
  return json.length > longestShown ? `${json.slice(0, longestShown)}…` : json
}
