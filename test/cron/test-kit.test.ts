import { describe, expect, it, onTestFinished } from 'vitest'
import { createCron, type LeaderHook } from '../../src/cron/index.js'
import type { SchedulerEvents } from '../../src/events/event-types.js'
import {
  createTestScheduler,
  type TestScheduler,
  type TestSchedulerOptions,
} from '../../src/testing/index.js'

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

describe('a leader hook in the test kit', () => {
  type Told = SchedulerEvents['schedule:fired'] | SchedulerEvents['schedule:skipped']

  /** Every minute a run that is asked for; what was told of them. */
  function led(leader: (scheduler: TestScheduler) => LeaderHook, options: TestSchedulerOptions = {}) {
    const scheduler = createTestScheduler(options)
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const told: Told[] = []
    scheduler.on('schedule:fired', (event) => void told.push(event))
    scheduler.on('schedule:skipped', (event) => void told.push(event))
    createCron(scheduler, { leader: leader(scheduler) }).every('e', '1m', () => undefined)
    return { scheduler, told, reasons: () => told.map(({ reason }) => reason) }
  }
  const realTime = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 5))

  it('that really takes its time answers each run, and none is late', async () => {
    const { scheduler, told, reasons } = led(() => async () => {
      await realTime()
      return true
    })
    expect(await scheduler.advance('3m')).toHaveLength(3)
    expect(reasons()).toEqual(['due', 'due', 'due'])
    expect(told).toMatchObject([{ lateBy: 0 }, { lateBy: 0 }, { lateBy: 0 }])
  })

  it('that says no after a while is not waited for any longer than that', async () => {
    const { scheduler, reasons } = led(
      () => async () => {
        await realTime()
        return false
      },
      { patience: '1h' },
    )
    await scheduler.advance('2m')
    expect(reasons()).toEqual(['not-leader', 'not-leader'])
  })

  it('that waits for virtual time lets it pass, and has failed after 10 s of it', async () => {
    let asked = 0
    const { scheduler, told, reasons } = led(
      (kit) => async () => {
        await kit.sleep(++asked === 1 ? '5s' : '11s')
        return true
      },
      { patience: '1h' },
    )
    await scheduler.advance('1m')
    expect(told).toEqual([])
    await scheduler.advance('5s')
    expect(told).toMatchObject([{ reason: 'due', lateBy: 5_000 }])
    await scheduler.advance('1m')
    expect(reasons()).toEqual(['due'])
    await scheduler.advance('5s')
    expect(reasons()).toEqual(['due', 'leader-failed'])
  })

  it('that never answers has failed after 10 s of virtual time', async () => {
    const { scheduler, reasons } = led(() => () => new Promise(() => undefined), { patience: '100ms' })
    await scheduler.advance('69s')
    expect(reasons()).toEqual([])
    await scheduler.advance('1s')
    expect(reasons()).toEqual(['leader-failed'])
  })

  it('that throws or answers at once is as in production', async () => {
    const answers: (() => boolean)[] = [() => true, () => { throw new Error('redis is away') }, () => false] // prettier-ignore
    const { scheduler, reasons } = led(() => () => answers.shift()?.() ?? true)
    await scheduler.advance('4m')
    expect(reasons()).toEqual(['due', 'leader-failed', 'not-leader', 'due'])
  })
})
