/**
 * Listens to the signals that callers gave to their jobs: once per signal, however many jobs share it. A listener per job
 * would make Node warn of a leak at the eleventh.
 */
import type { Job } from '../job/job.js'

interface Watched {
  readonly jobs: Set<Job>
  stop(): void
}

export class AbortWatch {
  readonly #abort: (job: Job, reason: unknown) => void
  /** Signals of jobs that have not settled. */
  readonly #watched = new WeakMap<AbortSignal, Watched>()

  /** @param abort told of each job when its signal aborts, in the order in which they came */
  constructor(abort: (job: Job, reason: unknown) => void) {
    this.#abort = abort
  }

  /** @returns what lets go of the job */
  watch(job: Job, signal: AbortSignal): () => void {
    const watched = this.#watched.get(signal) ?? this.#listen(signal)
    watched.jobs.add(job)
    return () => {
      watched.jobs.delete(job)
      if (watched.jobs.size === 0) watched.stop()
    }
  }

  #listen(signal: AbortSignal): Watched {
    const jobs = new Set<Job>()
    const onAbort = (): void => {
      for (const job of [...jobs]) this.#abort(job, signal.reason) // each lets go of itself
    }
    const stop = (): void => {
      signal.removeEventListener('abort', onAbort)
      this.#watched.delete(signal)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const watched = { jobs, stop }
    this.#watched.set(signal, watched)
    return watched
  }
}
