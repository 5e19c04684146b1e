/**
 * How many jobs a cpu thread is sent before their turn. Handing over one job costs a message and a wake-up; short jobs are
 * therefore sent about a millisecond of work at a time, two batches deep. Longer ones up to 5 ms are sent one ahead: the
 * thread would have nothing to do while the main thread, perhaps in the midst of a request, has yet to read that it is free.
 */
import type { Job } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'
import { windowSize, type Window } from './places.js'

const batchMs = 1
const mostPerBatch = 256
/** Behind a job that takes longer nothing is sent, nor is one that does. */
const longestMs = 5
/** Weight of the newest measurement. */
const weight = 0.25

/** Jobs of this average time that make a batch: 1–256. */
function batchSize({ averageMs }: TaskRecord): number {
  return Math.max(1, Math.min(mostPerBatch, Math.floor(batchMs / averageMs)))
}

/** Whether it is sent ahead alone, and in a message of its own: the ends of those before it are told at the end of theirs. */
export function isLong({ task }: Job): boolean {
  return batchSize(task) === 1
}

/**
 * Whether a thread that is busy may be sent one more.
 * @param inBatch how many jobs the thread was given just now
 */
export function hasRoomAhead({ current, newest, outstanding }: Window, job: Job, inBatch: number): boolean {
  // Behind one that was told to stop nobody knows how long it takes.
  if (current?.job === undefined || !current.isValid || newest?.job === undefined) return false
  if (current.job.details?.runsAlone === true) return false
  if (job.task.averageMs > longestMs || current.job.task.averageMs > longestMs) return false
  if (!mayBeSentAhead(job)) return false
  if (isLong(job)) return outstanding === 1 && inBatch === 0
  const most = batchSize(job.task)
  if ((inBatch === 0 && outstanding > most) || (outstanding > 1 && isLong(newest.job))) return false
  return inBatch < most && outstanding < Math.min(2 * most, windowSize - 1)
}

/**
 * Jobs with limits, an expiry or a bound on their silence are given to a free place only. The first of an ordering key may
 * be sent ahead: nobody else of its key is ready before it has settled.
 */
function mayBeSentAhead(job: Job): boolean {
  const { details, task } = job
  if (task.policy.visibilityTimeoutMs < Infinity) return false
  return (
    details === undefined ||
    (details.expiresAt === undefined && details.gates === undefined && !details.runsAlone)
  )
}

/**
 * Learns from a report of `count` jobs that took `busyMs` together. A thread reports as soon as a job made it late, so
 * a late report is about its last job; another is about all its tasks alike.
 */
export function measure(
  last: TaskRecord,
  others: ReadonlySet<TaskRecord>,
  busyMs: number,
  count: number,
): void {
  const isLate = busyMs > 2 * batchMs
  const eachMs = isLate && count > 1 ? busyMs - batchMs : busyMs / count
  learn(last, eachMs)
  if (!isLate) for (const task of others) if (task !== last) learn(task, eachMs)
}

function learn(task: TaskRecord, eachMs: number): void {
  const { averageMs } = task
  task.averageMs = averageMs === Infinity ? eachMs : averageMs + (eachMs - averageMs) * weight
}
