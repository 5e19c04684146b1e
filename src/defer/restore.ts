/** Makes jobs again from the snapshots of a CloseReport. */
import { OptionError } from '../errors.js'
import { Job, type JobDedupe, type JobWishes } from '../job/job.js'
import { keptErrors } from '../job/journal.js'
import { isSettled, transitions, type JobState } from '../job/lifecycle.js'
import { fromPortable } from '../job/portable.js'
import { decodePayload, encodePayload, toPlain, type EncodedPayload } from '../job/payload.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import { serializeError } from '../job/serialized-error.js'
import type { AttemptError, JobSnapshot, ScheduleContext } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import { integer, key, priorityLevel, show } from '../options.js'
import { limitKeysOf } from './draft.js'
import { linePlaceOf, type LinePlace } from './line-order.js'
import { readRemains, type KnownRemains } from './remains.js'

/** When jobs are restored, on both clocks. One for a whole list, as a clock that ticks meanwhile would change its order. */
export interface Moment {
  readonly now: number
  /** Ms since the epoch. */
  readonly wall: number
}

/** A job that is ready to be accepted again. */
export interface RestoredJob {
  readonly id: string
  readonly payload: EncodedPayload
  readonly orderingKey: string | undefined
  /** The id of the job that halted its key, if one did. */
  readonly haltedBy: string | undefined
  /** Where it joins its key's line; undefined when it has none, or joins later. */
  readonly linePlace: LinePlace | undefined
  /** Among those of one dedupe key: 0 stood for it, 1 followed, 2 was held. */
  readonly dedupeRank: 0 | 1 | 2
  /** @param seq its acceptance number in this scheduler */
  make(seq: number): Job
}

/**
 * Reads one snapshot.
 * @throws OptionError for what is no snapshot of an unsettled job; UnknownTaskError; PayloadError
 */
export function restoreJob(
  snapshot: unknown,
  taskOf: (name: string) => TaskRecord,
  limits: PayloadLimits,
  { now, wall }: Moment,
): RestoredJob {
  const given = asSnapshot(snapshot)
  const id = key('restore: id', given.id)
  const task = taskOf(given.task)
  const payload = fromPortable(given.payload, limits)
  const priority = priorityLevel(given.priority)
  const maxAttempts = integer('restore: maxAttempts', given.maxAttempts, 1, 100)
  const attempt = integer('restore: attempt', given.attempt, 0, maxAttempts)
  const orderingKey =
    given.orderingKey === undefined ? undefined : key('restore: orderingKey', given.orderingKey)
  const dedupeKey = given.dedupeKey === undefined ? undefined : key('restore: dedupeKey', given.dedupeKey)
  const limitKeys = limitKeysOf(task, decodePayload(payload))
  const generation = integer('restore: generation', given.generation, 1)
  const errors = readErrors(given.errors)
  const failure = lastFailure(given, errors)
  const isAttemptCharged = attempt > 0 && repeatsAttempt(given.state, attempt, failure)
  if (attempt === maxAttempts && !isAttemptCharged)
    throw new OptionError(
      `restore got a job in state ${show(given.state)} whose attempt ${attempt} of ${maxAttempts} has failed. ` +
        'Give the `lost` list of a CloseReport, unchanged.',
    )
  const request = plainRecord('request', given.request)
  const schedule = readSchedule(plainRecord('schedule', given.schedule))
  const expiresInMs = given.expiresAt === undefined ? undefined : instant('expiresAt', given.expiresAt) - wall
  const isWaiting = given.flow?.remains?.isWaiting === true // for steps before it, not in a line
  const runAt = instant('runAt', given.runAt)
  const waitMs = Math.ceil(runAt - wall)
  const remains = readRemains(given.remains)
  // One that fell due meanwhile is late, as it would have been on a blocked event loop.
  const wasDue = given.state === 'scheduled' || given.state === 'retrying'
  const readyInMs = wasDue ? waitMs : Math.ceil((remains?.readyAt ?? wall) - wall)
  return {
    id,
    payload,
    orderingKey,
    haltedBy: remains?.haltedBy,
    linePlace:
      orderingKey === undefined || isWaiting
        ? undefined
        : linePlaceOf({ state: given.state, attempt, runAt, isDue: waitMs <= 0, remains }),
    dedupeRank: dedupeRank(given.state, remains),
    make(seq) {
      const isRetrying = given.state === 'retrying' && attempt > 0 && waitMs > 0
      const job = new Job(task, seq, isRetrying ? 'retrying' : 'ready', priority, now, payload)
      const details = job.more()
      job.attempt = attempt
      details.isAttemptCharged = isAttemptCharged
      details.orderingKey = orderingKey
      details.limitKeys = limitKeys
      // A step is never taken for a duplicate.
      if (dedupeKey !== undefined && given.flow === undefined) details.dedupe = dedupeOf(task, dedupeKey)
      details.errors = errors
      details.error = failure?.error
      details.generation = generation
      details.wanted = wantedAgain(task, remains)
      details.runAt = now + waitMs
      job.readyAt = now + Math.min(0, readyInMs)
      if (expiresInMs !== undefined) details.expiresAt = now + Math.ceil(expiresInMs)
      if (maxAttempts !== task.policy.maxAttempts) details.policy = { maxAttempts }
      details.request = request
      details.schedule = schedule
      return job
    },
  }
}

/** What its defer asked for and goes on to count, if that is known. */
function wantedAgain(task: TaskRecord, remains: KnownRemains | undefined): JobWishes | undefined {
  const { delayMs, expiresInMs } = remains ?? {}
  if (delayMs === undefined && expiresInMs === undefined) return undefined
  return {
    delayMs,
    expiresInMs: expiresInMs ?? task.policy.expiresInMs,
    signal: undefined,
    id: undefined,
  }
}

function dedupeRank(state: JobState, remains: KnownRemains | undefined): RestoredJob['dedupeRank'] {
  if (state === 'blocked') return remains?.linePosition === undefined ? 1 : 0 // else it waits for its ordering key
  return state === 'ready' && remains !== undefined && remains.readyAt === undefined ? 2 : 0
}

/** The key as it was; mode and ttl as the task has them, as they are not in a snapshot. */
function dedupeOf(task: TaskRecord, dedupeKey: string): JobDedupe {
  const { mode = 'first', ttlMs } = task.policy.dedupe ?? {}
  return { key: dedupeKey, mode, ttlMs }
}

/**
 * The failure that is the job's error. Else its error was why the old process could start no thread, which is over; and a
 * failure of an earlier generation is not its error any more.
 */
function lastFailure({ error }: JobSnapshot, errors: readonly AttemptError[]): AttemptError | undefined {
  const last = errors.at(-1)
  return last?.error.message === error?.message ? last : undefined
}

/** Whether the next execution keeps the attempt's number: it was cut off, snoozed or interrupted, it did not fail. */
function repeatsAttempt(state: JobState, attempt: number, failure: AttemptError | undefined): boolean {
  if (state === 'running') return true
  return state !== 'retrying' && failure?.attempt !== attempt
}

function asSnapshot(snapshot: unknown): JobSnapshot {
  const given = snapshot as Partial<JobSnapshot> | null // judged below, field by field
  if (
    typeof given !== 'object' ||
    given === null ||
    typeof given.task !== 'string' ||
    typeof given.state !== 'string'
  ) {
    throw new OptionError(
      `restore got ${show(snapshot)}. Give the \`lost\` list of a CloseReport, unchanged.`,
    )
  }
  const state: JobState = given.state
  if (!Object.hasOwn(transitions, state) || isSettled(state)) {
    throw new OptionError(
      `restore got a job in state ${show(state)}. Only jobs that were not settled can be restored.`,
    )
  }
  return given as JobSnapshot // what else is read of it is checked where it is read
}

/** Ms since the epoch. */
function instant(name: string, at: unknown): number {
  return integer(`restore: ${name}`, typeof at === 'number' ? Math.ceil(at) : at, 0)
}

function readErrors(errors: unknown = []): readonly AttemptError[] {
  if (!Array.isArray(errors)) throw notFrom('errors', errors)
  return Object.freeze(
    errors.slice(-keptErrors).map((failure: unknown): AttemptError => {
      const { attempt, at, error } = (failure ?? {}) as Record<keyof AttemptError, unknown>
      if (typeof error !== 'object' || error === null) throw notFrom('errors', failure)
      return Object.freeze({
        attempt: integer('restore: errors: attempt', attempt, 0),
        at: instant('errors: at', at),
        error: serializeError(error),
      })
    }),
  )
}

/** A record of plain JSON, as it is sent to threads: a copy, frozen. */
function plainRecord(name: string, value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notFrom(name, value)
  try {
    return toPlain(encodePayload(value)) as Record<string, unknown> // it is no array
  } catch (error) {
    throw new OptionError(`restore got a job whose ${name} is not JSON: ${serializeError(error).message}`)
  }
}

function readSchedule(given: Readonly<Record<string, unknown>> | undefined): ScheduleContext | undefined {
  if (given === undefined) return undefined
  const { name, firedFor, lateBy } = given
  if (typeof name !== 'string') throw notFrom('schedule.name', name)
  if (typeof firedFor !== 'number') throw notFrom('schedule.firedFor', firedFor)
  if (typeof lateBy !== 'number') throw notFrom('schedule.lateBy', lateBy)
  return Object.freeze({ name, firedFor, lateBy })
}

function notFrom(name: string, value: unknown): OptionError {
  return new OptionError(
    `restore got a job whose ${name} is ${show(value)}. Give the \`lost\` list of a CloseReport, unchanged.`,
  )
}
