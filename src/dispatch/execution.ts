import type { Job } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'

/** One job in one thread. Reused from job to job, so that running one allocates nothing. */
export class Execution {
  job: Job | undefined = undefined
  /** Of its job, also when that has ended. */
  task: TaskRecord | undefined = undefined
  token = 0
  /**
   * - `prefetched`: sent ahead; the job is still `ready` and can be recalled (cpu threads only)
   * - `running`: has the place
   * - `stopping`: was told to stop; its token counts no more, its place is not free yet
   */
  phase: 'prefetched' | 'running' | 'stopping' = 'running'
  /** When the dispatcher next looks after it: timeout while running, force while stopping. Infinity for never. */
  deadlineAt = Infinity
  /** When it last showed that it is alive. */
  heardAt = 0
  /** When it was told to stop. */
  stoppedAt = 0
  /** Its thread has passed that on to its handler since: the loop turns. */
  hasAnswered = false

  /** Whether what the thread says about this execution counts. */
  get isValid(): boolean {
    return this.job?.token === this.token
  }
}
