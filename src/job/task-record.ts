import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JobState } from './lifecycle.js'
import type { BackoffPolicy } from './backoff-policy.js'
import type { Lane } from './snapshot.js'

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

/** A task's options with defaults applied and durations in ms. */
export interface TaskPolicy {
  readonly lane: Lane
  readonly maxAttempts: number
  readonly backoff: BackoffPolicy
  /** Infinity for none. */
  readonly timeoutMs: number
  readonly killAfterMs: number
  readonly priority: number
  readonly orderingKey: ((payload: never) => unknown) | undefined
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
  /** Written by the journal only. */
  readonly counts: StateCounts
  /** Moving average of the handler's time, ms. An unknown task counts as one that fills a batch alone. */
  averageMs = 1

  /** @param counts shared with the record it replaces, if any */
  constructor(name: string, policy: TaskPolicy, counts: StateCounts = zeroCounts()) {
    this.name = name
    this.policy = policy
    this.counts = counts
  }
}
