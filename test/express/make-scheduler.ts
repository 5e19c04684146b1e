/** The scheduler of this room's tests: the real one, without log and threads, that retries at once. */
import { onTestFinished } from 'vitest'
import type { DeferPort } from '../../src/express/port.js'
import { createScheduler, type Scheduler, type SchedulerOptions } from '../../src/scheduler.js'

/** What one test wants otherwise. */
export type MakeOptions = Pick<SchedulerOptions, 'maxQueued' | 'keep'>

/** A scheduler for main-lane tasks, closed when the test has finished. */
export function makeScheduler(options: MakeOptions = {}): Scheduler & DeferPort {
  const scheduler = createScheduler({
    logger: false,
    defaults: { lane: 'main', backoff: { type: 'fixed', delay: 0 }, killAfter: 0 },
    ...options,
  })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}
