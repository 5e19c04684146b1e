import { describe, expect, it } from 'vitest'
import { failsWith, returns } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

interface Seen {
  results: Record<string, unknown>
  result(task: unknown, ref?: string): unknown
  request: unknown
}

describe('a flow', () => {
  it('runs a diamond in order, whatever the order in which its steps are given', async () => {
    const sim = makeSim()
    const step = (name: string) => sim.task(name, returns(name))
    const flow = sim.scheduler.flow({
      notify: { task: step('notify'), payload: 0, after: ['thumbs', 'subtitles'] },
      thumbs: { task: step('thumbs'), payload: 0, after: ['encode'] },
      subtitles: { task: step('subtitles'), payload: 0, after: ['encode'] },
      encode: { task: step('encode'), payload: 0 },
    })
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 4, blocked: 3, ready: 1 })
    expect(flow.state).toBe('running')
    expect(flow.jobs.thumbs.snapshot().flow).toEqual({ id: flow.id, ref: 'thumbs' })
    sim.advance(10)
    expect(sim.order).toEqual(['encode', 'thumbs', 'subtitles', 'notify'])
    expect(flow.state).toBe('completed')
    await expect(flow.result()).resolves.toEqual({
      encode: 'encode', thumbs: 'thumbs', subtitles: 'subtitles', notify: 'notify',
    }) // prettier-ignore
  })

  it('hands a step the ends of the steps named in `after`, and of no other', async () => {
    const sim = makeSim({ main: 'real' })
    const seen: Seen[] = []
    const a = sim.mainTask('a', () => ({ n: 1 }))
    const b = sim.mainTask('b', () => Promise.reject(new Error('no b')), { attempts: 1 })
    const c = sim.mainTask('c', (_payload, { results, result, request }: Seen) => {
      seen.push({ results, result, request })
      return [result(a), result('a', 'first'), result(a, 'first')]
    })
    const flow = sim.scheduler.flow(
      {
        first: { task: a, payload: 0 },
        second: { task: b, payload: 0 },
        other: { task: a, payload: 0 },
        third: { task: c, payload: 0, after: ['first', 'second'] },
      },
      { onFailure: 'continue' },
    )
    await sim.flow(10)
    const [{ results, result } = {} as Seen] = seen
    expect(results).toEqual({
      first: { state: 'completed', result: { n: 1 } },
      second: { state: 'failed', error: expect.objectContaining({ message: 'no b' }) },
    })
    expect(Object.isFrozen(results)).toBe(true)
    expect(() => result(b)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_FAILED' }))
    expect(() => result(c)).toThrow(/comes after no step of task 'c'.*'first' \(a\), 'second' \(b\)/)
    await expect(flow.jobs.third.result()).resolves.toEqual([{ n: 1 }, { n: 1 }, { n: 1 }])
    await expect(flow.result()).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_FAILED',
      job: flow.jobs.second.id,
      message: expect.stringMatching(/step 'second' \(job .* of task 'b'\): no b/),
    })
  })

  it('asks for a ref where two steps before are of one task, and sees nothing in a job that is no step', async () => {
    const sim = makeSim({ main: 'real' })
    const a = sim.mainTask('a', (payload: unknown) => payload)
    const ask = sim.mainTask('ask', (_payload, { result }: Seen) => result(a, 'y'))
    const vague = sim.mainTask('vague', (_payload, { result }: Seen) => result(a), { attempts: 1 })
    const plain = sim.mainTask('plain', (_payload, { results }: Seen) => Object.keys(results))
    const flow = sim.scheduler.flow({
      x: { task: a, payload: 1 },
      y: { task: a, payload: 2 },
      z: { task: ask, payload: 0, after: ['x', 'y'] },
      v: { task: vague, payload: 0, after: ['x', 'y'] },
    })
    const job = sim.scheduler.defer(plain, 0)
    await sim.flow(10)
    await expect(flow.jobs.z.result()).resolves.toBe(2)
    await expect(flow.jobs.v.result()).rejects.toThrow(/comes after 2 steps of task 'a'.*Give a ref too/)
    await expect(job.result()).resolves.toEqual([])
  })

  it('sees the same results on every attempt', () => {
    const sim = makeSim()
    const handed: unknown[] = []
    sim.task('a', returns('A'))
    sim.task('b', ({ attempt, handed: told }) => {
      handed.push(told)
      return attempt === 1 ? failsWith('once') : {}
    }, { backoff: { type: 'fixed', delay: 5 } }) // prettier-ignore
    sim.scheduler.chain([{ task: 'a' }, { task: 'b' }])
    sim.advance(100)
    expect(handed).toHaveLength(2)
    expect(handed[1]).toEqual(handed[0])
    expect(handed[0]).toEqual({
      steps: [{ ref: 'a', task: 'a', end: { state: 'completed', result: '"A"' } }],
    })
  })

  it('without steps has settled at once', async () => {
    const sim = makeSim()
    const settled: unknown[] = []
    sim.scheduler.on('flow:settled', (event) => settled.push(event.state))
    const flow = sim.scheduler.flow({})
    expect(flow.state).toBe('completed')
    await expect(flow.result()).resolves.toEqual({})
    await expect(sim.scheduler.chain([]).result()).resolves.toEqual({})
    sim.advance(1)
    expect(settled).toEqual(['completed', 'completed'])
  })

  it('begins the delay and the expiry of a step when the steps before it have settled', () => {
    const sim = makeSim()
    sim.task('slow', { takesMs: 100 })
    sim.task('t')
    const flow = sim.scheduler.flow({
      first: { task: 'slow' },
      later: { task: 't', after: ['first'], options: { delay: 50, expiresIn: 20 } },
    })
    sim.advance(60)
    expect(flow.jobs.later.state).toBe('blocked')
    sim.advance(60)
    expect(flow.jobs.later.snapshot()).toMatchObject({
      state: 'scheduled',
      runAt: flow.snapshot().acceptedAt + 150,
    })
    sim.advance(29)
    expect(flow.jobs.later.state).toBe('scheduled')
    sim.advance(1)
    expect(flow.state).toBe('completed')
  })

  it('lets a step join the line of its ordering key when its turn in the flow has come', () => {
    const sim = makeSim({ scheduler: { threads: 4 } })
    sim.task('slow', { takesMs: 100 })
    sim.task('t', { takesMs: 10 })
    sim.scheduler.flow({
      first: { task: 'slow' },
      keyed: { task: 't', payload: 'step', after: ['first'], options: { orderingKey: 'k' } },
    })
    sim.scheduler.defer('t', 'plain', { orderingKey: 'k' })
    sim.advance(95)
    sim.scheduler.defer('t', 'long', { orderingKey: 'k' })
    sim.advance(200)
    expect(sim.payloads).toEqual([undefined, 'plain', 'long', 'step'])
  })

  it('gives its priority to steps that do not say, and its request to all', () => {
    const sim = makeSim()
    sim.task('t', {}, { priority: 'low' })
    const flow = sim.scheduler.flow(
      { a: { task: 't' }, b: { task: 't', options: { priority: 1 } } },
      { priority: 'high' },
    )
    expect(flow.jobs.a.snapshot().priority).toBe(8)
    expect(flow.jobs.b.snapshot().priority).toBe(1)
    const held = sim.scheduler.flowWithRequest({ id: 'r' }, false, 'chain', [[{ task: 't' }, { task: 't' }]])
    const requests = Object.values(held.jobs).map((job) => job.snapshot().request)
    expect(requests).toEqual([{ id: 'r' }, { id: 'r' }])
  })

  it('is never stopped by a dedupe key: a step is always a job of its own', () => {
    const sim = makeSim()
    sim.task('t', {}, { dedupe: () => 'same' })
    const there = sim.scheduler.defer('t', 0, { delay: 1000 })
    const flow = sim.scheduler.flow({ a: { task: 't' }, b: { task: 't', after: ['a'] } })
    sim.advance(10)
    expect(flow.state).toBe('completed')
    expect(there.state).toBe('scheduled')
  })
})

describe('a chain', () => {
  it('names its steps by their own ref, else by their task, numbered', () => {
    const sim = makeSim()
    sim.task('t')
    const steps = [
      { task: 't' },
      { task: 't', ref: 't#2' },
      { task: 't' },
      { task: 't', ref: 'x' },
      { task: 't' },
    ]
    const chain = sim.scheduler.chain(steps)
    expect(Object.keys(chain.jobs)).toEqual(['t', 't#2', 't#3', 'x', 't#4'])
    sim.advance(10)
    expect(chain.state).toBe('completed')
  })

  it('of 1,000 steps runs one after another', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 2000 } } })
    sim.task('t')
    const chain = sim.scheduler.chain(Array.from({ length: 1000 }, (_, payload) => ({ task: 't', payload })))
    expect(sim.scheduler.stats()).toMatchObject({ ready: 1, blocked: 999 })
    sim.advance(10)
    expect(sim.payloads).toEqual(Array.from({ length: 1000 }, (_, payload) => payload))
    expect(chain.state).toBe('completed')
  })

  it('of 1,000 steps whose first fails cancels the others, each for that one', () => {
    const sim = makeSim()
    sim.task('t', failsWith('no'), { attempts: 1 })
    const chain = sim.scheduler.chain(Array.from({ length: 1000 }, () => ({ task: 't' })))
    sim.advance(10)
    expect(sim.scheduler.stats()).toMatchObject({ failed: 1, cancelled: 999 })
    expect(chain.jobs['t#1000']?.snapshot().error).toEqual({
      name: 'JobError',
      message: "Step 't' before it failed.",
      code: 'ERR_SIDEWORK_CANCELLED',
      cause: { name: 'Error', message: 'no' },
    })
  })

  it('does not repeat what a sensitive step said in the steps after it', () => {
    const sim = makeSim()
    sim.task('secret', failsWith('card 4111'), { attempts: 1, sensitive: true })
    sim.task('t')
    const chain = sim.scheduler.chain([{ task: 'secret' }, { task: 't' }])
    sim.advance(10)
    expect(JSON.stringify(chain.jobs['t']?.snapshot())).not.toContain('4111')
  })
})

describe('a fan-out of 50,000', () => {
  it('runs them all after the first and the last after all, in slices', () => {
    const many = 50_000
    const sim = makeSim({ scheduler: { maxQueued: many + 2, threads: { cpu: 2 } } })
    sim.task('first')
    sim.task('t')
    sim.task('last')
    let turns = 0
    const { nextTurn } = sim.world
    sim.world.nextTurn = (task) => {
      turns++
      nextTurn.call(sim.world, task)
    }
    const refs = Array.from({ length: many }, (_, n) => `t${n}`)
    const steps = Object.fromEntries(refs.map((ref) => [ref, { task: 't', after: ['first'] }]))
    const flow = sim.scheduler.flow({
      first: { task: 'first' },
      ...steps,
      last: { task: 'last', after: refs as never[] },
    })
    sim.advance(1000)
    expect(flow.state).toBe('completed')
    expect(sim.order[0]).toBe('first')
    expect(sim.order.at(-1)).toBe('last')
    expect(sim.order).toHaveLength(many + 2)
    expect(turns).toBeGreaterThanOrEqual(Math.floor(many / 1024))
  }, 60_000)
})
