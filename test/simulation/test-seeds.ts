/** One share of the schedules that every run of the tests plays; two files, so that two cores share them. */
import { expect, it } from 'vitest'
import { Sometimes } from './sometimes.js'
import { playSeeds } from './seeds.js'

export function testSeeds(first: number, count: number): void {
  const sometimes = new Sometimes()

  it(`${count} random schedules keep every invariant`, { timeout: 240_000 }, async () => {
    const { failure, played } = await playSeeds(first, count, sometimes)
    expect(failure).toBeUndefined()
    expect(played).toBe(count)
  })

  it('they reach every rare situation there is a name for', () => {
    expect(sometimes.missing).toEqual([])
  })
}
