/** What this add-on needs beyond the public Scheduler: one `@internal` member of it. Nothing here is exported. */
import { OptionError } from '../errors.js'
import type { Measurements } from '../measurements.js'
import { show } from '../options.js'
import type { Scheduler } from '../scheduler.js'

interface MeasuringPort {
  /** What is counted beside `stats()`. Durations are tallied from the first call on. */
  measure(): Measurements
}

/** @throws OptionError when it is not a scheduler of this package */
export function withPort(scheduler: Scheduler): Scheduler & MeasuringPort {
  if (typeof scheduler === 'object' && (scheduler as Scheduler | null) !== null && 'measure' in scheduler) {
    // Only the schedulers of this package have that member.
    return scheduler
  }
  throw new OptionError(
    `metrics() got ${show(scheduler)} as scheduler. Give what createScheduler() returned.`,
  )
}
