/** Recurring jobs on the real clock and with real threads. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Scheduler, SchedulerEvents } from 'sidework'
import { createCron } from 'sidework/cron'
import { withThreads } from './with-threads.js'

type Fired = SchedulerEvents['schedule:fired']

/** The next `count` runs. */
function runs(scheduler: Scheduler, count: number): Promise<Fired[]> {
  const found: Fired[] = []
  return new Promise((resolve) => {
    const listener = (event: Fired): void => {
      if (found.push(event) < count) return
      scheduler.off('schedule:fired', listener)
      resolve(found)
    }
    scheduler.on('schedule:fired', listener)
  })
}

it('D4: a real event loop that is blocked for 3 s makes up for one run, never two for one instant', async () => {
  const scheduler = withThreads()
  const cron = createCron(scheduler)
  const missed: SchedulerEvents['schedule:missed'][] = []
  scheduler.on('schedule:missed', (event) => void missed.push(event))
  const seen: number[] = []
  cron.schedule('s', '* * * * * *', ({ schedule }) => void seen.push(schedule?.firedFor ?? 0))
  const before = await runs(scheduler, 1)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000)
  const after = await runs(scheduler, 2)
  const instants = [...before, ...after].map(({ firedFor }) => firedFor)
  expect(instants[1]).toBeGreaterThanOrEqual((instants[0] ?? 0) + 3_000)
  expect(instants[2]).toBe((instants[1] ?? 0) + 1_000)
  expect(missed).toHaveLength(1)
  expect(missed[0]?.count).toBe(((instants[1] ?? 0) - (instants[0] ?? 0)) / 1_000 - 1)
  await scheduler.idle()
  expect(seen).toEqual(instants)
  for (const { at, firedFor, lateBy } of [...before, ...after]) {
    expect(at).toBeGreaterThanOrEqual(firedFor)
    expect(lateBy).toBeLessThanOrEqual(at - firedFor)
  }
})

it('ctx.schedule reaches a handler in a thread', async () => {
  const tasks = new URL('../fixtures/tasks/schedule.mjs', import.meta.url)
  const scheduler = withThreads({ tasks })
  const { tellSchedule } = (await import(fileURLToPath(tasks))) as { tellSchedule: never }
  const cron = createCron(scheduler)
  cron.schedule('yearly', '0 0 1 1 *', tellSchedule)
  const job = cron.runNow('yearly')
  expect(await job.result()).toEqual({ name: 'yearly', firedFor: expect.any(Number), lateBy: 0 })
})

it('a process with an active schedule stays alive; paused, it ends by itself', async () => {
  const program = `
    import { createScheduler } from 'sidework'
    import { createCron } from 'sidework/cron'
    const cron = createCron(createScheduler({ logger: false }))
    cron.every('e', 50, () => { console.log('ran'); cron.pause('e') })
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  expect(await once(child, 'close')).toEqual([0, null])
  expect(printed).toBe('ran\n')
})
