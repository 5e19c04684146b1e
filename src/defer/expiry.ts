/** Jobs that must start within a time of becoming due: one alarm each, on the scheduler's one timer. */
import type { Job } from '../job/job.js'
import type { Agenda } from '../queue/agenda.js'

export class Expiry {
  readonly #agenda: Agenda
  readonly #expire: (job: Job, now: number) => void

  /** @param expire told when a job's time is over, whatever its state */
  constructor(agenda: Agenda, expire: (job: Job, now: number) => void) {
    this.#agenda = agenda
    this.#expire = expire
  }

  /** Its time to start begins when it is due, or now. */
  arm(job: Job, now: number): void {
    const { details } = job
    if (details === undefined) return
    const expiresInMs = details.wanted?.expiresInMs ?? job.task.policy.expiresInMs
    details.expiresAt =
      expiresInMs === Infinity ? undefined : Math.max(details.runAt ?? now, now) + Math.ceil(expiresInMs)
    this.watch(job)
  }

  /** It has its `expiresAt`, which was armed or restored, or none. */
  watch(job: Job): void {
    const { details } = job
    details?.expiry?.disarm()
    if (details === undefined) return
    details.expiry = undefined
    if (details.expiresAt === undefined) return
    details.expiry = this.#agenda.alarm(details.expiresAt, (at) => this.#expire(job, at))
  }
}
