/** Cases of group C (README.md), under virtual time. What is not here stands beside what it is about. */
import { afterEach, describe, expect, it } from 'vitest'
import { failsForGood, failsWith, type Behaviour, type Run } from '../simulation/script.js'
import { makeSim, type Sim, type SimOptions } from '../simulation/sim.js'

let sim: Sim

function start(options: SimOptions = {}): Sim {
  sim = makeSim(options)
  return sim
}

afterEach(() => {
  const canary = sim.scheduler.defer(sim.task('canary'), undefined, { priority: 9 })
  sim.advance(1000)
  expect(canary.state).toBe('completed')
})

const line = { orderingKey: 'k' } as const

it("C1: a poisoned head keeps its own line waiting through its retries, then onExhausted; another line isn't slowed", () => {
  start({ scheduler: { threads: { cpu: 2 } } })
  sim.task('bad', failsWith('no'), { attempts: 3, backoff: { type: 'fixed', delay: 100 } })
  sim.task('good', { takesMs: 10 })
  sim.scheduler.defer('bad', undefined, line)
  const second = sim.scheduler.defer('good', 'A2', line)
  const others = Array.from({ length: 10 }, () => sim.scheduler.defer('good', 'B', { orderingKey: 'B' }))
  sim.advance(100)
  expect(others.every(({ state }) => state === 'completed')).toBe(true)
  sim.advance(99)
  expect(second.state).toBe('blocked')
  sim.advance(1)
  expect(second.state).toBe('running')
})

it('C1: one poisoned key beside 999 good ones slows none of them', () => {
  const finishedAt = (first: Behaviour): number[] => {
    start({ scheduler: { threads: { cpu: 4 } } })
    sim.task('first', first, { attempts: 100, backoff: { type: 'fixed', delay: 1 } })
    sim.task('good', { takesMs: 1 })
    sim.scheduler.defer('first', undefined, { orderingKey: 'key 0' })
    const jobs = Array.from({ length: 999 * 3 }, (_, n) =>
      sim.scheduler.defer('good', n, { orderingKey: `key ${1 + (n % 999)}` }),
    )
    sim.advance(2000)
    return jobs.map(({ id }) => sim.scheduler.job(id)?.settledAt ?? Infinity)
  }
  const beside = (behaviour: Behaviour): number[] => finishedAt(behaviour).sort((a, b) => a - b)
  const good = beside({ takesMs: 1 })
  const poisoned = beside(failsWith('no'))
  // Its 100 failed attempts take no time of their own, so nobody may finish later than beside a good first key.
  expect(poisoned.filter((at, n) => at > (good[n] ?? 0))).toEqual([])
})

it('C2: a head in backoff is not overtaken, not even by a job of higher priority', () => {
  start()
  sim.task('t', ({ attempt, payload }: Run) => (payload === 1 && attempt < 4 ? failsWith('no') : {}), {
    backoff: { type: 'fixed', delay: 100 },
  })
  sim.scheduler.defer('t', 1, line)
  sim.scheduler.defer('t', 2, { ...line, priority: 9 })
  sim.advance(1000)
  expect(sim.began.map(({ payload, at }) => [payload, at])).toEqual([[1, 0], [1, 100], [1, 200], [1, 300], [2, 300]]) // prettier-ignore
})

describe('C4: the next of a key starts when the head', () => {
  it.each([
    ['is cancelled while it waits', (id: string) => sim.scheduler.cancel(id), { delayed: true }],
    ['is cancelled while it runs', (id: string) => sim.scheduler.cancel(id), { takesMs: 60_000 }],
    ['is cancelled while it retries', (id: string) => sim.scheduler.cancel(id), failsWith('no')],
    ['fails', () => undefined, failsForGood('no')],
    ['expires while it retries', () => undefined, failsWith('no'), 50],
    ['expires while it waits', () => undefined, { delayed: true }, 50],
    ['crashes its thread', () => undefined, { takesMs: 5, crashes: { exitCode: 1 } }, undefined, 1],
  ] as const)('%s', (_way, act, behaves, expiresIn?: number, attempts?: number) => {
    start({ scheduler: { threads: { cpu: 1 } } })
    const isDelayed = 'delayed' in behaves
    sim.task('head', isDelayed ? {} : behaves)
    if (isDelayed) sim.scheduler.defer(sim.task('blocker', { takesMs: 200 }))
    sim.advance(1)
    const head = sim.scheduler.defer('head', undefined, { ...line, expiresIn, attempts })
    const next = sim.scheduler.defer(sim.task('next'), undefined, line)
    sim.advance(10)
    act(head.id)
    sim.advance(500)
    expect(['cancelled', 'failed', 'expired']).toContain(head.state)
    expect(next.state).toBe('completed')
    expect(sim.scheduler.defer('next', undefined, line).state).toBe('ready')
  })
})

it('C11: running jobs finish while paused; pausing twice is once; resuming what is empty or runs does nothing', () => {
  start()
  sim.task('t', { takesMs: 10 })
  sim.scheduler.resume()
  const running = sim.scheduler.defer('t')
  sim.advance(1)
  sim.scheduler.pause()
  sim.scheduler.pause()
  const waiting = sim.scheduler.defer('t')
  sim.advance(100)
  expect([running.state, waiting.state]).toEqual(['completed', 'ready'])
  sim.scheduler.resume()
  sim.advance(20)
  expect(waiting.state).toBe('completed')
  sim.scheduler.pause()
  sim.scheduler.resume()
  sim.scheduler.resume()
  sim.advance(20)
  expect(sim.began).toHaveLength(2)
})

it('C16: a job that is over before it is due to be retried expires at that moment, in its line too', () => {
  start()
  sim.task('bad', failsWith('no'), { backoff: { type: 'fixed', delay: 1000 } })
  const job = sim.scheduler.defer('bad', undefined, { ...line, expiresIn: 300 })
  const blocked = sim.scheduler.defer('bad', undefined, { ...line, expiresIn: 200 })
  sim.advance(199)
  expect([job.state, blocked.state]).toEqual(['retrying', 'blocked'])
  sim.advance(1)
  expect(blocked.state).toBe('expired')
  sim.advance(100)
  expect(job.state).toBe('expired')
})

describe('C12: a chain whose middle fails', () => {
  it('has its descendants cancelled once, and nothing of them runs', () => {
    start()
    sim.task('good')
    sim.task('bad', failsForGood('no'))
    const cancelled: string[] = []
    sim.scheduler.on('cancelled', ({ id }) => cancelled.push(id))
    const steps = ['good', 'bad', 'good', 'good', 'good'].map((task, n) => ({ task, ref: `${n}` }))
    const chain = sim.scheduler.chain(steps)
    sim.advance(100)
    expect(cancelled).toEqual(['2', '3', '4'].map((ref) => chain.jobs[ref]?.id))
    expect(sim.order).toEqual(['good', 'bad'])
  })

  it.each([
    ['a circle', { a: { task: 't', after: ['b'] }, b: { task: 't', after: ['a'] } }, /a → b → a|b → a → b/],
    ['an unknown step', { a: { task: 't', after: ['c'] } }, /'a' comes after 'c'/],
  ])('%s is refused at the call, and nothing is stored', (_what, steps, message) => {
    start()
    sim.task('t')
    expect(() => sim.scheduler.flow(steps as never)).toThrow(message)
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 0, queuedBytes: 0 })
  })
})

describe('C13: the callback of a batch is accepted once', () => {
  it.each([0, 1, 50_000])('for %i jobs', (count) => {
    start({ scheduler: { maxQueued: count + 2, threads: { cpu: 2 } } })
    sim.task('t')
    sim.task('callback')
    const accepted: string[] = []
    sim.scheduler.on('accepted', ({ id, task }) => task === 'callback' && accepted.push(id))
    const batch = sim.scheduler.batch('t', Array(count).fill(0), { callback: { task: 'callback' } })
    sim.advance(1000)
    expect(accepted).toEqual([batch.callback?.id])
    expect(sim.order.filter((task) => task === 'callback')).toHaveLength(1)
    expect(batch.state).toBe('completed')
  })

  it('when the last job and its thread crash together', () => {
    start()
    sim.task(
      't',
      ({ payload, attempt }: Run) => (payload === 2 && attempt === 1 ? { crashes: { exitCode: 1 } } : {}),
      {
        backoff: { type: 'fixed', delay: 10 },
      },
    )
    sim.task('callback')
    const batch = sim.scheduler.batch('t', [0, 1, 2], { callback: { task: 'callback' } })
    sim.advance(5)
    expect([batch.jobs[2]?.state, batch.callback?.state]).toEqual(['retrying', 'blocked'])
    sim.advance(100)
    expect(sim.order.filter((task) => task === 'callback')).toHaveLength(1)
    expect(batch.snapshot().progress).toMatchObject({ total: 3, completed: 3 })
  })
})
