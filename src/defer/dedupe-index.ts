/**
 * Which job stands for a dedupe key. One job per task and key at a time; in mode `last` also one follower. A completed
 * job keeps its key until its `ttl`; any other end frees it at once, and a job only ever frees its own.
 */
import type { Disarmable, Job } from '../job/job.js'
import type { Agenda } from '../queue/agenda.js'

interface Entry {
  /** The job that stands for the key. */
  job: Job
  /** Mode `last`: accepted, and starts after `job` has settled. */
  follower: Job | undefined
  /** Forgets a completed job at the end of its ttl. */
  ending?: Disarmable
  /** Once `job` has completed: when its key is free. */
  keptUntil: number
}

/** Who stands for a key at the moment. */
export type Standing = Readonly<Pick<Entry, 'job' | 'follower'>>

/** Stands between task and key; neither can hold a control character. */
const separator = '\n'

/** What the job's dedupe key is known by, one name per task and key; undefined without one. */
export function dedupeNameOf(job: Job): string | undefined {
  const key = job.details?.dedupe?.key
  return key === undefined ? undefined : job.task.name + separator + key
}

export class DedupeIndex {
  readonly #entries = new Map<string, Entry>()
  readonly #agenda: Agenda
  /** Most keys kept by `ttl` after their job completed. */
  readonly #mostKept: number
  /** Keys kept by `ttl`, oldest first. */
  readonly #kept = new Set<string>()

  constructor(agenda: Agenda, mostKept: number) {
    this.#agenda = agenda
    this.#mostKept = mostKept
  }

  get size(): number {
    return this.#entries.size
  }

  /** The job that stands for the newcomer's key, if there is one. */
  find(newcomer: Job, now: number): Standing | undefined {
    const name = dedupeNameOf(newcomer)
    const entry = name === undefined ? undefined : this.#entries.get(name)
    if (name === undefined || entry === undefined || entry.keptUntil > now) return entry
    this.#forget(name, entry) // its time is over, though a blocked event loop kept the timer from saying so
    return undefined
  }

  /** The job stands for its key from here on. */
  claim(job: Job): void {
    const name = dedupeNameOf(job)
    if (name !== undefined) this.#entries.set(name, { job, follower: undefined, keptUntil: Infinity })
  }

  /** The job starts after the one that stands for its key. */
  follow(follower: Job): void {
    const name = dedupeNameOf(follower)
    const entry = name === undefined ? undefined : this.#entries.get(name)
    if (entry !== undefined) entry.follower = follower
  }

  /** The job has settled. @returns its follower, which stands for the key now */
  settled(job: Job, now: number): Job | undefined {
    const name = dedupeNameOf(job)
    const entry = name === undefined ? undefined : this.#entries.get(name)
    if (name === undefined || entry === undefined) return undefined
    if (entry.follower === job) {
      entry.follower = undefined
      return undefined
    }
    if (entry.job !== job) return undefined
    const { follower } = entry
    if (follower !== undefined) {
      this.#entries.set(name, { job: follower, follower: undefined, keptUntil: Infinity })
      return follower
    }
    const keptUntil = job.acceptedAt + (job.details?.dedupe?.ttlMs ?? -1)
    if (job.state === 'completed' && keptUntil > now) this.#keep(name, entry, keptUntil)
    else this.#entries.delete(name)
    return undefined
  }

  #keep(name: string, entry: Entry, until: number): void {
    this.#kept.add(name)
    entry.keptUntil = until
    entry.ending = this.#agenda.alarm(until, () => this.#forget(name, entry))
    const [oldest] = this.#kept
    const oldestEntry = oldest === undefined ? undefined : this.#entries.get(oldest)
    if (this.#kept.size > this.#mostKept && oldest !== undefined && oldestEntry !== undefined) {
      this.#forget(oldest, oldestEntry)
    }
  }

  #forget(name: string, entry: Entry): void {
    if (this.#entries.get(name) !== entry) return
    entry.ending?.disarm()
    this.#kept.delete(name)
    this.#entries.delete(name)
  }
}
