/** What a restart does to who starts before whom: nothing. */
import { describe, expect, it } from 'vitest'
import type { JobSnapshot } from '../../src/index.js'
import { failsWith, neverEnds } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

type Step = (sim: Sim) => void

/** As if the report had been written to a file and read by the next process. */
const travelled = (lost: readonly JobSnapshot[]): JobSnapshot[] =>
  JSON.parse(JSON.stringify(lost)) as JobSnapshot[]

let seed = 1

/** A scheduler whose head fails once and is retried after an hour. @param before the one that was closed */
function begin(before?: Sim): Sim {
  seed++
  const sim = makeSim(before === undefined ? { seed } : { seed, wall: before.world.clock.wall() })
  sim.task('t', ({ payload, attempt }) => (payload === 'head' && attempt === 1 ? failsWith('no') : {}), {
    backoff: { type: 'fixed', delay: '1h' },
  })
  sim.task('free')
  return sim
}

/** Payloads in the order of their starts after `prepare` and so many restarts. */
async function starts(prepare: Step, restarts: number, then: Step = () => undefined): Promise<unknown[]> {
  let sim = begin()
  prepare(sim)
  for (let count = 0; count < restarts; count++) {
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    next.scheduler.restore(travelled(lost))
    next.advance(1000)
    sim = next
  }
  const before = sim.payloads.length
  then(sim)
  sim.advance(3 * 3_600_000)
  return sim.payloads.slice(before)
}

const inLine = { orderingKey: 'K' } as const

/** A head that is being retried, so that nobody else of the key runs. */
function standingHead(sim: Sim): void {
  sim.scheduler.defer('t', 'head', inLine)
  sim.advance(1000)
}

describe('a restored line keeps its order:', () => {
  const cases: readonly (readonly [string, Step, readonly string[]])[] = [
    ['a held job joined it when it was released', (sim) => {
      const held = sim.scheduler.hold(undefined, 't', 'held', inLine)
      sim.advance(1000)
      sim.scheduler.defer('t', 'earlier', inLine)
      sim.advance(1000)
      sim.scheduler.releaseHeld([held.id])
    }, ['head', 'earlier', 'held']],
    ['a step of a flow joined it when it was let go', (sim) => {
      sim.scheduler.flow({
        first: { task: 'free', options: { delay: 2000 } },
        step: { task: 't', payload: 'step', options: inLine, after: ['first'] },
      } as never)
      sim.advance(1000)
      sim.scheduler.defer('t', 'earlier', inLine)
      sim.advance(5000)
    }, ['head', 'earlier', 'step']],
    ['a debounced job joined it when it got the key', (sim) => {
      const dedupe = { key: 'd', mode: 'last' } as const
      sim.scheduler.defer('t', 'old', { orderingKey: 'J', dedupe, delay: '2h' })
      sim.advance(1000)
      sim.scheduler.runNow(sim.scheduler.defer('t', 'old', { orderingKey: 'K', dedupe }).id)
      sim.scheduler.defer('t', 'earlier', inLine)
      sim.scheduler.defer('t', 'first of J', { orderingKey: 'J', delay: '1h' })
    }, ['head', 'old', 'earlier', 'first of J']],
    ['a delayed job joined it when it was due', (sim) => {
      sim.scheduler.defer('t', 'delayed', { ...inLine, delay: 10_000 })
      sim.advance(1000)
      sim.scheduler.defer('t', 'earlier', inLine)
      sim.advance(20_000)
    }, ['head', 'earlier', 'delayed']],
    ['delayed jobs that fall due while nobody runs them join by their due times', (sim) => {
      sim.scheduler.defer('t', 'second', { ...inLine, delay: 900 })
      sim.scheduler.defer('t', 'first', { ...inLine, delay: 500 })
      sim.scheduler.defer('t', 'earlier', inLine)
    }, ['head', 'earlier', 'first', 'second']],
    ['a job that is retried by hand joined its end', (sim) => {
      const { id } = sim.scheduler.defer('t', 'again', inLine)
      sim.scheduler.cancel(id)
      sim.advance(1000)
      sim.scheduler.defer('t', 'earlier', inLine)
      sim.advance(1000)
      sim.scheduler.retry(id)
    }, ['head', 'earlier', 'again']],
  ] // prettier-ignore

  for (const [what, prepare, order] of cases) {
    it.each([0, 1, 2])(`${what} (%i restarts)`, async (restarts) => {
      const both: Step = (sim) => {
        standingHead(sim)
        prepare(sim)
      }
      expect(await starts(both, restarts)).toEqual(order)
    })
  }
})

it('a held job that was lost and is set to ready by hand does not run before the head that is being retried', async () => {
  const sim = begin()
  sim.scheduler.hold(undefined, 't', 'held', inLine)
  sim.advance(1000)
  standingHead(sim)
  sim.scheduler.defer('t', 'behind', inLine)
  const { lost } = await sim.close({ timeout: 0 }, 1000)
  const next = begin(sim)
  next.scheduler.restore(
    travelled(lost).map((job) => (job.state === 'held' ? { ...job, state: 'ready' } : job)),
  )
  next.advance(3 * 3_600_000)
  expect(next.payloads).toEqual(['head', 'behind', 'held'])
})

describe('a halted ordering key', () => {
  /** The failed job, and what waits behind it after so many restarts. */
  async function halted(restarts: number): Promise<{ sim: Sim; failed: string; told: unknown[] }> {
    let sim = begin()
    const failed = sim.scheduler.defer(sim.task('halts', failsWith('no'), halting), 'failed', inLine).id
    sim.scheduler.defer('t', 'behind', inLine)
    sim.scheduler.defer('t', 'delayed', { ...inLine, delay: 5000 })
    sim.scheduler.defer('t', 'of another', { orderingKey: 'J', delay: 100 })
    sim.advance(10)
    const told: unknown[] = []
    for (let count = 0; count < restarts; count++) {
      const { lost } = await sim.close({ timeout: 0 }, 1000)
      sim = begin(sim)
      sim.scheduler.on('key:halted', ({ key, id }) => void told.push({ key, id }))
      sim.scheduler.restore(travelled(lost))
      sim.advance(10)
    }
    return { sim, failed, told }
  }
  const halting = { attempts: 1, onExhausted: 'halt' } as const

  it.each([1, 2])('stands still over %i restarts, until it is released', async (restarts) => {
    const { sim, failed, told } = await halted(restarts)
    expect(sim.scheduler.haltedKeys()).toEqual(['K'])
    expect(told).toEqual(Array.from({ length: restarts }, () => ({ key: 'K', id: failed })))
    expect(sim.logged).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        fields: { count: 1 },
        message: expect.stringContaining('halted') as string,
      }),
    )
    sim.advance(3_600_000)
    expect(sim.payloads).not.toContain('behind')
    expect(sim.scheduler.stats()).toMatchObject({ blocked: 2 })
    expect(sim.scheduler.releaseKey('K')).toBe(true)
    sim.advance(10)
    expect(sim.payloads.slice(-2)).toEqual(['behind', 'delayed'])
    expect(sim.scheduler.inspect()).toMatchObject({ jobs: 0, halted: 0, lines: 0 })
  })

  it('is not carried by a restart when no job of it waits', async () => {
    const { sim } = await halted(0)
    for (const { id, orderingKey } of sim.scheduler.jobs()) if (orderingKey === 'K') sim.scheduler.cancel(id)
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    next.scheduler.restore(travelled(lost))
    next.scheduler.defer('t', 'new', inLine)
    next.advance(200)
    expect(next.scheduler.haltedKeys()).toEqual([])
    expect(next.payloads).toEqual(expect.arrayContaining(['new', 'of another']))
  })

  it('stops restored jobs that wait for a retry, not the head that the new process had begun to retry', async () => {
    const other = begin()
    standingHead(other)
    const retried = (await other.close({ timeout: 0 }, 1000)).lost
    const { sim } = await halted(0)
    const { lost } = await sim.close({ timeout: 0 }, 1000)

    const next = begin(sim)
    next.scheduler.restore(travelled([...lost, ...retried]))
    next.advance(2 * 3_600_000)
    expect(next.payloads).toEqual(['of another'])
    next.scheduler.releaseKey('K')
    next.advance(10)
    expect(next.payloads.slice(1)).toEqual(['behind', 'head', 'delayed'])

    const busy = begin(sim)
    standingHead(busy)
    busy.scheduler.restore(travelled(lost))
    busy.advance(2 * 3_600_000)
    expect(busy.payloads.filter((payload) => payload !== 'of another')).toEqual(['head', 'head'])
    busy.scheduler.releaseKey('K')
    busy.advance(10)
    expect(busy.payloads.slice(-2)).toEqual(['behind', 'delayed'])
  })

  it.each([
    ['runs', { takesMs: 1000 }, ['head', 'failed', 'behind', 'delayed']],
    ['is being retried', {}, ['head', 'head', 'failed', 'behind', 'delayed']],
  ])(
    'released with the job at which it halted runs that one behind a head of the new process that %s',
    async (_what, behaves, order) => {
      const { sim, failed } = await halted(0)
      sim.scheduler.retry(failed)
      const { lost } = await sim.close({ timeout: 0 }, 1000)
      const next = begin(sim)
      next.task('halts')
      next.task('slow', behaves)
      if ('takesMs' in behaves) next.scheduler.defer('slow', 'head', inLine)
      else standingHead(next)
      next.advance(10)
      next.scheduler.restore(travelled(lost))
      next.advance(100)
      expect(next.scheduler.releaseKey('K', { retry: true })).toBe(true)
      next.advance(0)
      expect(next.scheduler.stats().running).toBeLessThan(2)
      next.advance(2 * 3_600_000)
      expect(next.payloads.filter((payload) => payload !== 'of another')).toEqual(order)
      expect(next.scheduler.inspect()).toMatchObject({ jobs: 0, lines: 0, halted: 0 })
    },
  )

  it('of a list that is refused is not halted', async () => {
    const { sim } = await halted(0)
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = makeSim({ seed: 99, scheduler: { maxQueued: 1 } })
    next.task('t')
    expect(() => next.scheduler.restore(travelled(lost))).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }),
    )
    expect(next.scheduler.haltedKeys()).toEqual([])
  })
})

it('a lost job that is overdue keeps its runAt over two restarts', async () => {
  let sim = begin()
  sim.scheduler.pause()
  const runAt = sim.world.clock.wall() + 1000
  const { id } = sim.scheduler.defer('t', 'overdue', { runAt })
  sim.advance(60_000)
  for (let restart = 0; restart < 2; restart++) {
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    next.scheduler.pause()
    next.scheduler.restore(travelled(lost))
    next.advance(60_000)
    sim = next
  }
  expect(sim.scheduler.job(id)?.runAt).toBe(runAt)
})

it('snapshots without remains are restored by state and due time, as before there were any', async () => {
  const sim = begin()
  standingHead(sim)
  sim.scheduler.defer('t', 'later', { ...inLine, delay: 2000 })
  sim.scheduler.defer('t', 'earlier', inLine)
  sim.advance(5000)
  const { lost } = await sim.close({ timeout: 0 }, 1000)
  const next = begin(sim)
  next.scheduler.restore(travelled(lost).map(({ remains: _, ...job }) => job))
  next.advance(3 * 3_600_000)
  expect(next.payloads).toEqual(['head', 'earlier', 'later'])
})

it.each([
  5,
  null,
  { linePosition: -1 },
  { linePosition: '0' },
  { haltedBy: 1 },
  { readyAt: 'soon' },
  { delayMs: -1 },
  { expiresInMs: null },
])('restore() refuses remains that cannot have been in a report: %o', async (remains) => {
  const sim = begin()
  standingHead(sim)
  const { lost } = await sim.close({ timeout: 0 }, 1000)
  const next = begin(sim)
  const bad = lost.map((job) => ({ ...job, remains }) as never)
  expect(() => next.scheduler.restore(bad)).toThrow(
    expect.objectContaining({
      name: 'OptionError',
      message: expect.stringContaining('remains') as string,
    }),
  )
  expect(next.scheduler.stats().accepted).toBe(0)
})

it('only the snapshots of a report have remains', async () => {
  const sim = begin()
  standingHead(sim)
  expect(sim.scheduler.jobs()[0]).not.toHaveProperty('remains')
  const { lost } = await sim.close({ timeout: 0 }, 1000)
  expect(lost[0]).toHaveProperty('remains')
})

describe('restored jobs are due since they were:', () => {
  const cases: readonly (readonly [string, Step, readonly string[]])[] = [
    ['who became ready first starts first', (sim) => {
      sim.scheduler.defer('t', 'delayed', { delay: 10_000 })
      sim.advance(1000)
      sim.scheduler.defer('t', 'at once')
      sim.advance(20_000)
    }, ['at once', 'delayed']],
    ['what one has waited counts against priority', (sim) => {
      sim.scheduler.defer('t', 'low', { priority: 0 })
      sim.advance(600_000)
      sim.scheduler.defer('t', 'high', { priority: 9 })
      sim.advance(1000)
    }, ['low', 'high']],
    ['who fell due first while nobody ran them starts first', (sim) => {
      sim.scheduler.defer('t', 'second', { delay: 900 })
      sim.scheduler.defer('t', 'first', { delay: 500 })
    }, ['first', 'second']],
  ] // prettier-ignore

  for (const [what, prepare, order] of cases) {
    it.each([0, 1, 2])(`${what} (%i restarts)`, async (restarts) => {
      let sim = begin()
      sim.scheduler.pause()
      prepare(sim)
      for (let count = 0; count < restarts; count++) {
        const { lost } = await sim.close({ timeout: 0 }, 1000)
        const next = begin(sim)
        next.scheduler.pause()
        next.scheduler.restore(travelled(lost))
        sim = next
      }
      sim.advance(1000)
      sim.scheduler.resume()
      sim.advance(1000)
      expect(sim.payloads).toEqual(order)
    })
  }

  it('one that was running when its scheduler closed starts before who became ready later', async () => {
    const sim = begin()
    sim.scheduler.defer(sim.task('long', neverEnds), 'cut off')
    sim.advance(60_000)
    sim.scheduler.defer('t', 'later', { priority: 6 })
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    next.task('long')
    next.scheduler.restore(travelled(lost))
    expect(next.scheduler.stats().oldestWaitMs).toBe(61_000)
    next.advance(10)
    expect(next.payloads).toEqual(['cut off', 'later'])
  })

  it('never since an instant that is yet to come: the clock may have been set back', async () => {
    const sim = begin()
    sim.scheduler.pause()
    sim.scheduler.defer('t', 'ready')
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    next.scheduler.pause()
    const ahead = { remains: { readyAt: next.world.clock.wall() + 60_000 } }
    next.scheduler.restore(travelled(lost).map((job) => ({ ...job, ...ahead })))
    expect(next.scheduler.stats()).toMatchObject({ ready: 1, oldestWaitMs: 0 })
    next.advance(10)
    next.scheduler.defer('t', 'new')
    next.scheduler.resume()
    next.advance(10)
    expect(next.payloads).toEqual(['ready', 'new'])
  })

  it('in the same order when the clock ticks while a long list is read', async () => {
    const sim = begin()
    sim.scheduler.pause()
    sim.scheduler.defer('t', 'first')
    sim.advance(1)
    sim.scheduler.defer('t', 'second')
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(sim)
    const { clock } = next.world
    const wall = clock.wall()
    let ticks = 0
    Object.assign(clock, { wall: () => wall + (ticks += 5) })
    next.scheduler.restore(travelled(lost))
    Object.assign(clock, { wall: () => wall + next.now })
    next.advance(10)
    expect(next.payloads).toEqual(['first', 'second'])
  })
})
