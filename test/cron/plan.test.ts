import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mostCounted, plan, type CatchUpPolicy } from '../../src/cron/plan.js'
import { IntervalTimetable } from '../../src/cron/timetable.js'
import { leastMs } from '../least.js'

const policyOf = (own: Partial<CatchUpPolicy> = {}): CatchUpPolicy => ({
  catchUp: 'latest', maxCatchUp: 100, catchUpWindowMs: Infinity, ...own,
}) // prettier-ignore
/** Every 1,000 ms: 1000, 2000, … */
const everySecond = new IntervalTimetable(1_000, 0)

describe('a plan', () => {
  it.each([
    ['on time', 1_000, {}, { runs: [1_000], isOnTime: true, missed: 0, next: 2_000 }],
    ['late by a tenth of its period', 1_100, { catchUp: 'none' }, { runs: [1_000], isOnTime: true, missed: 0, next: 2_000 }],
    ['later, with none to make up for', 1_101, { catchUp: 'none' }, { runs: [], isOnTime: false, missed: 1, next: 2_000 }],
    ['later, the latest is made up for', 1_500, {}, { runs: [1_000], isOnTime: false, missed: 0, next: 2_000 }],
    ['three due: the latest', 3_500, {}, { runs: [3_000], missed: 2, next: 4_000 }],
    ['three due: none', 3_500, { catchUp: 'none' }, { runs: [], missed: 3, next: 4_000 }],
    ['three due, the last of them on time: none of the others', 3_000, { catchUp: 'none' }, { runs: [3_000], isOnTime: true, missed: 2, next: 4_000 }],
    ['three due: all', 3_500, { catchUp: 'all' }, { runs: [1_000, 2_000, 3_000], missed: 0, next: 4_000 }],
    ['three due: the last two', 3_500, { catchUp: 'all', maxCatchUp: 2 }, { runs: [2_000, 3_000], missed: 1, next: 4_000 }],
    ['three due: those of the window', 3_500, { catchUp: 'all', catchUpWindowMs: 1_500 }, { runs: [2_000, 3_000], missed: 1, next: 4_000 }],
    ['three due, the latest out of the window', 3_500, { catchUpWindowMs: 400 }, { runs: [], missed: 3, next: 4_000 }],
  ] as const)('%s', (_name, now, policy, expected) => {
    expect(plan(everySecond, 1_000, now, policyOf(policy))).toMatchObject(expected)
  }) // prettier-ignore

  it.each([
    ['one run, within the window', 1_900, 500, { runs: [1_000], isOnTime: false, missed: 0 }],
    ['one run, out of it', 1_900, 300, { runs: [], isOnTime: false, missed: 1 }],
    ['three runs, within the window', 3_500, 2_100, { runs: [1_000, 2_000, 3_000], isOnTime: true, missed: 0 }],
    ['three runs, the first out of it', 3_500, 1_900, { runs: [2_000, 3_000], missed: 1 }],
  ] as const)('is late by when it was asked whether to run, not by when that was answered: %s', (_name, now, waitedMs, expected) => {
    const policy = policyOf({ catchUp: 'all', catchUpWindowMs: 500 })
    expect(plan(everySecond, 1_000, now, policy, waitedMs)).toMatchObject(expected)
  }) // prettier-ignore

  it('of thirty days of seconds takes less than 10 ms, and counts what it missed up to a bound', () => {
    const planMonth = () => plan(everySecond, 1_000, 30 * 86_400_000 + 500, policyOf({ catchUp: 'all' }))
    const month = planMonth()
    expect(leastMs(5, planMonth)).toBeLessThan(10)
    expect(month.runs).toHaveLength(100)
    expect(month.runs.at(-1)).toBe(30 * 86_400_000)
    expect(month.missed).toBe(mostCounted)
  })

  it('runs and misses each due instant once, and next is the first after now', () => {
    const policy = fc.record({
      catchUp: fc.constantFrom('latest', 'none', 'all'),
      maxCatchUp: fc.integer({ min: 1, max: 20 }),
      catchUpWindowMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 20_000 })),
    })
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 900 }), fc.integer({ min: 0, max: 50_000 }), (own, intervalMs, lateMs) => {
        const timetable = new IntervalTimetable(intervalMs, 0)
        const first = intervalMs * 3
        const now = first + lateMs
        const decided = plan(timetable, first, now, own as CatchUpPolicy)
        const due = Math.floor(lateMs / intervalMs) + 1
        expect(decided.runs.length + decided.missed).toBe(Math.min(due, mostCounted + decided.runs.length))
        expect([...decided.runs].sort((a, b) => a - b)).toEqual(decided.runs)
        expect(decided.runs.every((run) => run >= first && run <= now && run % intervalMs === 0)).toBe(true)
        expect(decided.last).toBe(now - (now % intervalMs))
        expect(decided.next).toBe(decided.last + intervalMs)
        expect(decided.runs.length).toBeLessThanOrEqual(own.catchUp === 'all' ? own.maxCatchUp : 1)
      }),
    )
  }) // prettier-ignore
})
