/** What happened to the jobs of a task besides their states. Written by the journal only; counts up for ever. */
import { DurationTally } from './duration-tally.js'
import type { Outcome } from './outcome.js'

/** How an attempt ended; those that completed are the task's completed jobs. */
export type UnhappyEnd = Exclude<Outcome['kind'], 'completed'>

export class TaskTally {
  readonly attempts: Record<UnhappyEnd, number> = {
    threw: 0,
    'retry-later': 0,
    snoozed: 0,
    'timed-out': 0,
    'lost-thread': 0,
    interrupted: 0,
    cancelled: 0,
  }
  /** Attempts that failed and were followed by another. */
  retried = 0
  /** Defers that found their job already there. */
  deduplicated = 0
  /** From ready to started, one per start. Only while the journal measures. */
  readonly waits = new DurationTally()
  /** From started to its end, one per attempt. Only while the journal measures. */
  readonly runs = new DurationTally()
}
