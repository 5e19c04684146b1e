import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fields, type DayMatch } from '../../src/cron/fields.js'
import { next } from '../../src/cron/next.js'
import { zoneOf } from '../../src/cron/zone.js'
import { seededRandom } from '../../src/testing/seeded.js'
import { leastMs } from '../least.js'
import { firstInstant, lastInstant, randomExpression, zoneNames } from './triples.js'

/** The instants from one to another, `to` excluded, as UTC text without seconds. */
function runs(
  expression: string,
  zone: string,
  from: string,
  to: string,
  dayMatch: DayMatch = 'or',
): string[] {
  const fields = new Fields(expression, dayMatch)
  const found: string[] = []
  const end = Date.parse(to)
  for (let at = next(fields, Date.parse(from) - 1, zoneOf(zone)); at !== undefined && at < end;) {
    found.push(new Date(at).toISOString().slice(0, 16))
    at = next(fields, at, zoneOf(zone))
  }
  return found
}

describe('in New York in 2026', () => {
  const spring = ['2026-03-06T05:00Z', '2026-03-11T04:00Z'] as const
  const autumn = ['2026-10-30T04:00Z', '2026-11-04T05:00Z'] as const

  it('D5: a daily 02:30 runs once each day in spring, at 03:00 in the night that has no 02:30', () => {
    expect(runs('30 2 * * *', 'America/New_York', ...spring)).toEqual([
      '2026-03-06T07:30', '2026-03-07T07:30', '2026-03-08T07:00', '2026-03-09T06:30', '2026-03-10T06:30',
    ]) // prettier-ignore
  })

  it('D6: a daily 01:30 runs once each day in autumn, at the first 01:30 of the night that has two', () => {
    expect(runs('30 1 * * *', 'America/New_York', ...autumn)).toEqual([
      '2026-10-30T05:30', '2026-10-31T05:30', '2026-11-01T05:30', '2026-11-02T06:30', '2026-11-03T06:30',
    ]) // prettier-ignore
  })

  it.each([['spring', spring], ['autumn', autumn]] as const)(
    'both run exactly once on each of the five days of %s, by the wall clock',
    (_season, [from, to]) => {
      for (const expression of ['30 2 * * *', '30 1 * * *']) {
        const days = runs(expression, 'America/New_York', from, to).map((at) =>
          new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York' }).format(Date.parse(`${at}Z`)),
        )
        expect(days).toHaveLength(5)
        expect(new Set(days).size).toBe(5)
      }
    },
  ) // prettier-ignore

  it.each([['spring', spring], ['autumn', autumn]] as const)(
    '*/10 runs every ten real minutes through the nights of %s',
    (_season, [from, to]) => {
      const found = runs('*/10 * * * *', 'America/New_York', from, to).map((at) => Date.parse(`${at}Z`))
      const expected: number[] = []
      for (let at = Date.parse(from); at < Date.parse(to); at += 600_000) expected.push(at)
      expect(found).toEqual(expected)
    },
  ) // prettier-ignore

  it('lists and ranges of hours are fixed hours: what one gap swallows is one run', () => {
    const night = ['2026-03-08T05:00Z', '2026-03-08T09:00Z'] as const
    expect(runs('0,15,30 2 * * *', 'America/New_York', ...night)).toEqual(['2026-03-08T07:00'])
    expect(runs('0 1-3 * * *', 'America/New_York', ...night)).toEqual([
      '2026-03-08T06:00',
      '2026-03-08T07:00',
    ])
    expect(runs('30 1,2 * * *', 'America/New_York', '2026-11-01T04:00Z', '2026-11-01T09:00Z')).toEqual([
      '2026-11-01T05:30', '2026-11-01T07:30',
    ]) // prettier-ignore
  })

  it('a stepped wildcard hour follows real time', () => {
    expect(runs('0 */1 * * *', 'America/New_York', '2026-11-01T04:00Z', '2026-11-01T08:00Z')).toEqual([
      '2026-11-01T04:00', '2026-11-01T05:00', '2026-11-01T06:00', '2026-11-01T07:00',
    ]) // prettier-ignore
  })
})

describe('D5, D6: elsewhere', () => {
  it.each([
    ['Lord Howe loses half an hour', '15 2 * * *', 'Australia/Lord_Howe', '2025-10-04T12:00Z', '2025-10-05T12:00Z', ['2025-10-04T15:30']],
    ['Lord Howe repeats half an hour', '45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T12:00Z', '2026-04-05T12:00Z', ['2026-04-04T14:45']],
    ['Havana has no midnight', '0 0 * * *', 'America/Havana', '2026-03-07T12:00Z', '2026-03-08T12:00Z', ['2026-03-08T05:00']],
    ['Havana has two half past midnights', '30 0 * * *', 'America/Havana', '2026-10-31T12:00Z', '2026-11-01T12:00Z', ['2026-11-01T04:30']],
    ['Apia skipped 30 December 2011', '0 12 30 12 *', 'Pacific/Apia', '2011-12-25T00:00Z', '2012-01-05T00:00Z', ['2011-12-30T10:00']],
    ['Kathmandu is 5:45 ahead', '0 9 * * *', 'Asia/Kathmandu', '2026-01-01T00:00Z', '2026-01-02T00:00Z', ['2026-01-01T03:15']],
  ] as const)('%s', (_name, expression, zone, from, to, expected) => {
    expect(runs(expression, zone, from, to)).toEqual(expected)
  }) // prettier-ignore
})

describe('days', () => {
  it.each([
    ['the last day of a month', '0 0 L * *', ['01-31', '02-28', '03-31']],
    ['the third last', '0 0 L-2 * *', ['01-29', '02-26', '03-29']],
    ['the last weekday', '0 0 LW * *', ['01-30', '02-27', '03-31']],
    ['the weekday nearest to the 15th', '0 0 15W * *', ['01-15', '02-16', '03-16']],
    ['the weekday nearest to the 1st, in the same month', '0 0 1W * *', ['01-01', '02-02', '03-02']],
    ['the last Friday', '0 0 * * 5L', ['01-30', '02-27', '03-27']],
    ['the second Friday', '0 0 * * 5#2', ['01-09', '02-13', '03-13']],
    ['the fifth Friday, where there is one', '0 0 * * 5#5', ['01-30']],
    ['the 31st, where there is one', '0 0 31 * *', ['01-31', '03-31']],
    ['day 13 or Friday: either matches', '0 0 13 2 FRI', ['02-06', '02-13', '02-20', '02-27']],
    ['a day field that starts with * restricts nothing', '0 0 */10 2 0', ['02-01']],
    ['a range over all days of the week restricts', '0 0 13 2 0-6', Array.from({ length: 28 }, (_, day) => `02-${String(day + 1).padStart(2, '0')}`)],
  ])('%s', (_name, expression, expected) => {
    const found = runs(expression, 'UTC', '2026-01-01T00:00Z', '2026-04-01T00:00Z')
    expect(found.map((at) => at.slice(5, 10))).toEqual(expected)
  }) // prettier-ignore

  it("both must match with dayMatch 'and'", () => {
    expect(runs('0 0 13 * FRI', 'UTC', '2026-01-01T00:00Z', '2027-01-01T00:00Z', 'and')).toEqual([
      '2026-02-13T00:00', '2026-03-13T00:00', '2026-11-13T00:00',
    ]) // prettier-ignore
  })

  it('D7: 29 February is found, also over the leap year that 2100 is not, in less than 50 ms', () => {
    const look = () => {
      expect(runs('0 0 29 2 *', 'Europe/Berlin', '2026-01-01T00:00Z', '2033-01-01T00:00Z')).toEqual([
        '2028-02-28T23:00', '2032-02-28T23:00',
      ]) // prettier-ignore
      expect(runs('0 0 29 2 *', 'UTC', '2096-03-01T00:00Z', '2105-01-01T00:00Z')).toEqual([
        '2104-02-29T00:00',
      ])
      expect(
        runs('*/7 * 29 2 1', 'America/New_York', '2026-01-01T00:00Z', '2026-01-05T00:00Z', 'and'),
      ).toEqual([])
    }
    expect(leastMs(5, look)).toBeLessThan(50)
  })
})

describe('for any expression, zone and instant', () => {
  const triple = fc.tuple(
    fc.integer(),
    fc.constantFrom(...zoneNames),
    fc.integer({ min: firstInstant, max: lastInstant }),
  )

  it('I25: instants are whole seconds, strictly after the one before, and none is left out', () => {
    fc.assert(
      fc.property(triple, ([seed, zone, from]) => {
        const fields = new Fields(randomExpression(seededRandom(seed), true), 'or')
        let at = from
        for (let count = 0; count < 20; count++) {
          const following = next(fields, at, zoneOf(zone))
          if (following === undefined) return
          expect(following).toBeGreaterThan(at)
          expect(following % 1_000).toBe(0)
          // Asked from anywhere between, the answer is the same.
          const between = at + Math.floor((following - at - 1) * seededRandom(seed + count)())
          expect(next(fields, between, zoneOf(zone))).toBe(following)
          at = following
        }
      }),
      { numRuns: 300 },
    )
  })
})
