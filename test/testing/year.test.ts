/** Schedules under virtual time, a year of them. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { defineTask } from '../../src/index.js'
import '../../src/testing/matchers.js'
import { TestWorld } from '../../src/testing/test-world.js'
import { testScheduler } from './kit.js'

const minute = 60_000
const day = 24 * 60 * minute

describe('a year of schedules', () => {
  it('fires a nightly and a ten-minutely schedule as often as it has nights and ten minutes, with retries', async () => {
    const scheduler = testScheduler({ now: '2026-01-01T00:00:00Z' })
    const cron = createCron(scheduler)
    const hours = new Map<string, number>()
    let calls = 0
    const report = defineTask('year.report', async (_: void, { attempt, schedule }) => {
      if (attempt < 3) throw new Error('The database is being backed up.')
      const hour = new Date(schedule?.firedFor ?? 0).toISOString().slice(11, 16)
      hours.set(hour, (hours.get(hour) ?? 0) + 1)
    }, { lane: 'io' }) // prettier-ignore
    const cleanup = defineTask('year.cleanup', async (_: void, { attempt }) => {
      if (++calls % 10 === 0 && attempt < 5) throw new Error('busy')
    }, { lane: 'io' }) // prettier-ignore
    cron.schedule('nightly', '0 2 * * *', report, undefined, { timezone: 'Europe/Berlin' })
    cron.every('cleanup', '10m', cleanup, undefined, { overlap: 'allow' })

    const settled = await scheduler.advance('365d')

    expect(settled.filter(({ task, state }) => task === 'year.report' && state === 'completed')).toHaveLength(
      365,
    )
    // Summer time, from the last Sunday of March to that of October, is 210 nights long.
    expect(hours).toEqual(new Map([['01:00', 155], ['00:00', 210]])) // prettier-ignore
    const { perTask, retrying, completed, failed } = scheduler.stats()
    expect(perTask['year.cleanup']?.completed).toBeGreaterThanOrEqual((365 * day) / (10 * minute) - 2)
    expect(completed + failed + retrying).toBe(365 + (365 * day) / (10 * minute))
    expect(scheduler.trace().filter(({ event }) => event === 'retrying').length).toBeGreaterThan(
      365 * 2 + 5_000,
    )
    expect(scheduler.now()).toBe(Date.UTC(2027, 0, 1))
  })

  it('wakes for the runs of a nightly schedule only, as nobody sets the clock of a test', async () => {
    const scheduler = testScheduler({ now: '2026-01-01T00:00:00Z' })
    let asked = 0
    const cron = createCron(scheduler, { leader: () => ++asked > 0 })
    const wakes = vi.spyOn(TestWorld.prototype, 'fireNext')
    onTestFinished(() => wakes.mockRestore())
    let runs = 0
    cron.schedule('nightly', '0 2 * * *', () => void runs++, { timezone: 'UTC' })
    await scheduler.advance('365d')
    expect([runs, asked]).toEqual([365, 365])
    expect(wakes.mock.calls.length).toBeLessThan(4 * 365)
  })

  it('is the same year twice', async () => {
    const year = async () => {
      const scheduler = testScheduler({ seed: 42 })
      const cron = createCron(scheduler)
      const task = defineTask('year.twice', (_: void, { attempt }) => { if (attempt === 1) throw new Error('once') }) // prettier-ignore
      cron.schedule('twice', '0 */6 * * *', task, undefined, { timezone: 'America/New_York', jitter: '5m' })
      await scheduler.advance('60d')
      return JSON.stringify(scheduler.trace())
    }
    const first = await year()
    expect(first).toContain('schedule:fired')
    expect(await year()).toBe(first)
  })

  it('what runs for too long is skipped, by the rule of its schedule', async () => {
    const scheduler = testScheduler()
    const cron = createCron(scheduler)
    const slow = defineTask('year.slow', () => scheduler.sleep('25m'), { timeout: '1h' })
    cron.every('slow', '10m', slow, undefined, { overlap: 'skip' })
    await scheduler.advance('60m')
    expect(scheduler).toHaveDeferred(slow, undefined, { times: 2 })
    expect(scheduler.trace().filter(({ event }) => event === 'schedule:skipped')).toHaveLength(4)
  })
})
