/** Everything that one scrape shows, read at one moment. */
import type { LoopDelay } from '../clock.js'
import type { DurationTally } from '../job/duration-tally.js'
import type { JobState } from '../job/lifecycle.js'
import type { Measurements } from '../measurements.js'
import type { Scheduler } from '../scheduler.js'
import type { Stats } from '../stats.js'
import type { EventCounts } from './event-counts.js'
import type { Labels } from './labels.js'

/** Durations in seconds. */
export interface Durations {
  /** Per bucket, the last one without upper bound; not cumulative. */
  readonly counts: number[]
  sumSeconds: number
}

/** What happened to the jobs of one task, or of all tasks that share a label. */
export interface TaskFigures {
  readonly label: string
  readonly states: Record<JobState, number>
  /** By outcome. */
  readonly attempts: Record<string, number>
  retried: number
  deduplicated: number
  readonly waits: Durations
  readonly runs: Durations
}

export interface Figures {
  readonly stats: Stats
  readonly tasks: readonly TaskFigures[]
  readonly measurements: Measurements
  readonly events: EventCounts
  readonly haltedKeys: number
  readonly loopDelay: { readonly meanMs: number; readonly maxMs: number }
}

/** Where the figures come from. */
export interface Sources {
  readonly scheduler: Scheduler
  readonly measurements: Measurements
  readonly events: EventCounts
  readonly loopDelay: LoopDelay
  /** Bounds the names of tasks. */
  readonly taskLabels: Labels
}

export function readFigures({ scheduler, measurements, events, loopDelay, taskLabels }: Sources): Figures {
  return {
    stats: scheduler.stats(),
    tasks: readTasks(measurements, taskLabels),
    measurements,
    events,
    haltedKeys: scheduler.haltedKeys().length,
    loopDelay: loopDelay.read(),
  }
}

function readTasks(measurements: Measurements, labels: Labels): TaskFigures[] {
  const figures = new Map<string, TaskFigures>()
  for (const { name, counts, tally } of measurements.tasks()) {
    const label = labels.of(name)
    const sum = figures.get(label) ?? noFigures(label, measurements.bucketBoundsMs.length + 1)
    figures.set(label, sum)
    addAll(sum.states, counts)
    addAll(sum.attempts, { ...tally.attempts, completed: counts.completed })
    sum.retried += tally.retried
    sum.deduplicated += tally.deduplicated
    addDurations(sum.waits, tally.waits)
    addDurations(sum.runs, tally.runs)
  }
  return [...figures.values()]
}

function noFigures(label: string, buckets: number): TaskFigures {
  const noDurations = (): Durations => ({ counts: new Array<number>(buckets).fill(0), sumSeconds: 0 })
  return {
    label,
    states: {
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
    },
    attempts: {},
    retried: 0,
    deduplicated: 0,
    waits: noDurations(),
    runs: noDurations(),
  }
}

function addAll(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count
}

function addDurations(sum: Durations, tally: DurationTally): void {
  tally.counts.forEach((count, bucket) => (sum.counts[bucket] = (sum.counts[bucket] ?? 0) + count))
  sum.sumSeconds += tally.sumMs / 1000
}
