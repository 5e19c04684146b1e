/** What the events of a job may say: a path of the life cycle, attempts, delays, and only what its current execution did. */
import type { EventName } from '../../src/events/event-types.js'
import type { SerializedError } from '../../src/job/serialized-error.js'
import type { ModelJob } from './model-records.js'
import type { Model } from './model.js'

const ends: readonly EventName[] = ['completed', 'failed', 'cancelled', 'expired']
const waiting: readonly EventName[] = ['started', 'cancelled', 'expired']
const underWay: readonly EventName[] = ['progress', 'retrying', 'snoozed', 'interrupted', ...ends]
/** After each event of a job, the events that may come next (I24). */
const following: Partial<Record<EventName | 'none', readonly EventName[]>> = {
  none: ['accepted'], accepted: waiting, started: underWay, progress: underWay, retrying: waiting, snoozed: waiting,
  interrupted: waiting, completed: [], failed: ['accepted'], cancelled: ['accepted'], expired: ['accepted'],
} // prettier-ignore
/** Ends that the scheduler itself decides, whatever a thread says. */
const ownCodes: readonly (string | undefined)[] = [
  'ERR_SIDEWORK_TIMEOUT',
  'ERR_SIDEWORK_THREAD_EXITED',
  'ERR_SIDEWORK_OUT_OF_MEMORY',
]

export interface JobEventData {
  id: string
  attempt: number
  at: number
  runAt?: number
  error?: SerializedError
}

/** @param offset wall time minus the monotonic clock's */
export function checkEvent(model: Model, name: EventName, event: JobEventData, offset: number): void {
  const job = model.byId.get(event.id)
  if (job === undefined) return model.wrong('I2', `${name} of ${event.id}, which was never accepted`)
  const what = `job ${job.payload}: ${name}`
  if (following[job.last]?.includes(name) !== true) model.wrong('I24', `${what} after ${job.last}`)
  job.last = name
  if (ends.includes(name)) job.settles++
  checkSource(model, job, name, event, what)
  switch (name) {
    case 'started':
      return checkStarted(model, job, event, offset, what)
    case 'retrying':
      return checkRetrying(model, job, event, offset, what)
    case 'snoozed':
      job.repeats = job.isToWait = true
      job.runAt = (event.runAt ?? 0) - offset
      return model.sometimes.reached('a job was snoozed')
    case 'interrupted':
      job.repeats = true
      return model.sometimes.reached('a job was interrupted')
    case 'failed':
      return checkFailed(model, job, event, what)
    case 'expired':
      model.sometimes.reached('a job expired')
      if (job.execs.some((exec) => !exec.isOver))
        model.sometimes.reached('a job expired while its old attempt lingered')
      if (event.at - offset < job.expiresAt && !job.isRestored)
        model.wrong('I15', `${what} ${job.expiresAt - event.at + offset} ms early`)
      return
    case 'accepted':
      job.attempt = job.isRestored ? job.attempt : 0
      return
    case 'completed':
      return model.sometimes.reached('a job settled as completed')
    case 'cancelled':
      return model.sometimes.reached('a job was cancelled')
    default:
      return
  }
}

/** What an attempt says counts only if its token did when it was heard (I4). */
function checkSource(model: Model, job: ModelJob, name: EventName, event: JobEventData, what: string): void {
  const isReport =
    name === 'completed' ||
    name === 'snoozed' ||
    ((name === 'retrying' || name === 'failed') && !ownCodes.includes(event.error?.code))
  if (name === 'progress') {
    if (job.heardProgress === 0) model.wrong('I4', `${what}, and its current execution told none`)
    job.heardProgress--
  } else if (isReport) {
    if (!job.hasReported) model.wrong('I4', `${what}, and its current execution reported no end`)
    job.hasReported = false
  }
}

function checkStarted(model: Model, job: ModelJob, event: JobEventData, offset: number, what: string): void {
  const most = job.wanted.attempts ?? model.taskOf(job.task).attempts
  const expected = job.attempt + (job.repeats ? 0 : 1)
  if (event.attempt !== expected && !(job.isRestored && event.attempt === job.attempt))
    model.wrong('I6', `${what} as attempt ${event.attempt} instead of ${expected}`)
  if (event.attempt > most) model.wrong('I6', `${what}: attempt ${event.attempt} of ${most}`)
  if (event.at - offset < job.runAt) model.wrong('I15', `${what} ${job.runAt - event.at + offset} ms early`)
  if (event.attempt === most && most > 1) model.sometimes.reached('a job used its last attempt')
  job.attempt = event.attempt
  job.repeats = false
}

function checkRetrying(model: Model, job: ModelJob, event: JobEventData, offset: number, what: string): void {
  const delay = (event.runAt ?? NaN) - event.at
  job.runAt = (event.runAt ?? 0) - offset
  job.repeats = false
  job.isToWait = true
  const task = model.taskOf(job.task)
  const most = job.wanted.attempts ?? task.attempts
  if (event.attempt >= most) model.wrong('I6', `${what} after attempt ${event.attempt} of ${most}`)
  const code = event.error?.code
  if (code === 'ERR_SIDEWORK_PERMANENT') model.wrong('I6', `${what} after an error for good`)
  if (code === 'ERR_SIDEWORK_TIMEOUT') model.sometimes.reached('an attempt timed out')
  if (code === 'ERR_SIDEWORK_OUT_OF_MEMORY') {
    if (job.outOfMemory && !job.isRestored) model.wrong('I6', `${what} after it ran out of memory twice`)
    job.outOfMemory = true
  }
  if (code === 'ERR_SIDEWORK_RETRY_LATER') {
    if (delay !== Number(event.error?.message))
      model.wrong('I7', `${what} in ${delay} ms, asked for ${event.error?.message}`)
    return
  }
  const backoff = job.isRestored ? task.backoff : (job.wanted.backoff ?? task.backoff)
  const base =
    backoff.type === 'fixed'
      ? backoff.delay
      : Math.min(backoff.max, backoff.delay * backoff.factor ** (event.attempt - 1))
  const low = base * (1 - backoff.jitter)
  const high = Math.ceil(base * (1 + backoff.jitter))
  if (!(delay >= low && delay <= high)) model.wrong('I7', `${what} in ${delay} ms, not within ${low}–${high}`)
}

function checkFailed(model: Model, job: ModelJob, event: JobEventData, what: string): void {
  const { sometimes } = model
  const most = job.wanted.attempts ?? model.taskOf(job.task).attempts
  sometimes.reached('a job failed for good')
  const isFinal = event.error?.code === 'ERR_SIDEWORK_PERMANENT'
  const isMemory = event.error?.code === 'ERR_SIDEWORK_OUT_OF_MEMORY'
  if (isMemory && job.outOfMemory) sometimes.reached('a job ran out of memory twice')
  if (!isFinal && !(isMemory && job.outOfMemory) && event.attempt < most)
    model.wrong('I6', `${what} after attempt ${event.attempt} of ${most}`)
}
