/** What this add-on needs beyond the public Scheduler: `attach`, which is marked `@internal` there. */
import type { AddOn, AddOnPort } from '../add-on-port.js'
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { Scheduler } from '../scheduler.js'

/**
 * Attaches to a scheduler of this package.
 * @throws OptionError when it is none, ClosedError when it is closing
 */
export function attach(scheduler: Scheduler, addOn: AddOn): AddOnPort {
  if (typeof scheduler === 'object' && (scheduler as Scheduler | null) !== null && 'attach' in scheduler) {
    return scheduler.attach(addOn)
  }
  throw new OptionError(
    `createCron() got ${show(scheduler)} as scheduler. Give what createScheduler() returned.`,
  )
}
