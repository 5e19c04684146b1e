import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JobState } from './lifecycle.js'
import type { BackoffPolicy } from './backoff-policy.js'
import type { Lane } from './snapshot.js'
import { TaskTally } from './task-tally.js'

/** How many jobs are in each state. Settled states count up for ever. */
export type StateCounts = Record<JobState, number>

export function zeroCounts(): StateCounts {
  return {
    held: 0,
    scheduled: 0,
    blocked: 0,
    ready: 0,
    running: 0,
    retrying: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    expired: 0,
  }
}

/** At most `limit` starts in any window of length `perMs`. */
export interface RateRule {
  readonly limit: number
  readonly perMs: number
}

/** A shared limit's rule. */
export interface LimitRule {
  readonly concurrency: number | undefined
  readonly rate: RateRule | undefined
}

type KeyFunction = ((payload: never) => unknown) | undefined

/** What a task's jobs have to pass to start. */
export interface TaskLimits {
  readonly concurrency: { readonly limit: number; readonly key: KeyFunction } | undefined
  readonly rate: (RateRule & { readonly key: KeyFunction }) | undefined
  /** Names of shared limits. */
  readonly shared: readonly string[]
}

/** How jobs of one key are taken for one. */
export interface DedupeRule {
  readonly key: (payload: never) => unknown
  readonly mode: 'first' | 'last'
  /** Ms after acceptance; undefined: while unsettled. */
  readonly ttlMs: number | undefined
}

/** A task's options with defaults applied and durations in ms. */
export interface TaskPolicy {
  readonly lane: Lane
  readonly maxAttempts: number
  readonly backoff: BackoffPolicy
  /** Infinity for none. */
  readonly timeoutMs: number
  readonly killAfterMs: number
  /** Longest silence of an attempt; Infinity for any. */
  readonly visibilityTimeoutMs: number
  readonly priority: number
  readonly orderingKey: KeyFunction
  /** Undefined when nothing limits its jobs. */
  readonly limits: TaskLimits | undefined
  readonly dedupe: DedupeRule | undefined
  readonly onExhausted: 'skip' | 'halt'
  /** Infinity for never. */
  readonly expiresInMs: number
  readonly sensitive: boolean
  /** Whether its jobs have facts of their own from the start: a key or an expiry. */
  readonly describesJobs: boolean
  readonly input: StandardSchemaV1 | undefined
}

/** One task as one scheduler knows it: its policy and its figures. */
export class TaskRecord {
  readonly name: string
  readonly policy: TaskPolicy
  /** Threads know it by this number, and every definition of its name. */
  readonly number: number
  /** Written by the journal only. */
  readonly counts: StateCounts
  /** Written by the journal only. */
  readonly tally: TaskTally
  /** Moving average of the handler's time, ms; Infinity while it is unknown. */
  averageMs = Infinity
  /** Whether it was ever paused: by name, so also the records that it replaced, whose jobs may still wait. Queue only. */
  readonly pausing: { wasPaused: boolean }
  readonly #isLimited: boolean

  /** @param replaced the record whose place it takes: they share their figures, and are paused together */
  constructor(name: string, policy: TaskPolicy, number: number, replaced?: TaskRecord) {
    this.name = name
    this.policy = policy
    this.number = replaced?.number ?? number
    this.counts = replaced?.counts ?? zeroCounts()
    this.tally = replaced?.tally ?? new TaskTally()
    this.pausing = replaced?.pausing ?? { wasPaused: false }
    this.#isLimited = policy.limits !== undefined
  }

  /** Whether its jobs have to pass limits. */
  get isGated(): boolean {
    return this.#isLimited || this.pausing.wasPaused
  }
}
