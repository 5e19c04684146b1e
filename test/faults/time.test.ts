/** Group D of README.md: clocks that jump, loops that stand still. Its other cases are in test/cron. */
import { describe, expect, it } from 'vitest'
import type { ScheduleOptions } from '../../src/cron/index.js'
import { createCron } from '../../src/cron/index.js'
import { makeCron, timeOf, type CronSim } from '../cron/make-cron.js'
import { leastOf } from '../least.js'

const minute = 60_000
const hour = 60 * minute

function scheduled(expression: string, options: ScheduleOptions = {}): CronSim {
  const made = makeCron()
  made.cron.schedule('s', expression, made.sim.task('t'), undefined, { timezone: 'UTC', ...options })
  return made
}

/** Every instant at most once and strictly increasing, and none early. */
function expectInOrder({ fired }: CronSim): void {
  for (const [index, { firedFor, at }] of fired.entries()) {
    expect(firedFor).toBeGreaterThan(fired[index - 1]?.firedFor ?? 0)
    expect(at).toBeGreaterThanOrEqual(firedFor)
  }
}

describe('D1: a wall clock that is set back', () => {
  it('by an hour: a minutely schedule goes on within a minute, by the new time', () => {
    const made = scheduled('* * * * *')
    made.sim.advance(3 * hour + 30_500)
    const before = made.fired.length
    made.sim.world.jumpWall(-hour)
    made.sim.advance(minute)
    expect(made.times().slice(before)).toEqual(['02:01:00'])
    made.sim.advance(10 * minute)
    expect(made.times().slice(before)).toHaveLength(11)
    expect(new Set(made.times().slice(before)).size).toBe(11)
  })

  it('by less than a minute: no instant comes again', () => {
    const made = scheduled('*/10 * * * * *')
    made.sim.advance(61_000)
    made.sim.world.jumpWall(-45_000)
    made.sim.advance(2 * minute)
    expectInOrder(made)
    expect(made.missed).toEqual([])
    // For 45 s it waited until the clock came to where it had been.
    expect(made.times().slice(5, 8)).toEqual(['00:01:00', '00:01:10', '00:01:20'])
  })

  it('again and again, by half a minute each minute: it never waits longer than a minute', () => {
    const made = scheduled('*/5 * * * * *')
    let longest = 0
    let seen = 0
    let since = 0
    for (let second = 0; second < 600; second++) {
      if (second % 60 === 59) made.sim.world.jumpWall(-30_000)
      made.sim.advance(1_000)
      since = made.fired.length > seen ? 0 : since + 1
      seen = made.fired.length
      longest = Math.max(longest, since)
    }
    expect(longest).toBeLessThanOrEqual(61)
  })

  it('does not touch delays', () => {
    const { sim } = makeCron()
    sim.scheduler.defer(sim.task('t'), undefined, { delay: minute })
    sim.world.jumpWall(-hour)
    sim.advance(minute)
    expect(sim.began.map(({ at }) => at)).toEqual([minute])
  })
})

describe('D2: a wall clock that jumps ahead', () => {
  /** Jumps, and lets the next look at the clock come. @returns how long that took, in real ms */
  function jumped(made: CronSim, jump: number): number {
    made.sim.advance(hour + 500)
    made.sim.world.jumpWall(jump)
    const timer = made.sim.world.timerAt ?? 0
    const start = performance.now()
    made.sim.advance(timer - made.sim.now)
    return performance.now() - start
  }

  it.each([
    ['8 h', 8 * hour],
    ['30 d', 720 * hour],
  ])('by %s: one run is made up for in less than 10 ms, then it goes on', (_name, jump) => {
    for (const expression of ['* * * * * *', '*/5 * * * *', '0 2 * * *']) {
      const made = scheduled(expression)
      const took = jumped(made, jump)
      expect(
        Math.min(
          took,
          leastOf(4, () => jumped(scheduled(expression), jump)),
        ),
      ).toBeLessThan(10)
      const before = made.fired.filter(({ at }) => at < Date.UTC(2026, 0, 1) + hour + 501).length
      expect(made.fired.length - before).toBe(1)
      expect(made.fired.at(-1)?.reason).toBe(expression === '* * * * * *' ? 'due' : 'catch-up')
      made.sim.advance(expression === '* * * * * *' ? hour : 24 * hour)
      expectInOrder(made)
      expect(made.missed.length).toBeLessThanOrEqual(1)
    }
  })

  it('with catchUp all: at most maxCatchUp runs, the latest ones', () => {
    const made = scheduled('* * * * *', { catchUp: 'all', maxCatchUp: 3 })
    made.sim.advance(30_000)
    made.sim.world.jumpWall(30 * 24 * hour)
    made.sim.advance(30_000)
    expect(made.times()).toEqual(['23:59:00', '00:00:00', '00:01:00'])
    expect(made.missed).toMatchObject([{ count: 1_000 }])
    expectInOrder(made)
  })
})

describe('D4: an event loop that is blocked for 3 s across the ticks of * * * * * *', () => {
  const blockedFrom10 = (options: ScheduleOptions): CronSim => {
    const made = scheduled('* * * * * *', options)
    made.sim.advance(10_300)
    made.sim.world.block(3_000)
    made.sim.advance(1_000)
    expectInOrder(made)
    return made
  }
  const after = (made: CronSim): string[] => made.times().slice(10)

  it('latest: one run, which knows how late it is', () => {
    const made = blockedFrom10({ catchUp: 'latest' })
    expect(after(made)).toEqual(['00:00:13', '00:00:14'])
    expect(made.fired[10]).toMatchObject({ reason: 'catch-up', lateBy: 300 })
    expect(made.missed).toMatchObject([{ name: 's', count: 2, firedFor: Date.UTC(2026, 0, 1, 0, 0, 13) }])
  })

  it('none: no run', () => {
    const made = blockedFrom10({ catchUp: 'none' })
    expect(after(made)).toEqual(['00:00:14'])
    expect(made.missed).toMatchObject([{ count: 3 }])
  })

  it('all: each, one after another', () => {
    const made = blockedFrom10({ catchUp: 'all' })
    expect(after(made)).toEqual(['00:00:11', '00:00:12', '00:00:13', '00:00:14'])
    expect(made.missed).toEqual([])
  })

  it('all, within catchUpWindow', () => {
    expect(after(blockedFrom10({ catchUp: 'all', catchUpWindow: 1_500 }))).toEqual([
      '00:00:12',
      '00:00:13',
      '00:00:14',
    ])
  })
})

describe('D12: a restart within the same minute', () => {
  it('does not run that minute again', () => {
    const made = makeCron({ wall: Date.UTC(2026, 0, 1, 12, 0, 0, 400) })
    const cron = createCron(made.sim.scheduler)
    cron.schedule('s', '* * * * *', made.sim.task('t'), undefined, { timezone: 'UTC' })
    made.sim.advance(59_500)
    expect(made.fired).toEqual([])
    made.sim.advance(100)
    expect(made.fired.map(({ firedFor }) => timeOf(firedFor))).toEqual(['12:01:00'])
  })
})
