import { OptionError } from './errors.js'
import { show } from './options.js'
import type { Scheduler } from './scheduler.js'

/**
 * The scheduler, of which the caller uses members too that its declarations leave out: only those of this package have them.
 * @throws OptionError when it is none
 */
export function ownScheduler(caller: string, scheduler: Scheduler): Scheduler {
  if (typeof scheduler === 'object' && (scheduler as Scheduler | null) !== null && 'attach' in scheduler) {
    return scheduler
  }
  throw new OptionError(
    `${caller} got ${show(scheduler)} as scheduler. Give what createScheduler() returned.`,
  )
}
