import { expect, it, onTestFinished } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { createTestScheduler } from '../../src/testing/index.js'

it('schedules run in the virtual time of the test kit, also through a change of the clock', async () => {
  const scheduler = createTestScheduler({ now: '2026-03-07T00:00:00-05:00', seed: 1 })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const cron = createCron(scheduler)
  const seen: string[] = []
  cron.schedule(
    'report',
    '30 2 * * *',
    ({ schedule }) => void seen.push(new Date(schedule?.firedFor ?? 0).toISOString()),
    {
      timezone: 'America/New_York',
    },
  )
  await scheduler.advance('3d')
  expect(seen).toEqual(['2026-03-07T07:30:00.000Z', '2026-03-08T07:00:00.000Z', '2026-03-09T06:30:00.000Z'])
})
