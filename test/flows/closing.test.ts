import { describe, expect, it } from 'vitest'
import type { JobSnapshot } from '../../src/index.js'
import { failsForGood, failsWith, neverEnds, returns } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

/** As if the report had been written to a file and read by the next process. */
const travelled = (lost: readonly JobSnapshot[]): JobSnapshot[] =>
  JSON.parse(JSON.stringify(lost)) as JobSnapshot[]

function restored(lost: readonly JobSnapshot[], prepare: (sim: Sim) => void): Sim {
  const sim = makeSim({ seed: 2 })
  prepare(sim)
  sim.scheduler.restore(travelled(lost))
  return sim
}

it('restore() goes on with a flow where it was, with the results there were', async () => {
  const before = makeSim()
  before.task('a', returns({ big: new Array(100).fill('x') }))
  before.task('b', neverEnds, { killAfter: 1 })
  before.task('c')
  const flow = before.scheduler.flow({
    a: { task: 'a' },
    b1: { task: 'b', after: ['a'] },
    b2: { task: 'b', after: ['a'], options: { delay: 100 } },
    c: { task: 'c', after: ['a', 'b1', 'b2'] },
    d: { task: 'c', after: ['c'] },
  })
  before.advance(10)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  expect(lost.map(({ flow: place }) => place?.ref)).toEqual(['b1', 'b2', 'c', 'd'])
  const told = lost.flatMap(({ flow: place }) => place?.remains?.ends ?? [])
  expect(told.map(({ ref }) => ref)).toEqual(['a', 'a', 'a'])
  expect(
    told.filter(({ result }) => result !== undefined),
    'a result is told once, whoever comes after it',
  ).toHaveLength(1)

  const handed: unknown[] = []
  const settled: unknown[] = []
  const after = makeSim({ seed: 2 })
  after.task('b', returns('B'))
  after.task('c', (run) => (handed.push(run.handed?.steps.map(({ ref, end }) => [ref, end.state])), {}))
  after.scheduler.on('flow:settled', (event) => settled.push(event))
  after.scheduler.restore(travelled(lost))
  expect(after.scheduler.stats()).toMatchObject({ ready: 1, scheduled: 1, blocked: 2 })
  expect(after.scheduler.flowOverview(flow.id)).toMatchObject({
    state: 'running',
    progress: { total: 5, completed: 1 },
  })
  after.advance(200)
  expect(after.order).toEqual(['b', 'b', 'c', 'c'])
  expect(handed).toEqual([[['a', 'completed'], ['b1', 'completed'], ['b2', 'completed']], [['c', 'completed']]]) // prettier-ignore
  expect(settled).toMatchObject([
    { id: flow.id, kind: 'flow', state: 'completed', total: 5, completed: 5, failed: 0 },
  ])
})

it('a step knows how those before it ended also when only some of the lost steps are restored', async () => {
  const before = makeSim()
  const task = before.task('t', ({ payload }) => (payload === 'fails' ? failsForGood('no') : returns('R')))
  before.task('waits', neverEnds, { killAfter: 1 })
  const step = (name: string, after: readonly string[] = []) => ({ task, payload: name, after })
  const steps = {
    fails: step('fails'),
    returns: step('returns'),
    waits: { task: 'waits' },
    c: step('c', ['fails', 'returns', 'waits']),
    d: step('d', ['fails', 'returns', 'waits']),
  }
  before.scheduler.flow(steps as never, { onFailure: 'continue' })
  before.advance(10)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const [left] = lost.filter(({ flow: place }) => place?.ref === 'd')

  const handed: unknown[] = []
  const after = makeSim({ seed: 2 })
  after.task('t', (run) => (handed.push(run.handed?.steps.map(({ ref, end }) => ({ ref, ...end }))), {}))
  after.scheduler.restore(travelled(left === undefined ? [] : [left]))
  after.advance(10)
  expect(handed).toMatchObject([
    [
      { ref: 'fails', state: 'failed', error: { message: 'no' } },
      { ref: 'returns', state: 'completed', refused: expect.stringContaining('not restored') as string },
      { ref: 'waits', state: 'cancelled' },
    ],
  ])
})

it('the callback of a batch, one job of which was not restored, is cancelled and not retried in vain', async () => {
  const before = makeSim()
  before.task('t', neverEnds, { killAfter: 1 })
  before.task('done')
  const options = { callback: { task: 'done' }, onFailure: 'cancel' } as const
  const { callback } = before.scheduler.batch('t', [1, 2], options)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const after = restored(lost.slice(1), (sim) => {
    sim.task('t', neverEnds)
    sim.task('done')
  })
  after.advance(1)
  expect(after.scheduler.job(callback?.id ?? '')?.state).toBe('cancelled')
  expect(after.scheduler.retry(callback?.id ?? '')).toBe(false)
})

it('restore() keeps the policy and the deadline of a flow', async () => {
  const before = makeSim()
  before.task('t', neverEnds, { killAfter: 1, attempts: 1 })
  const flows = (['cancel', 'continue'] as const).map((onFailure) =>
    before.scheduler.chain([{ task: 't' }, { task: 't', ref: 'second' }], { onFailure, deadline: 10_000 }),
  )
  before.advance(1)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const after = restored(lost, (sim) => sim.task('t', failsWith('no')))
  after.advance(10)
  const states = flows.map((flow) => after.scheduler.flowOverview(flow.id)?.state)
  expect(states).toEqual(['failed', 'failed'])
  expect(after.order).toHaveLength(3) // the second step of the one that goes on
  const late = makeSim({ seed: 3, wall: before.world.clock.wall() + 20_000 })
  late.task('t', neverEnds, { killAfter: 1 })
  late.scheduler.restore(travelled(lost))
  late.advance(10)
  expect(flows.map((flow) => late.scheduler.flowOverview(flow.id)?.state)).toEqual(['expired', 'expired'])
})

it('restore() runs the callback of a batch once, with the counts of both processes', async () => {
  const before = makeSim()
  before.task('t', ({ payload }) => (payload === 0 ? failsWith('no') : payload === 1 ? {} : neverEnds), {
    attempts: 1, killAfter: 1,
  }) // prettier-ignore
  before.task('done')
  const batch = before.scheduler.batch('t', [0, 1, 2, 3], { callback: { task: 'done' } })
  before.advance(10)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  expect(lost).toHaveLength(3)
  const counts: unknown[] = []
  const after = restored(lost, (sim) => {
    sim.task('t')
    sim.task('done', (run) => (counts.push(run.handed?.batch), {}))
  })
  after.advance(10)
  expect(counts).toEqual([{ total: 4, completed: 3, failed: 1 }])
  expect(after.scheduler.flowOverview(batch.id)).toMatchObject({ state: 'completed' })
})

it('restore() of some steps takes those that are missing for cancelled: nobody waits for ever', async () => {
  const before = makeSim()
  before.task('t')
  before.scheduler.pause()
  const [strict, patient] = (['cancel', 'continue'] as const).map((onFailure) =>
    before.scheduler.chain([{ task: 't' }, { task: 't', ref: 'second' }], { onFailure }),
  )
  const batch = before.scheduler.batch('t', [1, 2], { callback: { task: 't', payload: 'done' } })
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const some = lost.filter(({ flow }) => flow?.ref !== 't' && flow?.ref !== '0')
  const after = restored(some, (sim) => sim.task('t'))
  after.advance(10)
  const state = (id = '') => after.scheduler.flowOverview(id)?.state
  expect([state(strict?.id), state(patient?.id), state(batch.id)]).toEqual([
    'cancelled',
    'failed',
    'completed',
  ])
  expect(after.scheduler.flowOverview(batch.id)?.progress).toMatchObject({
    total: 2,
    completed: 1,
    failed: 1,
  })
})

it('restore() leaves a held flow out, as it does held jobs', async () => {
  const before = makeSim()
  before.task('t')
  const flow = before.scheduler.flowWithRequest(undefined, true, 'chain', [[{ task: 't' }, { task: 't' }]])
  const { lost } = await before.close({ timeout: 0 }, 1000)
  expect(lost.map(({ state }) => state)).toEqual(['held', 'held'])
  const after = makeSim({ seed: 2 })
  after.task('t')
  expect(after.scheduler.restore(travelled(lost))).toEqual([])
  expect(after.scheduler.flowOverview(flow.id)).toBeUndefined()
})

it('restore() refuses steps of a flow that is there already', async () => {
  const before = makeSim()
  before.task('t')
  before.scheduler.pause()
  before.scheduler.chain([{ task: 't' }, { task: 't' }])
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const after = makeSim({ seed: 2 })
  after.task('t')
  after.scheduler.restore(travelled(lost.slice(0, 1)))
  expect(() => after.scheduler.restore(travelled(lost.slice(1)))).toThrow(
    /A flow with id .* exists already. Restore all lost jobs of a flow in one call/,
  )
  after.advance(10)
  expect(after.scheduler.stats()).toMatchObject({ completed: 1, accepted: 1 })
})

it('a restored step whose place in its flow is not what a report holds is refused', async () => {
  const before = makeSim()
  before.task('t')
  before.scheduler.pause()
  before.scheduler.chain([{ task: 't' }, { task: 't' }])
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const sim = makeSim({ seed: 2 })
  sim.task('t')
  const place = lost[1]?.flow
  for (const flow of [
    0,
    { id: 'x', ref: 'y', remains: 1 },
    { ...place, id: '' },
    { ...place, ref: 7 },
    ...['kind', 'onFailure', 'total', 'after', 'ends', 'position'].map((field) => ({
      ...place,
      remains: { ...place?.remains, [field]: null },
    })),
  ])
    // prettier-ignore
    expect(() => sim.scheduler.restore([{ ...lost[1], flow } as never])).toThrow(/restore/)
  expect(sim.scheduler.stats().accepted).toBe(0)
})

it('a step of which no report says the place is refused, and takes no room', async () => {
  const before = makeSim()
  before.task('t')
  before.scheduler.pause()
  before.scheduler.batch('t', [1, 2], { callback: { task: 't' } })
  before.scheduler.chain([{ task: 't' }])
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const sim = makeSim({ seed: 2, scheduler: { maxQueued: lost.length } })
  sim.task('t')
  const [one, other, callback, single] = lost
  const changed = (job: JobSnapshot | undefined, remains: object): JobSnapshot =>
    ({ ...job, flow: { ...job?.flow, remains: { ...job?.flow?.remains, ...remains } } }) as never
  for (const list of [
    [one, changed(other, { after: [one?.flow?.ref] }), callback],
    [changed(one, { isCallback: true }), other, callback],
    [changed(single, { isCallback: true })],
  ])
    expect(() => sim.scheduler.restore(travelled(list as never))).toThrow('restore got a step')
  expect(sim.scheduler.restore(travelled(lost))).toHaveLength(4)
})

it('what a sensitive step said before a restart is withheld after it', async () => {
  const before = makeSim()
  before.task('secret', failsForGood('card 4111'), { sensitive: true })
  before.task('t')
  const late = { task: 't', after: ['a'], options: { delay: '1h' } } as const
  const flow = before.scheduler.flow({ a: { task: 'secret' }, b: late }, { onFailure: 'continue' })
  const open = before.scheduler.flow({ a: { task: 't' }, b: late }, { onFailure: 'continue' })
  before.advance(10)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const after = restored(lost, (sim) => void sim.task('t'))
  expect([flow, open].map(({ id }) => after.scheduler.isSensitive(id))).toEqual([true, false])
})

it('a flow of which closing lost a step has not failed or completed but is lost, whatever its other steps did', async () => {
  const sim = makeSim()
  sim.task('bad', failsWith('no'), { attempts: 1 })
  sim.task('late', {})
  const late = { task: 'late', options: { delay: '1h' } } as const
  const told: unknown[] = []
  sim.scheduler.on('flow:settled', ({ state, error }) => told.push([state, error?.code]))
  const flows = [
    sim.scheduler.batch('late', [1, 2], { options: { delay: '1h' } }),
    sim.scheduler.flow({ a: { task: 'bad' }, b: late }, { onFailure: 'continue' }),
    sim.scheduler.chain([late]),
  ]
  const results = flows.map((flow) => flow.result().catch((error: { code: string }) => error.code))
  sim.advance(100)
  await sim.close({ timeout: 0 }, 1000)
  expect(await Promise.all(results)).toEqual(Array(3).fill('ERR_SIDEWORK_CLOSED'))
  expect(told).toEqual(Array(3).fill(['cancelled', 'ERR_SIDEWORK_CLOSED']))
})

describe('a step that waits', () => {
  const minute = 60_000
  const delayed = { delay: 10 * minute, expiresIn: 5 * minute }

  function begin(seed: number, wall?: number): Sim {
    const sim = makeSim(wall === undefined ? { seed } : { seed, wall })
    sim.task('a', ({ attempt }) => (attempt === 1 ? failsWith('no') : {}), {
      backoff: { type: 'fixed', delay: '1h' },
    })
    sim.task('b')
    return sim
  }

  it.each([0, 1, 2])('has its delay and its own expiry when it is let go (%i restarts)', async (restarts) => {
    let sim = begin(10)
    const flow = sim.scheduler.chain([{ task: 'a' }, { task: 'b', ref: 'b', options: delayed }])
    const { id = '' } = Object.values(flow.jobs)[1] ?? {}
    sim.advance(minute)
    for (let count = 0; count < restarts; count++) {
      const { lost } = await sim.close({ timeout: 0 }, 1000)
      sim = begin(11 + count, sim.world.clock.wall())
      sim.scheduler.restore(travelled(lost))
    }
    sim.scheduler.pause('b')
    while (sim.scheduler.job(id)?.state === 'blocked') sim.advance(minute)
    const letGoAt = sim.world.clock.wall()
    expect(sim.scheduler.job(id)?.state).toBe('scheduled')
    const { runAt = 0, expiresAt = 0 } = sim.scheduler.job(id) ?? {}
    expect(letGoAt + 10 * minute - runAt).toBeLessThan(minute)
    expect(expiresAt - runAt).toBe(5 * minute)
    sim.advance(runAt - letGoAt)
    expect(sim.scheduler.job(id)?.state).toBe('ready')
    sim.advance(5 * minute)
    expect(sim.scheduler.job(id)?.state).toBe('expired')
  })

  it('with a due time of its own keeps that', async () => {
    const sim = begin(20)
    const runAt = sim.world.clock.wall() + 2 * 60 * minute
    sim.scheduler.chain([{ task: 'a' }, { task: 'b', options: { runAt } }])
    sim.advance(minute)
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    const next = begin(21, sim.world.clock.wall())
    next.scheduler.restore(travelled(lost))
    next.advance(3 * 60 * minute)
    expect(next.began.map(({ at, task }) => [task, at + sim.now])).toEqual([['a', expect.any(Number)], ['b', 2 * 60 * minute]]) // prettier-ignore
  })
})

it.each([
  ['cancelled', 0],
  ['cancelled', 1],
  ['failed', 0],
  ['failed', 1],
] as const)(
  'a flow settles in the state of the step that ended badly first: %s (%i restarts)',
  async (state, restarts) => {
    const begin = (seed: number): Sim => {
      const sim = makeSim({ seed })
      sim.task('a', state === 'failed' ? failsForGood('by itself') : neverEnds)
      sim.task('c', ({ attempt }) => (attempt === 1 ? failsWith('no') : {}))
      return sim
    }
    let sim = begin(30)
    const flow = sim.scheduler.flow(
      { a: { task: 'a' }, c: { task: 'c', after: ['a'] } },
      { onFailure: 'continue' },
    )
    if (state === 'cancelled') flow.jobs.a.cancel('by hand')
    sim.advance(10)
    if (restarts > 0) {
      const { lost } = await sim.close({ timeout: 0 }, 1000)
      sim = begin(31)
      sim.scheduler.restore(travelled(lost))
    }
    sim.advance(200_000)
    const { error, ...overview } = sim.scheduler.flowOverview(flow.id) ?? {}
    expect(overview).toMatchObject({ state, progress: { total: 2, completed: 1, failed: 1 } })
    expect(error?.message).toContain(state === 'failed' ? 'by itself' : 'by hand')
  },
)
