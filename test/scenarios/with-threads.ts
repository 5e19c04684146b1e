/** A scheduler with real threads, and promises for its events. */
import { afterEach, expect } from 'vitest'
import {
  createScheduler,
  type EventName,
  type Scheduler,
  type SchedulerEvents,
  type SchedulerOptions,
} from 'sidework'

export const rough = new URL('../fixtures/tasks/rough.mjs', import.meta.url)
const open = new Set<Scheduler>()

afterEach(async () => {
  const schedulers = [...open]
  open.clear()
  for (const scheduler of schedulers) {
    const {
      accepted,
      held,
      scheduled,
      blocked,
      ready,
      running,
      retrying,
      completed,
      failed,
      cancelled,
      expired,
    } = scheduler.stats()
    const sum =
      held + scheduled + blocked + ready + running + retrying + completed + failed + cancelled + expired
    expect(accepted).toBe(sum)
    await scheduler.close({ timeout: 0 })
    expect(scheduler.stats()).toMatchObject({ ready: 0, running: 0, retrying: 0, threads: 0, queuedBytes: 0 })
  }
})

/** Closed after the test. */
export function withThreads(options: SchedulerOptions = {}): Scheduler {
  const scheduler = createScheduler({ tasks: rough, threads: { cpu: 1, io: 1 }, logger: false, ...options })
  open.add(scheduler)
  return scheduler
}

/** The next such event that fits. */
export function next<E extends EventName>(
  scheduler: Scheduler,
  name: E,
  fits: (event: SchedulerEvents[E]) => boolean = () => true,
): Promise<SchedulerEvents[E]> {
  return new Promise((resolve) => {
    const listener = (event: SchedulerEvents[E]): void => {
      if (!fits(event)) return
      scheduler.off(name, listener)
      resolve(event)
    }
    scheduler.on(name, listener)
  })
}

/** How a job ended: its result, or the code and cause's code of its error. */
export function end(job: { result(): Promise<unknown> }): Promise<unknown> {
  return job
    .result()
    .catch((error: { code: string; cause?: { code?: string; message?: string } }) => [
      error.code,
      error.cause?.code ?? error.cause?.message,
    ])
}
