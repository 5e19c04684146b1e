import { describe, expect, it } from 'vitest'
import { failsForGood, failsWith, neverEnds, snoozes } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const key = 'k'
const quick = { type: 'fixed', delay: 10 } as const

describe('an ordering key', () => {
  it('runs its jobs one at a time, in the order of joining, on however many threads', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 4 } } })
    const task = sim.task('t', { takesMs: 5 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task, n, { orderingKey: key, priority: n % 10 })
    sim.advance(1000)
    expect(sim.payloads).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('is global: jobs of different tasks and lanes stand in one line', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('cpu', { takesMs: 5 }), undefined, { orderingKey: key })
    sim.scheduler.defer(sim.task('io', { takesMs: 5 }, { lane: 'io' }), undefined, { orderingKey: key })
    sim.scheduler.defer(sim.task('main', {}, { lane: 'main' }), undefined, { orderingKey: key })
    sim.advance(2)
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, blocked: 2 })
    sim.advance(100)
    expect(sim.order).toEqual(['cpu', 'io', 'main'])
  })

  it('C2: a job waits while an earlier job of its key is being retried', () => {
    const sim = makeSim()
    const bad = sim.task('bad', failsWith('no'), { attempts: 3, backoff: { type: 'fixed', delay: 1000 } })
    const head = sim.scheduler.defer(bad, undefined, { orderingKey: key })
    const next = sim.scheduler.defer(sim.task('good'), undefined, { orderingKey: key })
    sim.advance(1999)
    expect([head.state, next.state]).toEqual(['retrying', 'blocked'])
    sim.advance(1)
    expect([head.state, next.state]).toEqual(['failed', 'completed'])
    expect(sim.order).toEqual(['bad', 'bad', 'bad', 'good'])
  })

  it('C1: a poisoned key does not slow another', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('bad', failsWith('no')), undefined, { orderingKey: 'poison' })
    const others = Array.from({ length: 50 }, () =>
      sim.scheduler.defer(sim.task('good'), undefined, { orderingKey: 'fine' }),
    )
    sim.advance(0)
    expect(others.every(({ state }) => state === 'completed')).toBe(true)
  })

  it('keeps its head through a snooze', () => {
    const sim = makeSim()
    const sleepy = sim.task('sleepy', () => (sim.began.length < 1 ? snoozes(500) : {}))
    sim.scheduler.defer(sleepy, undefined, { orderingKey: key })
    const next = sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    sim.advance(499)
    expect(next.state).toBe('blocked')
    sim.advance(1)
    expect(next.state).toBe('completed')
  })

  it('is joined by a delayed job when it falls due, not when it is accepted', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 100 })
    sim.scheduler.defer(task, 'delayed', { orderingKey: key, delay: 50 })
    sim.scheduler.defer(task, 'a', { orderingKey: key })
    sim.scheduler.defer(task, 'b', { orderingKey: key, delay: 1 })
    sim.advance(1000)
    expect(sim.payloads).toEqual(['a', 'b', 'delayed'])
  })

  it('is joined by a delayed job when it falls due also while the event loop is blocked', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 10 })
    sim.scheduler.defer(task, 'later', { orderingKey: key, delay: 30 })
    sim.scheduler.defer(task, 'delayed', { orderingKey: key, delay: 20 })
    sim.scheduler.defer(task, 'not due', { orderingKey: key, delay: 60 })
    sim.world.block(40)
    const held = sim.scheduler.hold(undefined, task, 'held', { orderingKey: key })
    sim.scheduler.defer(task, 'newcomer', { orderingKey: key })
    sim.scheduler.releaseHeld([held.id])
    sim.advance(1000)
    expect(sim.payloads).toEqual(['delayed', 'later', 'newcomer', 'held', 'not due'])
  })

  it.each(['cancel', 'debounce', 'runNow', 'lose'] as const)(
    'one that fell due then, and is let go by %s before the timer says so, leaves nothing behind',
    async (what) => {
      const sim = makeSim()
      const task = sim.task('t', { takesMs: 10 })
      const dedupe = { key: 'd', mode: 'last' } as const
      const delayed = sim.scheduler.defer(task, 'delayed', { orderingKey: key, delay: 20, dedupe })
      sim.world.block(40)
      const newcomer = sim.scheduler.defer(task, 'newcomer', { orderingKey: key })
      expect([delayed.state, newcomer.state]).toEqual(['scheduled', 'blocked'])
      if (what === 'lose') {
        expect((await sim.close({ timeout: 0 }, 100)).lost).toHaveLength(2)
        return
      }
      if (what === 'cancel') delayed.cancel()
      if (what === 'debounce') sim.scheduler.defer(task, 'again', { orderingKey: key, delay: 20, dedupe })
      if (what === 'runNow') expect(sim.scheduler.runNow(delayed.id)).toBe(true)
      sim.advance(1000)
      const order = { cancel: ['newcomer'], debounce: ['newcomer', 'again'], runNow: ['delayed', 'newcomer'] }
      expect(sim.payloads).toEqual(order[what])
    },
  )

  it.each(['cancel the running head', 'cancel one in the middle', 'cancel the last'])(
    'goes on after: %s',
    (what) => {
      const sim = makeSim()
      const task = sim.task('t', { takesMs: 10 })
      const jobs = ['a', 'b', 'c'].map((name) => sim.scheduler.defer(task, name, { orderingKey: key }))
      sim.advance(1)
      const index = ['cancel the running head', 'cancel one in the middle', 'cancel the last'].indexOf(what)
      expect(jobs[index]?.cancel()).toBe(true)
      sim.advance(1000)
      const left = ['a', 'b', 'c'].filter((_, at) => at !== index)
      expect(jobs.map(({ state }) => state)).toEqual(
        [0, 1, 2].map((at) => (at === index ? 'cancelled' : 'completed')),
      )
      expect(sim.payloads).toEqual(index === 0 ? ['a', 'b', 'c'] : left)
    },
  )

  it('is given on only when a cancelled head has really ended', () => {
    const sim = makeSim()
    const stubborn = sim.task('stubborn', neverEnds, { killAfter: 300 })
    const head = sim.scheduler.defer(stubborn, undefined, { orderingKey: key })
    const next = sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    sim.advance(1)
    head.cancel()
    sim.advance(299)
    expect([head.state, next.state]).toEqual(['cancelled', 'blocked'])
    sim.advance(1)
    expect(next.state).toBe('completed')
  })

  it('goes on when its head expires or fails for good', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 100 }))
    sim.advance(1)
    const expiring = sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: key, expiresIn: 50 })
    const failing = sim.scheduler.defer(sim.task('bad', failsForGood('no')), undefined, { orderingKey: key })
    const last = sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: key })
    sim.advance(200)
    expect([expiring.state, failing.state, last.state]).toEqual(['expired', 'failed', 'completed'])
  })

  it('leaves the next at the head when a blocked job expires', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('slow', { takesMs: 100 }), undefined, { orderingKey: key })
    const middle = sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: key, expiresIn: 50 })
    const last = sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: key })
    sim.advance(50)
    expect(middle.state).toBe('expired')
    sim.advance(50)
    expect(last.state).toBe('completed')
  })
})

describe("onExhausted: 'halt'", () => {
  function haltedSim() {
    const sim = makeSim()
    let isFixed = false
    const bad = sim.task('bad', () => (isFixed ? {} : failsWith('no')), {
      attempts: 2,
      backoff: quick,
      onExhausted: 'halt',
    })
    const head = sim.scheduler.defer(bad, undefined, { orderingKey: key })
    const next = sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    const events: unknown[] = []
    sim.scheduler.on('key:halted', ({ key: halted, id }) => void events.push(['halted', halted, id]))
    sim.scheduler.on('key:released', ({ key: released }) => void events.push(['released', released]))
    sim.advance(100)
    return { sim, head, next, events, fix: () => (isFixed = true) }
  }

  it('stops the line until releaseKey, also for jobs that join later', () => {
    const { sim, head, next, events } = haltedSim()
    const late = sim.scheduler.defer('next', undefined, {
      orderingKey: key,
    })
    sim.advance(1000)
    expect([head.state, next.state, late.state]).toEqual(['failed', 'blocked', 'blocked'])
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    expect(sim.scheduler.releaseKey(key)).toBe(true)
    sim.advance(0)
    expect([head.state, next.state, late.state]).toEqual(['failed', 'completed', 'completed'])
    expect(sim.scheduler.haltedKeys()).toEqual([])
    expect(sim.scheduler.releaseKey(key)).toBe(false)
    expect(events).toEqual([
      ['halted', key, head.id],
      ['released', key],
    ])
  })

  it('runs the halted head again first with releaseKey(key, { retry: true })', () => {
    const { sim, head, next, fix } = haltedSim()
    fix()
    sim.scheduler.releaseKey(key, { retry: true })
    sim.advance(0)
    expect([head.state, next.state]).toEqual(['completed', 'completed'])
    expect(sim.order).toEqual(['bad', 'bad', 'bad', 'next'])
    expect(head.snapshot()).toMatchObject({ generation: 2, attempt: 1 })
  })

  it.each([[''], [undefined], [5], [null], ['a\nb']])('refuses to release %j, which is no key', (bad) => {
    const { sim } = haltedSim()
    expect(() => sim.scheduler.releaseKey(bad as never)).toThrow(
      expect.objectContaining({ name: 'OptionError', code: 'ERR_SIDEWORK_KEY' }),
    )
    expect(sim.scheduler.releaseKey('unknown')).toBe(false)
    sim.scheduler.releaseKey(key)
  })

  it('lets retry(id) of the head join at the end', () => {
    const { sim, head, fix } = haltedSim()
    fix()
    sim.scheduler.retry(head.id)
    sim.scheduler.releaseKey(key)
    sim.advance(0)
    expect(sim.order).toEqual(['bad', 'bad', 'next', 'bad'])
  })

  it('cancelling all who wait leaves nothing but the halt', () => {
    const { sim, next } = haltedSim()
    next.cancel()
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(true)
    sim.advance(100)
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    sim.scheduler.releaseKey(key)
  })

  it('a head that timed out and was released to run again starts when its old execution has ended', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const options = { attempts: 1, timeout: 100, killAfter: 500, onExhausted: 'halt' } as const
    const stubborn = sim.task('stubborn', () => (sim.began.length < 1 ? neverEnds : {}), options)
    const head = sim.scheduler.defer(stubborn, undefined, { orderingKey: key })
    const next = sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    sim.advance(200)
    expect(head.state).toBe('failed')
    sim.scheduler.releaseKey(key, { retry: true })
    sim.advance(399)
    expect(sim.order).toEqual(['stubborn'])
    sim.advance(1)
    expect([head.state, next.state]).toEqual(['completed', 'completed'])
    expect(sim.order).toEqual(['stubborn', 'stubborn', 'next'])
  })
})

describe('releaseKey(key, { retry: true }) when the job at which the key halted', () => {
  const options = { attempts: 1, onExhausted: 'halt' } as const

  function halted(scheduler: object, defer: object = {}) {
    const sim = makeSim({ scheduler })
    const bad = sim.task('bad', () => (sim.began.length < 1 ? failsWith('no') : {}), options)
    const head = sim.scheduler.defer(bad, 'head', { orderingKey: key, ...defer })
    const next = sim.scheduler.defer(sim.task('next'), 'next', { orderingKey: key })
    sim.advance(10)
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    return { sim, head, next }
  }

  it.each([
    ['is not kept', { failed: 0 }, 0],
    ['is kept no longer', { for: '1h' }, 3_600_001],
  ])('%s answers false and leaves the key halted', (_what, keep, laterMs) => {
    const { sim, next } = halted({ keep })
    const released: unknown[] = []
    sim.scheduler.on('key:released', (event) => void released.push(event))
    sim.advance(laterMs)
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(false)
    sim.advance(10)
    expect([next.state, sim.scheduler.haltedKeys(), released]).toEqual(['blocked', [key], []])
    expect(sim.scheduler.releaseKey(key)).toBe(true)
    sim.advance(0)
    expect(next.state).toBe('completed')
  })

  it('lost its dedupe key to another answers false and leaves the key halted', () => {
    const { sim, head, next } = halted({}, { dedupe: 'd' })
    const other = sim.scheduler.defer('bad', 'other', { orderingKey: key, dedupe: 'd' })
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(false)
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    other.cancel()
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(true)
    sim.advance(0)
    expect([head.state, next.state]).toEqual(['completed', 'completed'])
    expect(sim.payloads).toEqual(['head', 'head', 'next'])
  })

  it('was cancelled since answers false and leaves the key halted', () => {
    const { sim, head } = halted({})
    sim.scheduler.retry(head.id)
    head.cancel()
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(false)
    expect(sim.scheduler.haltedKeys()).toEqual([key])
    sim.scheduler.releaseKey(key)
  })

  it('waits at the end of the line after a retry(id) runs that one first', () => {
    const { sim, head, next } = halted({})
    sim.scheduler.retry(head.id)
    sim.advance(10)
    expect(head.state).toBe('blocked')
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(true)
    sim.advance(0)
    expect(sim.payloads).toEqual(['head', 'head', 'next'])
    expect([head.snapshot().generation, next.state]).toEqual([2, 'completed'])
  })

  it('waits alone after a retry(id) runs it', () => {
    const { sim, head, next } = halted({})
    next.cancel()
    sim.scheduler.retry(head.id)
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(true)
    sim.advance(0)
    expect(sim.payloads).toEqual(['head', 'head'])
  })

  it('waits after a retry(id) for its old execution runs it first when that has ended', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const stubborn = sim.task('stubborn', () => (sim.began.length < 1 ? neverEnds : {}), {
      ...options, timeout: 100, killAfter: 500,
    }) // prettier-ignore
    const head = sim.scheduler.defer(stubborn, undefined, { orderingKey: key })
    sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    sim.advance(200)
    sim.scheduler.retry(head.id)
    expect(sim.scheduler.releaseKey(key, { retry: true })).toBe(true)
    sim.advance(1000)
    expect(sim.order).toEqual(['stubborn', 'stubborn', 'next'])
  })
})

describe('retry(id) with a key', () => {
  it('joins the line at the end, also while its old execution is still ending', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const stubborn = sim.task('stubborn', () => (sim.began.length < 1 ? neverEnds : {}), { killAfter: 500 })
    const head = sim.scheduler.defer(stubborn, undefined, { orderingKey: key })
    sim.scheduler.defer(sim.task('next'), undefined, { orderingKey: key })
    sim.advance(10)
    head.cancel()
    expect(sim.scheduler.retry(head.id)).toBe(true)
    sim.advance(1000)
    expect(sim.order).toEqual(['stubborn', 'next', 'stubborn'])
    expect(head.state).toBe('completed')
  })
})
