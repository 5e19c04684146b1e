/** Cancel, deadline, retry, held flows. */
import { describe, expect, it } from 'vitest'
import { failsWith, returns } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

describe('cancelling a flow', () => {
  it('cancels what waits and stops what runs, and says so to whoever waits', async () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 1000 })
    const flow = sim.scheduler.chain([{ task: 't' }, { task: 't' }, { task: 't' }])
    const result = flow.result().catch((error: unknown) => error)
    sim.advance(1)
    expect(flow.cancel('enough')).toBe(true)
    expect(flow.state).toBe('cancelled')
    expect(flow.cancel()).toBe(false)
    expect(sim.scheduler.stats()).toMatchObject({ cancelled: 3 })
    expect(await result).toMatchObject({
      code: 'ERR_SIDEWORK_CANCELLED',
      message: `Flow ${flow.id} cancelled: enough`,
    })
    sim.advance(2000)
    expect(sim.order).toEqual(['t'])
  })

  it('works by its id too, and lets nothing run under `continue`', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 1000 })
    const flow = sim.scheduler.chain([{ task: 't' }, { task: 't' }], { onFailure: 'continue' })
    sim.advance(1)
    expect(sim.scheduler.cancel(flow.id)).toBe(true)
    expect(sim.scheduler.cancel(flow.id)).toBe(false)
    sim.advance(2000)
    expect(sim.scheduler.stats()).toMatchObject({ cancelled: 2 })
    expect(() => sim.scheduler.chain([{ task: 't' }]).cancel(1 as never)).toThrow(/The reason is 1/)
  })
})

describe('a deadline', () => {
  it('expires what waits, stops what runs, and ends the flow as expired', async () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 60 }, { killAfter: 1 })
    const flow = sim.scheduler.flow(
      {
        first: { task: 't' },
        second: { task: 't', after: ['first'] },
        third: { task: 't', after: ['second'] },
        later: { task: 't', options: { delay: 500 } },
      },
      { deadline: 100, onFailure: 'continue' },
    )
    expect(flow.snapshot().deadlineAt).toBe(flow.snapshot().acceptedAt + 100)
    const result = flow.result().catch((error: unknown) => error)
    sim.advance(99)
    expect(flow.state).toBe('running')
    sim.advance(2)
    const states = Object.values(flow.jobs).map(({ state }) => state)
    expect(states).toEqual(['completed', 'cancelled', 'expired', 'expired'])
    expect(flow.state).toBe('expired')
    expect(await result).toMatchObject({
      code: 'ERR_SIDEWORK_EXPIRED',
      message: expect.stringContaining('deadline'),
    })
  })

  it('that a flow meets leaves nothing behind', () => {
    const sim = makeSim()
    sim.task('t')
    sim.scheduler.chain([{ task: 't' }], { deadline: '1h' })
    sim.advance(10)
    expect(sim.scheduler.inspect()).toMatchObject({ flows: 0, flowResultBytes: 0 })
  })

  it('ends a large flow in slices', () => {
    const sim = makeSim()
    sim.task('t')
    sim.scheduler.pause()
    const batch = sim.scheduler.batch('t', Array(5000).fill(0), { deadline: 100 })
    const turns = sim.world.nextTurn.bind(sim.world)
    let count = 0
    sim.world.nextTurn = (task) => (count++, turns(task))
    sim.advance(101)
    expect(batch.snapshot().progress).toMatchObject({ failed: 5000 })
    expect(count).toBeGreaterThanOrEqual(4)
  })
})

function broken(sim: Sim) {
  const state = { works: false }
  sim.task('bad', () => (state.works ? returns('mended') : failsWith('no')), { attempts: 1 })
  sim.task('t')
  return state
}

describe('retrying a failed step', () => {
  it('revives the steps after it that its flow cancelled, and the flow goes on', async () => {
    const sim = makeSim()
    const state = broken(sim)
    const flow = sim.scheduler.flow({
      a: { task: 't' },
      b: { task: 'bad', after: ['a'] },
      c: { task: 't', after: ['b'] },
      d: { task: 't', after: ['a', 'c'] },
      e: { task: 't', after: ['d'] },
    })
    sim.advance(10)
    expect([flow.state, flow.jobs.e.state]).toEqual(['failed', 'cancelled'])
    state.works = true
    expect(sim.scheduler.retry(flow.jobs.b.id)).toBe(true)
    expect(flow.state).toBe('running')
    expect([flow.jobs.c.state, flow.jobs.d.state, flow.jobs.e.state]).toEqual([
      'blocked',
      'blocked',
      'blocked',
    ])
    const result = flow.result()
    sim.advance(10)
    expect(flow.state).toBe('completed')
    expect(sim.order).toEqual(['t', 'bad', 'bad', 't', 't', 't'])
    await expect(result).resolves.toMatchObject({ b: 'mended' })
    expect(flow.snapshot().progress).toEqual({ total: 5, completed: 5, failed: 0, ratio: 1 })
  })

  it('waits with a step that two failed ones come before until both are retried', () => {
    const sim = makeSim()
    const state = broken(sim)
    const flow = sim.scheduler.flow({
      x: { task: 'bad' },
      y: { task: 'bad' },
      both: { task: 't', after: ['x', 'y'] },
    })
    sim.advance(10)
    state.works = true
    expect(sim.scheduler.retry(flow.jobs.both.id)).toBe(false)
    expect(sim.scheduler.retry(flow.jobs.x.id)).toBe(true)
    sim.advance(10)
    expect(flow.jobs.both.state).toBe('cancelled')
    expect(flow.state).toBe('failed')
    expect(sim.scheduler.retry(flow.jobs.y.id)).toBe(true)
    sim.advance(10)
    expect([flow.jobs.both.state, flow.state]).toEqual(['completed', 'completed'])
  })

  it('leaves a step alone that the user cancelled, and those after it', () => {
    const sim = makeSim()
    const state = broken(sim)
    const flow = sim.scheduler.flow({
      a: { task: 'bad', options: { delay: 5 } },
      mine: { task: 't', after: ['a'] },
      after: { task: 't', after: ['mine'] },
    })
    sim.scheduler.cancel(flow.jobs.mine.id)
    sim.advance(10)
    state.works = true
    expect(sim.scheduler.retry(flow.jobs.a.id)).toBe(true)
    sim.advance(10)
    expect(Object.values(flow.jobs).map(({ state: now }) => now)).toEqual([
      'completed',
      'cancelled',
      'cancelled',
    ])
    expect(sim.scheduler.retry(flow.jobs.mine.id)).toBe(true)
    sim.advance(10)
    expect(flow.state).toBe('completed')
  })

  it('revives the steps after it when the whole flow had been cancelled or was too late', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 50 }, { killAfter: 1 })
    const steps = [{ task: 't' }, { task: 't' }, { task: 't' }]
    const cancelled = sim.scheduler.chain(steps)
    sim.advance(10)
    cancelled.cancel()
    const late = sim.scheduler.chain(steps, { deadline: 30 })
    sim.advance(40)
    expect([cancelled.state, late.state]).toEqual(['cancelled', 'expired'])
    for (const flow of [cancelled, late]) expect(sim.scheduler.retry(flow.jobs['t']?.id ?? '')).toBe(true)
    sim.advance(25)
    expect([cancelled.state, late.state]).toEqual(['running', 'running'])
    sim.advance(500)
    expect(cancelled.state).toBe('completed')
    expect(late.state).toBe('expired') // its deadline began again with the retry
  })

  it('is refused when there is no room for those after it, and nothing has changed', () => {
    const sim = makeSim({ scheduler: { maxQueued: 3 } })
    broken(sim)
    const flow = sim.scheduler.chain([{ task: 'bad' }, { task: 't' }, { task: 't' }])
    sim.advance(10)
    sim.scheduler.defer('t', 0, { delay: 1000 })
    expect(() => sim.scheduler.retry(flow.jobs['bad']?.id ?? '')).toThrow(/Queue is full/)
    expect(flow.state).toBe('failed')
    expect(sim.scheduler.stats()).toMatchObject({ failed: 1, cancelled: 2, blocked: 0 })
  })

  it('is refused when the flow is kept no longer', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 1, failed: 1 } } })
    broken(sim)
    const first = sim.scheduler.chain([{ task: 'bad' }])
    sim.advance(10)
    const id = first.jobs['bad']?.id ?? ''
    for (let n = 0; n < 3; n++) sim.scheduler.chain([])
    expect(sim.scheduler.job(id)?.flow).toEqual({ id: first.id, ref: 'bad' })
    expect(sim.scheduler.flowOverview(first.id)).toBeUndefined()
    expect(sim.scheduler.retry(id)).toBe(false)
  })

  it('needs no room in retryAll when it can no longer be retried', () => {
    const sim = makeSim({ scheduler: { maxQueued: 2, keep: { completed: 1, failed: 1 } } })
    broken(sim)
    sim.scheduler.chain([{ task: 'bad' }, { task: 't' }]) // the step that was cancelled is kept, that before it is not
    sim.advance(10)
    sim.scheduler.pause()
    for (let n = 0; n < 2; n++) sim.scheduler.defer('t')
    expect(sim.scheduler.retryAll()).toBe(0)
  })

  it('can be retried again and again: what its jobs hold on to is counted once', () => {
    const sim = makeSim({ scheduler: { keep: { bytes: 60_000 } } })
    broken(sim)
    const after = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`n${n}`, { task: 't', after: ['bad'] }]),
    )
    const flow = sim.scheduler.flow({ bad: { task: 'bad' }, ...after } as never)
    sim.advance(10)
    const id = flow.snapshot().steps['bad']?.id ?? ''
    for (let n = 0; n < 30; n++) {
      expect([n, sim.scheduler.retry(id)]).toEqual([n, true])
      sim.advance(10)
    }
  })

  it('retryAll revives each step once', () => {
    const sim = makeSim()
    const state = broken(sim)
    const flows = [1, 2].map(() => sim.scheduler.chain([{ task: 'bad' }, { task: 't' }]))
    sim.advance(10)
    state.works = true
    expect(sim.scheduler.retryAll()).toBe(4)
    sim.advance(10)
    expect(flows.map((flow) => flow.state)).toEqual(['completed', 'completed'])
    expect(sim.order.slice().sort()).toEqual(['bad', 'bad', 'bad', 'bad', 't', 't'])
  })

  it('of a halted key lets the flow go on with it', () => {
    const sim = makeSim()
    const state = { works: false }
    sim.task('keyed', () => (state.works ? {} : failsWith('no')), { attempts: 1, onExhausted: 'halt' })
    sim.task('t')
    const flow = sim.scheduler.chain([{ task: 'keyed', options: { orderingKey: 'k' } }, { task: 't' }])
    sim.advance(10)
    expect([flow.state, sim.scheduler.haltedKeys()]).toEqual(['failed', ['k']])
    state.works = true
    sim.scheduler.releaseKey('k', { retry: true })
    sim.advance(10)
    expect(flow.state).toBe('completed')
  })
})

describe('a held flow', () => {
  const hold = (sim: Sim) =>
    sim.scheduler.flowWithRequest(undefined, true, 'flow', [
      { a: { task: 't', options: { delay: 5 } }, b: { task: 't', after: ['a'] } },
      { deadline: 100 },
    ])

  it('goes on as a whole when it is released, its delay and deadline beginning then', () => {
    const sim = makeSim()
    sim.task('t')
    const flow = hold(sim)
    sim.advance(1000)
    expect([flow.state, flow.jobs['a']?.state, flow.jobs['b']?.state]).toEqual(['held', 'held', 'held'])
    expect(flow.snapshot().deadlineAt).toBeUndefined()
    sim.scheduler.releaseHeld([flow.id])
    expect([flow.state, flow.jobs['a']?.state, flow.jobs['b']?.state]).toEqual([
      'running',
      'scheduled',
      'blocked',
    ])
    expect(flow.snapshot().deadlineAt).toBe(flow.snapshot().acceptedAt + 1100)
    sim.advance(10)
    expect(flow.state).toBe('completed')
    sim.scheduler.releaseHeld([flow.id])
    sim.scheduler.discardHeld([flow.id], 'too late')
    expect(flow.state).toBe('completed')
  })

  it('that is awaited without a bound is warned of', async () => {
    const sim = makeSim()
    sim.task('t')
    const flow = hold(sim)
    void flow.result({ timeout: 1 }).catch(() => undefined)
    expect(sim.logged.filter(({ level }) => level === 'warn')).toEqual([])
    const result = flow.result()
    expect(sim.logged.filter(({ level }) => level === 'warn')).toMatchObject([{ fields: { flow: flow.id } }])
    sim.scheduler.releaseHeld([flow.id])
    sim.advance(10)
    await expect(result).resolves.toEqual({ a: undefined, b: undefined })
  })

  it('is cancelled as a whole when it is discarded', async () => {
    const sim = makeSim()
    sim.task('t')
    const flow = hold(sim)
    sim.scheduler.discardHeld([flow.id], 'The response of its request failed.')
    expect(flow.state).toBe('cancelled')
    await expect(flow.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED' })
    sim.advance(10)
    expect(sim.order).toEqual([])
  })

  it('of which a step was cancelled meanwhile cancels those after it at release', () => {
    const sim = makeSim()
    sim.task('t')
    const flow = hold(sim)
    sim.scheduler.cancel(flow.jobs['a']?.id ?? '')
    expect(flow.jobs['b']?.state).toBe('held')
    sim.scheduler.releaseHeld([flow.id])
    expect([flow.jobs['b']?.state, flow.state]).toEqual(['cancelled', 'cancelled'])
  })
})

it('a step whose signal has aborted already is cancelled, with those after it', () => {
  const sim = makeSim()
  sim.task('t')
  const flow = sim.scheduler.flow({
    b: { task: 't', after: ['a'] },
    a: { task: 't', options: { signal: AbortSignal.abort() } },
  })
  expect([flow.jobs.a.state, flow.jobs.b.state, flow.state]).toEqual(['cancelled', 'cancelled', 'cancelled'])
})

it('a flow whose signal has aborted already leaves no deadline behind', () => {
  const sim = makeSim()
  sim.task('t')
  const options = { signal: AbortSignal.abort() }
  const flow = sim.scheduler.flow(
    { a: { task: 't', options }, b: { task: 't', options } },
    { deadline: '1h' },
  )
  expect(flow.state).toBe('cancelled')
  sim.advance(0)
  expect(sim.scheduler.inspect()).toMatchObject({ agenda: 0, flows: 0 })
})

it('a wait for a flow can be given up; the flow goes on', async () => {
  const sim = makeSim()
  sim.task('t', { takesMs: 100 })
  const flow = sim.scheduler.chain([{ task: 't' }])
  const wait = flow.result({ timeout: 10 }).catch((error: unknown) => error)
  sim.advance(20)
  expect(await wait).toMatchObject({
    code: 'ERR_SIDEWORK_RESULT_TIMEOUT',
    message: `Flow ${flow.id} has not settled after 10 ms: 0 of 1 steps have (state 'running'). It goes on.`,
  })
  sim.advance(100)
  await expect(flow.result({ timeout: 10 })).resolves.toEqual({ t: undefined })
})
