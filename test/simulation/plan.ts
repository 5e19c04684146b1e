/**
 * What one seed stands for: a configuration and a short list of operations, as data, so that a failing schedule can be
 * shrunk and printed. draw-plan.ts draws it.
 */
import type { Lane } from '../../src/job/snapshot.js'
import { seededRandom } from '../../src/testing/seeded.js'

/** What one execution does. */
export type Act =
  | { do: 'return'; ms: number; says?: boolean }
  | { do: 'result'; ms: number }
  | { do: 'fail' | 'fail-for-good' | 'spin'; ms: number }
  | { do: 'retry-later' | 'snooze'; ms: number; delay: number }
  | { do: 'crash'; ms: number; code: number; memory?: boolean }
  /** Runs long, and perhaps does not listen to its signal, or takes its time to obey. */
  | { do: 'hang'; ms: number; deaf: boolean; onAbort?: 'return' | 'fail' }
  | { do: 'defer'; ms: number; task: number }

export interface TaskPlan {
  lane: Lane
  attempts: number
  backoff:
    | { type: 'fixed'; delay: number; jitter: number }
    | { type: 'exponential'; delay: number; factor: number; max: number; jitter: number }
  timeout: number
  killAfter: number
  onExhausted: 'skip' | 'halt'
  concurrency?: { limit: number; keyed: boolean }
  rate?: { limit: number; per: number; keyed: boolean }
  shared: boolean
  expiresIn?: number
}

/** A job as a defer asks for it. */
export interface JobPlan {
  task: number
  /** Which of the two keys of keyed limits it is of. */
  group: number
  acts: Act[]
  priority?: number
  delay?: number
  /** Ms from now on the wall clock, as a Date or a number. */
  runIn?: number
  orderingKey?: string
  dedupe?: { key: string; mode: 'first' | 'last'; ttl?: number }
  attempts?: number
  backoff?: { type: 'fixed'; delay: number; jitter: number }
  timeout?: number
  expiresIn?: number
  signal?: boolean
  ownId?: string
  /** Somebody waits for its result. */
  awaited?: boolean
}

/** One step of the user, of time or of bad luck. `of` and `all` are numbers of operations that made jobs. */
export type Op = { n: number } & (
  | { op: 'defer' | 'hold'; job: JobPlan }
  | { op: 'deferMany'; jobs: JobPlan[] }
  | { op: 'release' | 'discard'; all: number[] }
  | { op: 'cancel' | 'retry' | 'runNow' | 'abort'; of: number }
  | { op: 'setPriority'; of: number; priority: number }
  | { op: 'cancelAll' | 'retryAll' | 'pause' | 'resume'; task?: number }
  | { op: 'pauseLimit'; delay: number }
  | { op: 'releaseKeys'; retry: boolean }
  | { op: 'advance' | 'block' | 'jump'; ms: number }
  | { op: 'crash' | 'forge' | 'repeat'; thread: number }
  | { op: 'close'; timeout: number; drain: boolean; restore: boolean }
)

export interface Plan {
  seed: number
  threads: { cpu: number; io: number; ioConcurrency: number; idleTimeout: number; minIdle: number }
  mainConcurrency: number
  aging: number | false
  maxQueued: number
  keep: { completed: number; failed: number }
  limit: { concurrency?: number; rate?: { limit: number; per: number } }
  /** Shares of starts of threads that go wrong, how slow they are, and whether they stay when `close` stops them. */
  starts: { fail: number; exit: number; throws: number; slowMs: number; exitMs: number; stays: boolean }
  /** The timer wakes early sometimes. */
  early: boolean
  /** Nothing but crashes goes wrong and nothing depends on time: one more crash must not change any outcome (I26). */
  calm: boolean
  tasks: TaskPlan[]
  ops: Op[]
}

export class Draw {
  readonly next: () => number
  constructor(seed: number) {
    this.next = seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x51de)
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }
  chance(share: number): boolean {
    return this.next() < share
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T // of a list that is never empty
  }
}
