/** Counts what is rare enough to be counted by listening: threads and schedules. Nothing that happens per job. */
import type { Scheduler } from '../scheduler.js'
import type { Labels } from './labels.js'

/** Why threads end that should not have: there at 0 before one does. */
const badExits = ['crashed', 'start-failed', 'stuck', 'timeout', 'memory'] as const

/** A number per combination of label values. */
class LabelledCount {
  readonly #counts = new Map<string, { readonly labels: readonly string[]; count: number }>()

  add(count: number, ...labels: readonly string[]): void {
    const key = labels.join('\n')
    const known = this.#counts.get(key)
    if (known === undefined) this.#counts.set(key, { labels, count })
    else known.count += count
  }

  *[Symbol.iterator](): IterableIterator<readonly [count: number, ...labels: string[]]> {
    for (const { labels, count } of this.#counts.values()) yield [count, ...labels]
  }
}

export class EventCounts {
  /** By lane. */
  readonly threadsStarted = new LabelledCount()
  /** By lane and reason. */
  readonly threadsExited = new LabelledCount()
  /** By schedule. */
  readonly scheduleFires = new LabelledCount()
  readonly scheduleMisses = new LabelledCount()
  /** By schedule and reason. */
  readonly scheduleSkips = new LabelledCount()

  /** @param labels bounds the names of schedules */
  constructor(scheduler: Scheduler, labels: Labels) {
    for (const lane of ['cpu', 'io', 'main']) this.threadsStarted.add(0, lane)
    // So that the first of them is an increase and not the beginning of a series.
    for (const lane of ['cpu', 'io']) for (const reason of badExits) this.threadsExited.add(0, lane, reason)
    scheduler
      .on('thread:started', ({ lane }) => this.threadsStarted.add(1, lane))
      .on('thread:exited', ({ lane, reason }) => this.threadsExited.add(1, lane, reason))
      .on('schedule:fired', ({ name }) => {
        const label = labels.of(name)
        this.scheduleFires.add(1, label)
        // For the same reason.
        this.scheduleMisses.add(0, label)
      })
      .on('schedule:missed', ({ name, count }) => this.scheduleMisses.add(count, labels.of(name)))
      .on('schedule:skipped', ({ name, reason }) => this.scheduleSkips.add(1, labels.of(name), reason))
  }
}
