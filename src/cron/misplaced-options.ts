/** Options that people give a schedule and that belong elsewhere: what to give instead. */
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { RecurringDeferOptions } from './schedule-options.js'

const deferNames: Readonly<Record<keyof RecurringDeferOptions, true>> = {
  priority: true,
  orderingKey: true,
  dedupe: true,
  attempts: true,
  backoff: true,
  timeout: true,
  expiresIn: true,
}

const overlapSkip = "Runs that would overlap are left out anyway: overlap is 'skip' unless you say otherwise."
const catchUpInstead = "Give catchUp: 'latest', 'none' or 'all'."

/** The options of node-cron that have another name here, or need none. */
const ofNodeCron: Readonly<Record<string, string>> = {
  name: 'The first argument is the name.',
  noOverlap: overlapSkip,
  maxExecutions: 'Give maxRuns.',
  maxRandomDelay: 'Give jitter.',
  scheduled: 'A schedule starts at once: cron.pause(name) makes it wait, cron.resume(name) go on.',
  runOnInit: 'For a run at the start call cron.runNow(name).',
  recoverMissed: catchUpInstead,
  recoverMissedExecutions: catchUpInstead,
}

/** @throws OptionError for an option of `defer` or of node-cron, saying where it belongs */
export function refuseMisplaced(method: string, options: object, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(options)) {
    if (known.has(name)) continue
    if (Object.hasOwn(deferNames, name)) {
      const shown = typeof value === 'object' ? '…' : show(value)
      throw new OptionError(`'${name}' belongs into defer: { defer: { ${name}: ${shown} } }.`)
    }
    const instead = Object.hasOwn(ofNodeCron, name) ? ofNodeCron[name] : undefined
    if (instead !== undefined) throw new OptionError(`cron.${method} has no option '${name}'. ${instead}`)
  }
}
