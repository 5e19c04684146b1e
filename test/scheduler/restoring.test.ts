import { describe, expect, it } from 'vitest'
import type { DeferOptions, RequestContext } from '../../src/index.js'
import { failsWith, neverEnds, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

it('restore() leaves lost closures out, says so once, and takes back the others', async () => {
  const before = makeSim()
  before.scheduler.pause()
  const closures = [1, 2].map(() => before.scheduler.defer(() => undefined))
  const job = before.scheduler.defer(before.task('t'), 'kept')
  const { lost } = await before.close({ timeout: 0 }, 1000)
  expect(lost.map(({ task }) => task)).toEqual(['(inline)', '(inline)', 't'])
  expect(before.logged.find(({ level }) => level === 'warn')?.message).toContain('closures excepted')

  const after = makeSim({ seed: 2 })
  after.task('t')
  expect(after.scheduler.restore(lost).map(({ id }) => id)).toEqual([job.id])
  after.advance(10)
  expect(after.payloads).toEqual(['kept'])
  expect(after.scheduler.job(closures[0]?.id ?? '')).toBeUndefined()
  const warnings = after.logged.filter(({ level }) => level === 'warn')
  expect(warnings.map(({ fields }) => fields)).toEqual([{ count: 2, ids: closures.map(({ id }) => id) }])
})

it('restore() keeps when a job expires, also when that was while nobody ran it', async () => {
  const before = makeSim()
  before.task('bad', failsWith('no'), { backoff: { type: 'fixed', delay: '1h' } })
  before.scheduler.defer('bad', 'retrying', { id: 'retrying', expiresIn: 2000 })
  before.scheduler.defer(before.task('t'), 'later', { id: 'later', delay: 500, expiresIn: 5000 })
  before.scheduler.defer('t', 'over', { id: 'over', delay: 100, expiresIn: 100 })
  before.scheduler.defer('t', 'never', { id: 'never', delay: 9000 })
  before.advance(10)
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const start = before.world.clock.wall() - before.now
  const expiry = Object.fromEntries(lost.map(({ id, expiresAt }) => [id, expiresAt && expiresAt - start]))
  expect(expiry).toEqual({ retrying: 2000, later: 5500, over: 200, never: undefined })

  const after = makeSim({ seed: 2, wall: start + 1200 })
  after.task('bad')
  after.task('t')
  after.scheduler.pause()
  after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
  const state = (id: string) => after.scheduler.job(id)?.state
  after.advance(0)
  expect(state('over')).toBe('expired')
  after.advance(799)
  expect(state('retrying')).toBe('retrying')
  after.advance(1)
  expect(state('retrying')).toBe('expired')
  after.advance(3499)
  expect(state('later')).toBe('ready')
  after.advance(1)
  expect(state('later')).toBe('expired')
  after.scheduler.resume()
  expect(after.scheduler.retry('over')).toBe(true)
  after.advance(10_000)
  expect([state('over'), state('never')]).toEqual(['completed', 'completed'])
})

it('restore() goes on with a retry: state, last failure and the number of the next attempt, however often', async () => {
  const before = makeSim()
  const options = { attempts: 2, backoff: { type: 'fixed', delay: '1h' } } as const
  before.task('bad', failsWith('no'), options)
  const { id } = before.scheduler.defer('bad')
  before.advance(10)
  let { lost } = await before.close({ timeout: 0 }, 1000)
  for (const seed of [2, 3]) {
    const between = makeSim({ seed, wall: before.world.clock.wall() })
    between.task('bad', failsWith('no'), options)
    const [job] = between.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
    expect(job?.snapshot()).toMatchObject({ state: 'retrying', attempt: 1, error: { message: 'no' } })
    expect(between.scheduler.stats()).toMatchObject({ retrying: 1, scheduled: 0 })
    lost = (await between.close({ timeout: 0 }, 1000)).lost
  }
  const after = makeSim({ seed: 4, wall: before.world.clock.wall() })
  after.task('bad', {}, options)
  after.scheduler.restore(lost)
  after.advance(3_600_000)
  expect(after.began).toMatchObject([{ id, attempt: 2 }])
})

it('a restored job was accepted when it was taken back, and a retry does not change that', async () => {
  const before = makeSim()
  before.task('bad', failsWith('no'), { attempts: 1 })
  const { id } = before.scheduler.defer('bad', 'later', { delay: 1000 })
  const { lost } = await before.close({ timeout: 0 }, 1000)
  const after = makeSim({ seed: 2, wall: before.world.clock.wall() + 60_000 })
  after.task('bad', failsWith('no'), { attempts: 1 })
  const acceptedAt = after.world.clock.wall()
  after.scheduler.restore(lost)
  after.advance(10)
  expect(after.scheduler.job(id)).toMatchObject({ state: 'failed', generation: 1, acceptedAt })
  after.scheduler.retry(id)
  after.advance(10)
  expect(after.scheduler.job(id)).toMatchObject({ state: 'failed', generation: 2, acceptedAt })
})

it('two restored jobs of one key that wait for a retry run one after the other', async () => {
  const lost = await Promise.all(
    [1, 2].map(async (seed) => {
      const sim = makeSim({ seed })
      sim.scheduler.defer(sim.task('bad', failsWith('no')), seed, { orderingKey: 'k' })
      sim.advance(10)
      return (await sim.close({ timeout: 0 }, 1000)).lost
    }),
  )
  const after = makeSim({ seed: 3 })
  after.task('bad', { takesMs: 5 })
  expect(after.scheduler.restore(lost.flat()).map(({ state }) => state)).toEqual(['retrying', 'scheduled'])
  after.advance(100_000)
  expect(after.began.map(({ payload, attempt }) => [payload, attempt])).toEqual([[1, 2], [2, 2]]) // prettier-ignore
})

it('restore() leaves out why the old process could start no thread', () => {
  const sim = makeSim()
  const snapshot = sim.scheduler.defer(sim.task('t'), 1, { delay: 1000 }).snapshot()
  const error = { name: 'Error', message: 'no such module' }
  const [job] = sim.scheduler.restore([{ ...snapshot, id: 'other', error }])
  expect(job?.snapshot()).toMatchObject({ state: 'scheduled' })
  expect(job?.snapshot().error).toBeUndefined()
})

it('a restored job with a bad expiry is refused', () => {
  const sim = makeSim()
  const snapshot = sim.scheduler.defer(sim.task('t'), 1, { delay: 1000, expiresIn: 5000 }).snapshot()
  for (const expiresAt of [NaN, 'soon', null, Infinity]) {
    const bad = { ...snapshot, id: 'other', expiresAt } as never
    expect(() => sim.scheduler.restore([bad])).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('expiresAt') }),
    )
  }
  expect(sim.scheduler.stats().accepted).toBe(1)
})

it("a child has its parent's request, and so have its own children", async () => {
  const sim = makeSim({ main: 'real' })
  const seen: unknown[] = []
  const task = (name: string, child?: string) =>
    sim.mainTask(name, async (_payload: never, context: { defer: (task: string) => unknown; request: RequestContext }) => {
      seen.push([name, context.request])
      if (child !== undefined) await context.defer(child)
    }) // prettier-ignore
  const request = { id: 'req-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  const [child, grandchild] = [task('child', 'grandchild'), task('grandchild')]
  for (const known of [child, grandchild]) sim.scheduler.defer(known, undefined, { delay: 1 }).cancel()
  sim.scheduler.deferWithRequest(request, task('parent', 'child'))
  await sim.flow(10)
  await sim.flow(10)
  expect(seen).toEqual(['parent', 'child', 'grandchild'].map((name) => [name, request]))
})

it('a child that is refused is told in an event, as any other', () => {
  const sim = makeSim()
  const refused: unknown[] = []
  sim.scheduler.on('refused', ({ task, code }) => void refused.push([task, code]))
  const says = [
    {
      message: (token: number) => ({ kind: 'defer', token, call: 1, task: 'unknown', payload: '1' }) as const,
    },
  ]
  sim.scheduler.defer(sim.task('parent', { takesMs: 10, says }))
  sim.advance(20)
  expect(refused).toEqual([['unknown', 'ERR_SIDEWORK_UNKNOWN_TASK']])
  const answer = sim.thread(1).inbox.find(({ kind }) => kind === 'deferred')
  expect(answer).toMatchObject({ error: { code: 'ERR_SIDEWORK_UNKNOWN_TASK' } })
})

describe("a restored job's own expiresIn", () => {
  const last = { key: 'k', mode: 'last' } as const

  it.each([0, 1, 2])('begins again when it is debounced (%i restarts)', async (restarts) => {
    let sim = makeSim()
    const options = { dedupe: { key: () => 'k', mode: 'last' } } as const
    sim.task('t', {}, options)
    const { id } = sim.scheduler.defer('t', 1, { delay: 10_000, expiresIn: 5000 })
    for (let count = 0; count < restarts; count++) {
      const { lost } = await sim.close({ timeout: 0 }, 1000)
      sim = makeSim({ seed: 2 + count, wall: sim.world.clock.wall() })
      sim.task('t', {}, options)
      sim.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
    }
    sim.advance(2000)
    const wall = sim.world.clock.wall()
    expect(sim.scheduler.defer('t', 2, { delay: 60_000, expiresIn: 5000 })).toMatchObject({
      id,
      deduplicated: true,
    })
    expect(sim.scheduler.job(id)).toMatchObject({ runAt: wall + 60_000, expiresAt: wall + 65_000 })
    sim.advance(60_000)
    expect(sim.scheduler.job(id)?.state).toBe('completed')
  })

  it('of a report that does not tell it ends with the debounce: it does not expire before it is due', async () => {
    const before = makeSim()
    before.scheduler.defer(before.task('t'), 1, { dedupe: last, delay: 10_000, expiresIn: 5000 })
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    after.task('t', {}, { dedupe: { key: () => 'k', mode: 'last' } })
    const [job] = after.scheduler.restore(lost.map(({ remains: _, ...snapshot }) => snapshot))
    after.scheduler.defer('t', 2, { delay: 60_000 })
    after.advance(30_000)
    expect(job?.snapshot()).toMatchObject({ state: 'scheduled' })
    expect(job?.snapshot().expiresAt).toBeUndefined()
    after.advance(30_000)
    expect(job?.state).toBe('completed')
  })

  it('begins again with retry(id)', async () => {
    const before = makeSim()
    before.scheduler.defer(before.task('t'), 1, { delay: 10_000, expiresIn: 5000 })
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    after.task('t')
    const [job] = after.scheduler.restore(lost)
    job?.cancel()
    after.scheduler.pause()
    after.scheduler.retry(job?.id ?? '')
    after.advance(5000)
    expect(job?.snapshot().state).toBe('expired')
  })
})

describe('restore() of a job whose dedupe key', () => {
  const once = { dedupe: { key: 'k', ttl: '1h' } } as const
  const last = { dedupe: { key: () => 'k', mode: 'last' }, backoff: { type: 'fixed', delay: '1h' } } as const

  /** The older payload's first attempt fails, so that its job waits for an hour. */
  const begin = (sim: Sim) => {
    sim.task('t', ({ payload, attempt }) => (payload === 'old' && attempt === 1 ? failsWith('no') : {}), last)
    return sim
  }

  it('is shared with the job it followed, accepted after it, follows that one again', async () => {
    const before = begin(makeSim())
    const held = before.scheduler.hold(undefined, 't', 'new')
    before.scheduler.defer('t', 'old')
    before.advance(10)
    before.scheduler.releaseHeld([held.id])
    const { lost } = await before.close({ timeout: 0 }, 1000)
    expect(lost.map(({ payload, state }) => [payload, state])).toEqual([['new', 'blocked'], ['old', 'retrying']]) // prettier-ignore

    const after = begin(makeSim({ seed: 2, wall: before.world.clock.wall() }))
    after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
    after.advance(3 * 3_600_000)
    expect(after.payloads).toEqual(['old', 'new'])
  })

  it('was held, and is set to ready by hand, follows the one that stood for the key', async () => {
    const before = begin(makeSim())
    before.scheduler.hold(undefined, 't', 'new')
    before.scheduler.defer('t', 'old')
    before.advance(10)
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const after = begin(makeSim({ seed: 2, wall: before.world.clock.wall() }))
    after.scheduler.restore(lost.map((job) => (job.state === 'held' ? { ...job, state: 'ready' } : job)))
    after.advance(3 * 3_600_000)
    expect(after.payloads).toEqual(['old', 'new'])
  })

  describe('another has that was accepted since', () => {
    /** A lost job of the key, and a process in which one of the same key was deferred. */
    async function met(options: DeferOptions, newer: DeferOptions): Promise<Sim> {
      const before = makeSim()
      before.scheduler.pause()
      before.scheduler.defer(before.task('t', {}, last), 'old', options)
      const { lost } = await before.close({ timeout: 0 }, 1000)
      const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
      after.task('t', {}, last)
      after.scheduler.pause()
      after.scheduler.defer('t', 'new', newer)
      after.advance(10)
      after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
      after.scheduler.resume()
      return after
    }

    const cases: readonly (readonly [string, DeferOptions, DeferOptions])[] = [
      ['both are delayed', { delay: 30_000 }, { delay: 20_000 }],
      ['both are ready', {}, {}],
      ['the newer one stands in a line', { delay: 30_000, orderingKey: 'a' }, { orderingKey: 'a' }],
    ]
    it.each(cases)(
      'goes before that one, so that the latest payload is last: %s',
      async (_what, options, newer) => {
        const after = await met(options, newer)
        expect(after.scheduler.jobs().map(({ payload, state }) => [payload, state])).toContainEqual([
          'new',
          'blocked',
        ])
        after.advance(100_000)
        expect(after.payloads).toEqual(['old', 'new'])
        expect(after.scheduler.inspect()).toMatchObject({ jobs: 0, dedupe: 0, lines: 0 })
      },
    )

    it('takes its place also when it was sent ahead to a thread', async () => {
      const before = makeSim()
      before.scheduler.pause()
      before.scheduler.defer(before.task('t', {}, last), 'old')
      const { lost } = await before.close({ timeout: 0 }, 1000)
      const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
      after.task('t', ({ payload }) => (payload === 'long' ? { takesMs: 50 } : {}), last)
      for (let n = 0; n < 100; n++) after.scheduler.defer('t', n, { dedupe: `${n}` })
      after.advance(10)
      after.scheduler.defer('t', 'long', { dedupe: 'long' })
      const { id } = after.scheduler.defer('t', 'new')
      after.advance(1)
      expect(after.thread(1).sentAhead).toContain(id)
      after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
      after.advance(1000)
      expect(after.payloads.slice(-2)).toEqual(['old', 'new'])
    })

    it('follows that one once it has started', async () => {
      const before = makeSim()
      before.scheduler.pause()
      before.scheduler.defer(before.task('t', {}, last), 'old')
      const { lost } = await before.close({ timeout: 0 }, 1000)
      const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
      after.task('t', { takesMs: 50 }, last)
      after.scheduler.defer('t', 'new')
      after.advance(10)
      after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
      after.advance(1000)
      expect(after.began.map(({ payload, at }) => [payload, at])).toEqual([['new', expect.any(Number)], ['old', 50]]) // prettier-ignore
    })
  })

  it('a completed job keeps by its ttl runs all the same: it was accepted before', async () => {
    const before = makeSim()
    before.scheduler.defer(before.task('t'), 'old', { ...once, id: 'old', delay: 10 })
    const { lost } = await before.close({ timeout: 0 }, 1000)

    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    after.scheduler.defer(after.task('t'), 'new', once)
    after.advance(1)
    const [job] = after.scheduler.restore(lost)
    after.advance(3_600_000)
    expect(after.payloads).toEqual(['new', 'old'])
    expect(job?.state).toBe('completed')
    expect(after.scheduler.inspect()).toMatchObject({ jobs: 0, dedupe: 0 })
  })

  it('belongs to one of another ordering key follows that one, and stands in no line before', async () => {
    const last = { key: 'k', mode: 'last' } as const
    const before = makeSim()
    before.task('t', ({ payload }: Run) => (payload === 'leader' ? failsWith('no') : neverEnds), {
      backoff: { type: 'fixed', delay: 1000 },
    })
    before.scheduler.defer('t', 'leader', { dedupe: last, orderingKey: 'a' })
    before.advance(1)
    before.scheduler.defer('t', 'earlier', { orderingKey: 'b' })
    before.scheduler.defer('t', 'follower', { dedupe: last, orderingKey: 'b' })
    before.advance(1)
    const { lost } = await before.close({ timeout: 0 }, 1000)
    expect(lost.map(({ state }) => state)).toEqual(['retrying', 'running', 'blocked'])

    const after = makeSim({ seed: 2, wall: before.world.clock.wall(), scheduler: { threads: 3 } })
    after.task('t', ({ payload }: Run) => ({ takesMs: payload === 'leader' ? 100 : 10 }), {
      dedupe: { key: () => 'unused', mode: 'last' },
    })
    after.scheduler.restore(lost)
    after.scheduler.defer('t', 'later', { orderingKey: 'b', dedupe: 'another' })
    after.advance(5000)
    const beganAt = (payload: string) => after.began.find((one) => one.payload === payload)?.at ?? Infinity
    expect(beganAt('follower')).toBeGreaterThanOrEqual(beganAt('leader') + 100)
    expect(beganAt('later')).toBeLessThan(beganAt('follower'))
    expect(after.scheduler.stats()).toMatchObject({ completed: 4 })
  })
})

describe('restore() of what cannot have been in a report', () => {
  const hostile: readonly (readonly [string, object])[] = [
    ['a failure without an error', { attempt: 1, errors: [{ attempt: 1 }] }],
    ['a failure that is none', { errors: [null] }],
    ['failures that are no list', { errors: 'none' }],
    ['a request that is no object', { request: 'req-1' }],
    ['a request with a function', { request: { id: 'req-1', bindings: { log: () => undefined } } }],
    ['a request that cannot be read', { request: { get id(): string { throw new Error('no') } } }], // prettier-ignore
    ['a schedule that is none', { schedule: { name: 5 } }],
    ['more attempts than it may have', { state: 'retrying', attempt: 5, maxAttempts: 5 }],
  ]

  it.each(hostile)('%s is refused with a code, and nothing has changed', (_what, facts) => {
    const sim = makeSim()
    const snapshot = sim.scheduler.defer(sim.task('t'), 1, { delay: 1000 }).snapshot()
    const before = sim.scheduler.stats()
    const bad = Object.defineProperties({ ...snapshot, id: 'other' }, Object.getOwnPropertyDescriptors(facts))
    expect(() => sim.scheduler.restore([{ ...snapshot, id: 'good' }, bad])).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_OPTION',
        message: expect.stringContaining('restore') as string,
      }),
    )
    expect(sim.scheduler.stats()).toEqual(before)
    expect(sim.scheduler.inspect()).toMatchObject({ jobs: 1, flows: 0 })
  })

  it('steps that come after themselves are refused, and nothing has changed', async () => {
    const before = makeSim()
    before.task('t')
    before.scheduler.pause()
    before.scheduler.chain([{ task: 't', ref: 'a' }, { task: 't', ref: 'b' }]) // prettier-ignore
    const { lost } = await before.close({ timeout: 0 }, 1000)

    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    after.task('t')
    const text = JSON.stringify(lost)
    const round = JSON.parse(text.replace('"after":[]', '"after":["b"]')) as typeof lost
    const itself = JSON.parse(text.replace('"after":["a"]', '"after":["b"]')) as typeof lost
    for (const bad of [round, itself]) {
      expect(() => after.scheduler.restore(bad)).toThrow(
        expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining("'b'") }),
      )
      expect(after.scheduler.stats()).toMatchObject({ accepted: 0, queuedBytes: 0 })
      expect(after.scheduler.inspect()).toMatchObject({ jobs: 0, flows: 0 })
    }
    after.scheduler.restore(lost)
    after.advance(10)
    expect(after.scheduler.stats()).toMatchObject({ completed: 2 })
  })

  it('is not changed by who changes what was handed in', () => {
    const sim = makeSim()
    const snapshot = sim.scheduler.defer(sim.task('t'), 1, { delay: 1000 }).snapshot()
    const error = { name: 'Error', message: 'no' }
    const given = {
      ...snapshot,
      id: 'other',
      state: 'retrying' as const,
      attempt: 1,
      errors: [{ attempt: 1, at: 5, error }],
      request: { id: 'req-1', bindings: { tenant: 't-1' } },
    }
    const [job] = sim.scheduler.restore([given])
    error.message = 'changed'
    given.request.bindings.tenant = 'changed'
    given.errors.length = 0
    expect(job?.snapshot()).toMatchObject({
      errors: [{ attempt: 1, at: 5, error: { name: 'Error', message: 'no' } }],
      request: { id: 'req-1', bindings: { tenant: 't-1' } },
    })
    expect(Object.isFrozen(job?.snapshot().errors)).toBe(true)
  })
})
