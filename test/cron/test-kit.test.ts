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

it.each([
  ['with the default attempts the runs that come before its retry', undefined, 12],
  ['with one attempt none', { attempts: 1 }, 0],
])('a closure that fails once skips %s', async (_name, defer, expected) => {
  const scheduler = createTestScheduler({ seed: 1 })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  let skipped = 0
  scheduler.on('schedule:skipped', () => void skipped++)
  let calls = 0
  const cleanUp = () => {
    if (++calls === 1) throw new Error('once')
  }
  createCron(scheduler).every('clean-up', '5s', cleanUp, defer && { defer })
  await scheduler.advance('5m')
  expect(skipped).toBe(expected)
  expect(calls).toBeGreaterThan(40)
})
