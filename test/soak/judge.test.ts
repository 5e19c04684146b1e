/** The soak's own judgement: it must see what the soak is there to find. */
import { describe, expect, it } from 'vitest'
import { Accounts } from './accounts.js'
import { holds, judgeSamples, type Sample } from './judge.js'

const usual: Sample = {
  rssMb: 150,
  heapMb: 16,
  externalMb: 3,
  handles: 3,
  timers: 4,
  descriptors: 40,
  threads: 14,
  unsettled: 5,
}
/** A hundred samples; `change` says what differs in the nth. */
const samples = (change: (n: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 100 }, (_, n) => ({ ...usual, ...change(n) }))
const broken = (change: (n: number) => Partial<Sample>): string[] =>
  judgeSamples(samples(change))
    .filter((row) => !holds(row))
    .map(({ figure }) => figure)

describe('a soak', () => {
  it('holds when its figures stay, whatever the warm-up did and single moments do', () => {
    expect(broken((n) => ({ rssMb: n < 20 ? 90 + n * 3 : 150, heapMb: n % 10 === 0 ? 40 : 16 }))).toEqual([])
  })

  it.each([
    ['heapMb', (n: number) => ({ heapMb: 16 + n * 0.05 })],
    ['rssMb', (n: number) => ({ rssMb: 150 + n * 0.5 })],
    ['handles', (n: number) => ({ handles: 3 + Math.floor(n / 20) })],
    ['descriptors', (n: number) => ({ descriptors: 40 + Math.floor(n / 4) })],
    ['threads', (n: number) => ({ threads: 14 + Math.floor(n / 20) })],
  ])('is broken when %s grows', (figure, change) => {
    expect(broken(change)).toEqual([figure])
  })

  it('cannot be judged by a few samples', () => {
    expect(() => judgeSamples(samples(() => ({})).slice(0, 14))).toThrow('14 samples are too few')
  })
})

describe('the accounts of a soak', () => {
  const faultsOf = (lines: string[], answered: string[] = []): string[] => {
    const accounts = new Accounts()
    for (const line of lines) accounts.read(line)
    for (const id of answered) accounts.answered(id)
    accounts.close()
    return accounts.faults
  }

  it('are in order when each generation of each job settles once', () => {
    const twice = ['accepted|a|hash', 'settled|a|failed', 'accepted|a|hash', 'settled|a|completed']
    expect(faultsOf([...twice, 'accepted|b|mail', 'interrupted||', 'settled|b|cancelled'], ['a', 'b'])).toEqual(
      [],
    )
  })

  it.each([
    ['a job that never settles', ['accepted|a|hash'], [], 'a (hash) has not settled'],
    ['a job that settles twice', ['accepted|a|hash', 'settled|a|failed', 'settled|a|completed'], [], 'a has settled completed once more'],
    ['a job that nobody accepted', ['settled|a|completed'], [], 'a has settled completed and was never accepted'],
    ['a job that is accepted twice', ['accepted|a|hash', 'accepted|a|hash', 'settled|a|failed'], [], 'a was accepted twice'],
    ['an answer without a job', [], ['a'], 'a was answered with 202 and not accepted'],
  ])('tell of %s', (_name, lines, answered, fault) => {
    expect(faultsOf(lines, answered)).toEqual([fault])
  })
}) // prettier-ignore
