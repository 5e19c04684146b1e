import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/scheduler.js'
import { defineTask } from '../../src/task/define-task.js'

it('a handler that met a 429 pauses the shared limit for every task that passes it', async () => {
  const scheduler = createScheduler({ logger: false, limits: { api: { concurrency: 1 } } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const refused = defineTask('pause.refused', (_: void, { pauseLimit }) => pauseLimit('api', 60), {
    lane: 'main',
    limits: 'api',
  })
  const other = defineTask('pause.other', () => undefined, { lane: 'main', limits: 'api' })
  const free = defineTask('pause.free', () => undefined, { lane: 'main' })
  const first = scheduler.defer(refused)
  const second = scheduler.defer(other)
  const third = scheduler.defer(free)
  await Promise.all([first, second, third].map((job) => job.result()))
  const settledAt = first.snapshot().settledAt ?? expect.unreachable()
  expect(second.snapshot().startedAt).toBeGreaterThanOrEqual(settledAt + 59)
  expect(third.snapshot().startedAt).toBeLessThan(settledAt + 59)
})

it('a limit that is not there is logged, and a bad delay fails the attempt', async () => {
  const lines = new PassThrough()
  const scheduler = createScheduler({ logger: pino(lines), defaults: { lane: 'main', attempts: 1 } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const logged = once(lines, 'data')
  await scheduler.defer(({ pauseLimit }) => pauseLimit('nowhere', '1s')).result()
  expect(JSON.parse(String((await logged)[0]))).toMatchObject({ level: 50, limit: 'nowhere' })
  const job = scheduler.defer(({ pauseLimit }) => pauseLimit('api', -1))
  await expect(job.result()).rejects.toMatchObject({ cause: { code: 'ERR_SIDEWORK_OPTION' } })
})
