/** What the benchmarks' verdicts rest on; the measuring itself is never part of the tests. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compare } from './bench/compare.mjs'
import { drawCurves } from './bench/curves.mjs'
import { pathNames } from './bench/guard-paths.mjs'
import { instructionsIn, slowerPaths } from './bench/guard.mjs'
import { percentile } from './bench/percentile.mjs'

type Stored = Record<string, Record<string, Record<string, number>>>

describe('the guard', () => {
  it('calls a path a regression when it is more than 15 % dearer', () => {
    const known = { awaited: 100, 'main lane': 100, 'ordering keys': 100 }
    expect(slowerPaths(known, { awaited: 114, 'main lane': 116, 'ordering keys': 50 })).toEqual(['main lane'])
  })

  it('has a stored figure of every hot path', () => {
    const stored = JSON.parse(readFileSync(new URL('./bench/guard.json', import.meta.url), 'utf8')) as Stored
    const versions = Object.values(stored).flatMap((kind) => Object.values(kind))
    expect(versions).not.toHaveLength(0)
    for (const figures of versions) expect(Object.keys(figures)).toEqual(pathNames)
  })

  it('reads the count of perf, and sees that there is none', () => {
    expect(instructionsIn('noise\n123456,,instructions:u,1,100.00,,\n')).toBe(123456)
    expect(instructionsIn('<not supported>,,instructions:u,0,100.00,,\n')).toBeNaN()
    expect(instructionsIn('')).toBeNaN()
  })
})

describe('contenders that use internal rooms', () => {
  it('still fit them', async () => {
    const { start } = (await import('./bench/contenders/delayed-agenda.mjs')) as {
      start(onDue: (record: object) => void): { add(record: object, delayMs: number): void }
    }
    const record = { seq: 1, place: 0 }
    const due = await new Promise((onDue) => start(onDue).add(record, 1))
    expect(due).toBe(record)
  })
})

describe('a comparison', () => {
  const group = 'some table'
  const row = {
    name: 'row',
    unit: 'ns',
    figure: 'ns',
    ours: { group, contender: 'a' },
    peer: { group, contender: 'b' },
  }

  it('takes the ratio within each round and reports the median', () => {
    const results = [
      { group, contender: 'a', samples: [{ ns: 10 }, { ns: 40 }, { ns: 30 }] },
      { group, contender: 'b', samples: [{ ns: 20 }, { ns: 20 }, { ns: 20 }] },
    ]
    expect(compare([row], results)[0]?.row).toMatchObject({ ours: 30, peer: 20, ratio: 1.5, rounds: 3 })
  })

  it('has no ratio when a side could not be measured', () => {
    const results = [
      { group, contender: 'a', samples: [{ ns: 10 }] },
      { group, contender: 'b', samples: [], failure: 'it broke' },
    ]
    expect(compare([row], results)[0]?.row).toMatchObject({ ours: 10, peer: null, ratio: null })
  })
})

describe('percentiles', () => {
  it('are values that were measured', () => {
    const numbers = Array.from({ length: 100 }, (_, n) => 100 - n)
    expect(percentile(numbers, 0.5)).toBe(51)
    expect(percentile(numbers, 0.99)).toBe(100)
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.5)).toBeUndefined()
  })
})

describe('curves', () => {
  it('put a dearer point higher, and as many points as there are values', () => {
    const points = [1, 10, 100].map((x) => ({ x, y: x === 100 ? 3 : 1, low: 0.5, high: 4 }))
    const svg = drawCurves([{ title: 'jobs that wait', points }], 'µs')
    const heights = [...svg.matchAll(/<circle[^>]* cy="([\d.]+)"/g)].map(([, cy]) => Number(cy))
    expect(heights).toHaveLength(3)
    expect(heights[0]).toBe(heights[1])
    expect(heights[2]).toBeLessThan(heights[1] ?? 0)
    expect(svg).toContain('jobs that wait')
  })
})
