/** sidework's ordering lines, which are internal: imported from the built files. Jobs are real records. */
import { Job } from '../../../dist/job/job.js'
import { OrderingLines } from '../../../dist/queue/ordering-lines.js'

/** Enqueues all, then releases head after head as they would run. @returns how many ran, after each key's own order */
export function start(count, keyOf) {
  const jobs = Array.from({ length: count }, (_, seq) => {
    const job = new Job(undefined, seq, 'blocked', 5, 0, undefined)
    job.more().orderingKey = keyOf(seq)
    return job
  })
  return (onRun) => {
    const lines = new OrderingLines()
    const ready = []
    for (const job of jobs) if (lines.join(job, job.details.orderingKey)) ready.push(job)
    for (let head = 0; head < ready.length; head++) {
      const job = ready[head]
      onRun(job.seq)
      const next = lines.leave(job, job.details.orderingKey)
      if (next !== undefined) ready.push(next)
    }
  }
}
