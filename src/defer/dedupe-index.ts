/**
 * Which job stands for a dedupe key. One job per task and key at a time; in mode `last` also one follower. A completed
 * job keeps its key until its `ttl`; any other end frees it at once, and a job only ever frees its own.
 */
import { heldBytes } from '../job/held-bytes.js'
import type { Disarmable, Job } from '../job/job.js'
import { isSettled } from '../job/lifecycle.js'
import type { Agenda } from '../queue/agenda.js'

interface Entry {
  /** The job that stands for the key. */
  job: Job
  /** Mode `last`: accepted, and starts after `job` has settled. */
  follower: Job | undefined
  /** Forgets a completed job at the end of its ttl. */
  ending?: Disarmable
  /** What such a job holds on to. */
  bytes: number
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
  /** Most keys kept by `ttl` after their job completed, and most bytes of those jobs. */
  readonly #mostKept: number
  readonly #mostKeptBytes: number
  /** Keys kept by `ttl`, oldest first. */
  readonly #kept = new Set<string>()
  #keptBytes = 0

  constructor(agenda: Agenda, mostKept: number, mostKeptBytes: number) {
    this.#agenda = agenda
    this.#mostKept = mostKept
    this.#mostKeptBytes = mostKeptBytes
  }

  get size(): number {
    return this.#entries.size
  }

  /** The job that stands for the newcomer's key, if there is one. */
  find(newcomer: Job, now: number): Standing | undefined {
    const name = dedupeNameOf(newcomer)
    const entry = name === undefined ? undefined : this.#entries.get(name)
    if (name === undefined || entry === undefined) return undefined
    if (entry.keptUntil <= now) {
      this.#forget(name, entry) // its time is over, though a blocked event loop kept the timer from saying so
      return undefined
    }
    const { job, follower, ending } = entry
    // Its end is being told, and the user's logger, which hears of it, may defer: the key is free already.
    const isEnding = ending === undefined && isSettled(job.state) && keptUntil(job) <= now
    if (isEnding) return follower && { job: follower, follower: undefined }
    return entry
  }

  /** The job stands for its key from here on. */
  claim(job: Job): void {
    const name = dedupeNameOf(job)
    if (name === undefined) return
    const former = this.#entries.get(name)
    if (former !== undefined) this.#forget(name, former)
    this.#entries.set(name, standingFor(job))
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
      this.#entries.set(name, standingFor(follower))
      return follower
    }
    const until = keptUntil(job)
    if (until > now) this.#keep(name, entry, until)
    else this.#entries.delete(name)
    return undefined
  }

  #keep(name: string, entry: Entry, until: number): void {
    entry.keptUntil = until
    entry.ending = this.#agenda.alarm(until, () => this.#forget(name, entry))
    entry.bytes = heldBytes(entry.job)
    this.#kept.add(name)
    this.#keptBytes += entry.bytes
    for (const oldest of this.#kept) {
      if (this.#kept.size <= this.#mostKept && this.#keptBytes <= this.#mostKeptBytes) return
      const former = this.#entries.get(oldest)
      if (former !== undefined) this.#forget(oldest, former)
    }
  }

  #forget(name: string, entry: Entry): void {
    if (this.#entries.get(name) !== entry) return
    entry.ending?.disarm()
    if (this.#kept.delete(name)) this.#keptBytes -= entry.bytes
    this.#entries.delete(name)
  }
}

function standingFor(job: Job): Entry {
  return { job, follower: undefined, bytes: 0, keptUntil: Infinity }
}

/** How long a settled job stands for its key. */
function keptUntil({ state, acceptedAt, details }: Job): number {
  return state === 'completed' ? acceptedAt + (details?.dedupe?.ttlMs ?? -1) : -Infinity
}
