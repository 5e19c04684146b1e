/**
 * How many jobs a cpu thread is sent before their turn. Handing over one job costs a message and a wake-up, some 20 µs;
 * short jobs are therefore sent about a millisecond of work at a time, two batches deep.
 */
import type { Job } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'

const batchMs = 1
const mostPerBatch = 256
/** Weight of the newest measurement. */
const weight = 0.25

/** Jobs of this average time that make a batch: 1–256. */
export function allowance(averageMs: number): number {
  return Math.max(1, Math.min(mostPerBatch, Math.floor(batchMs / averageMs)))
}

/**
 * Jobs with limits, an expiry or a bound on their silence are given to a free place only. The first of an ordering key may
 * be sent ahead: nobody else of its key is ready before it has settled.
 */
export function mayBeSentAhead(job: Job): boolean {
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
  const eachMs = isLate ? busyMs - batchMs : busyMs / count
  learn(last, eachMs)
  if (!isLate) for (const task of others) if (task !== last) learn(task, eachMs)
}

function learn(task: TaskRecord, eachMs: number): void {
  task.averageMs += (eachMs - task.averageMs) * weight
}
