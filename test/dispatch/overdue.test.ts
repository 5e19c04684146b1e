import { describe, expect, it } from 'vitest'
import { failsWith, neverEnds } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const once = { attempts: 1 } as const

describe('an attempt that runs longer than its timeout', () => {
  it('B10: fails at the timeout, is stopped by force after killAfter, and its thread is replaced', async () => {
    const sim = makeSim()
    const spins = sim.task(
      'spins',
      { takesMs: Infinity, spins: true },
      { ...once, timeout: 100, killAfter: 50 },
    )
    const job = sim.scheduler.defer(spins)
    const result = job
      .result()
      .catch((error: { code: string; cause: { code: string } }) => [error.code, error.cause.code])
    const next = sim.scheduler.defer(sim.task('next'))
    sim.advance(99)
    expect(job.state).toBe('running')
    sim.advance(1)
    expect(job.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    expect(await result).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_TIMEOUT'])
    sim.advance(49)
    expect(next.state).toBe('ready')
    sim.advance(1)
    expect(next.state).toBe('completed')
    expect(sim.began.map(({ thread }) => thread)).toEqual([1, 2])
  })

  it.each(['cpu', 'io'] as const)('is named where the exit of its %s thread is logged', (lane) => {
    const sim = makeSim()
    const spins = sim.task(
      'spins',
      { takesMs: Infinity, spins: true },
      { ...once, lane, timeout: 100, killAfter: 50 },
    )
    const job = sim.scheduler.defer(spins)
    sim.advance(1000)
    expect(sim.logged.filter(({ message }) => message === 'thread exited')).toMatchObject([
      { level: 'warn', fields: { lane, thread: 1, reason: 'timeout', job: job.id, task: 'spins' } },
    ])
  })

  it('ends at once when it honours its signal, and the thread stays', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 1000 }, { ...once, timeout: 100 })
    const job = sim.scheduler.defer(task)
    const next = sim.scheduler.defer(sim.task('next'))
    sim.advance(100)
    expect([job.state, next.state]).toEqual(['failed', 'completed'])
    expect(sim.threads).toHaveLength(1)
    expect(job.snapshot().error?.code).toBe('ERR_SIDEWORK_TIMEOUT')
  })

  it('B27: what it says after its timeout counts no more', () => {
    const sim = makeSim()
    const says = [
      { afterMs: 150, message: (token: number) => ({ kind: 'progress', token, value: '1' }) as const },
    ]
    const zombie = sim.task(
      'zombie',
      { takesMs: 200, ignoresAbort: true, says },
      { ...once, timeout: 100, killAfter: 1000 },
    )
    const job = sim.scheduler.defer(zombie)
    sim.advance(300)
    expect(job.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    expect(job.snapshot().progress).toBeUndefined()
    expect(sim.watch.names(job.id)).toEqual(['accepted', 'started', 'failed'])
  })

  it('is retried only when the old execution has really ended', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const options = { timeout: 100, killAfter: 1000, backoff: { type: 'fixed', delay: 10 } } as const
    const task = sim.task(
      't',
      ({ attempt }) => (attempt === 1 ? { takesMs: 400, ignoresAbort: true } : {}),
      options,
    )
    const job = sim.scheduler.defer(task)
    sim.advance(399)
    expect(job.snapshot()).toMatchObject({ state: 'retrying', attempt: 1 })
    sim.advance(1)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 2 })
  })

  it('a job whose own timeout says false has none, and the timeout of a defer wins over its task', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const task = sim.task('t', { takesMs: 10 * 60_000 }, { ...once, timeout: 50 })
    const free = sim.scheduler.defer(task, undefined, { timeout: false })
    const bound = sim.scheduler.defer(task, undefined, { timeout: 70 })
    sim.advance(69)
    expect(bound.state).toBe('running')
    sim.advance(1)
    expect(bound.state).toBe('failed')
    sim.advance(10 * 60_000)
    expect(free.state).toBe('completed')
  })

  it('that finished while the main thread was blocked is not late', () => {
    for (let seed = 0; seed < 20; seed++) {
      const sim = makeSim({ seed, shuffle: true })
      const job = sim.scheduler.defer(sim.task('t', { takesMs: 90 }, { ...once, timeout: 100 }))
      sim.advance(89)
      sim.thread(1).say(1) // the thread's report, posted while the loop is blocked
      sim.world.block(500)
      sim.advance(0)
      expect(job.state).toBe('completed')
      sim.scheduler.cancel(job.id)
    }
  })

  it('B11: a handler that never settles hits the default timeout of 5 min', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', neverEnds), undefined, once)
    sim.advance(300_000)
    expect(job.state).toBe('failed')
  })
})

describe('on the io lane a stopped handler that goes on', () => {
  const io = { lane: 'io', ...once } as const

  it('B29: retires its thread: neighbours end undisturbed, new jobs get a new thread at once', () => {
    const sim = makeSim()
    const bad = sim.scheduler.defer(sim.task('bad', neverEnds, { ...io, timeout: 100, killAfter: 50 }))
    const neighbour = sim.scheduler.defer(sim.task('neighbour', { takesMs: 1000 }, io))
    sim.advance(150)
    const fresh = sim.scheduler.defer(sim.task('fresh', {}, io))
    sim.advance(0)
    expect([bad.state, neighbour.state, fresh.state]).toEqual(['failed', 'running', 'completed'])
    expect(sim.began.map(({ task, thread }) => [task, thread])).toEqual([['bad', 1], ['neighbour', 1], ['fresh', 2]]) // prettier-ignore
    sim.advance(850)
    expect(neighbour.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    expect(sim.thread(1).isGone).toBe(true)
  })

  it('has its thread terminated after 5 min even while neighbours run; those are not charged', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('bad', neverEnds, { ...io, timeout: 100, killAfter: 50 }))
    const neighbour = sim.task('neighbour', () => (sim.began.length < 2 ? neverEnds : {}), {
      ...io,
      timeout: false,
    })
    const job = sim.scheduler.defer(neighbour)
    sim.advance(300_149)
    expect(job.state).toBe('running')
    sim.advance(1)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    expect(sim.watch.names(job.id)).toEqual(['accepted', 'started', 'interrupted', 'started', 'completed'])
  })

  it('a second stubborn one on a retired thread does not disturb the neighbours either', () => {
    const sim = makeSim()
    const stubborn = sim.task('stubborn', neverEnds, { ...io, killAfter: 50 })
    const first = sim.scheduler.defer(stubborn)
    const second = sim.scheduler.defer(stubborn)
    const neighbour = sim.scheduler.defer(sim.task('neighbour', { takesMs: 1000 }, io))
    sim.advance(1)
    first.cancel()
    sim.advance(100)
    second.cancel()
    sim.advance(100)
    expect(sim.thread(1).isGone).toBe(false)
    sim.advance(1000)
    expect(sim.watch.names(neighbour.id)).toEqual(['accepted', 'started', 'completed'])
    expect(sim.thread(1).isGone).toBe(true)
  })

  it('whose loop does not turn has its thread terminated at once', () => {
    const sim = makeSim()
    const neighbour = sim.scheduler.defer(sim.task('neighbour', { takesMs: 1000 }, io))
    sim.scheduler.defer(
      sim.task('spins', { takesMs: Infinity, spins: true }, { ...io, timeout: 100, killAfter: 50 }),
    )
    sim.advance(150)
    expect(sim.thread(1).isGone).toBe(true)
    sim.advance(1000)
    expect(neighbour.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
  })
})

describe('on the io lane killAfter: 0', () => {
  const io = { lane: 'io', ...once } as const
  const stopped = { takesMs: 60_000 } as const

  it('does not interrupt the neighbours of a cancelled job when its thread answers a little later', () => {
    const sim = makeSim()
    const neighbours = [1, 2, 3].map(() => sim.scheduler.defer(sim.task('neighbour', { takesMs: 1000 }, io)))
    const polite = sim.scheduler.defer(sim.task('polite', stopped, { ...io, killAfter: 0 }))
    sim.advance(90)
    sim.scheduler.defer(sim.task('holds the loop', { takesMs: 40, spins: true }, io))
    sim.advance(1)
    polite.cancel()
    sim.advance(1000)
    for (const { id } of neighbours) expect(sim.watch.names(id)).toEqual(['accepted', 'started', 'completed'])
    expect(sim.threads).toHaveLength(1)
  })

  it('retires a thread that has answered for a handler that goes on', () => {
    const sim = makeSim()
    const neighbour = sim.scheduler.defer(sim.task('neighbour', { takesMs: 1000 }, io))
    const rude = sim.scheduler.defer(sim.task('rude', neverEnds, { ...io, killAfter: 0 }))
    sim.advance(10)
    rude.cancel()
    sim.advance(50)
    const fresh = sim.scheduler.defer(sim.task('fresh', {}, io))
    sim.advance(1000)
    expect(sim.began.find(({ id }) => id === fresh.id)?.thread).toBe(2)
    expect(sim.watch.names(neighbour.id)).toEqual(['accepted', 'started', 'completed'])
    expect(sim.thread(1).isGone).toBe(true)
  })

  it('terminates a thread that has not answered within 50 ms', () => {
    const sim = makeSim()
    const spins = sim.task('spins', { ...neverEnds, spins: true }, { ...io, killAfter: 0 })
    const job = sim.scheduler.defer(spins)
    sim.advance(10)
    job.cancel()
    sim.advance(49)
    expect(sim.thread(1).isGone).toBe(false)
    sim.advance(1)
    expect(sim.thread(1).isGone).toBe(true)
  })
})

describe('an io handler that spins', () => {
  const io = { lane: 'io', ...once } as const

  it('gets its verdict although its neighbours are cancelled one after another', () => {
    const sim = makeSim()
    const spins = sim.task('spins', { takesMs: Infinity, spins: true }, { ...io, timeout: 3000 })
    const neighbour = sim.task('neighbour', { takesMs: 60_000 }, { ...io, killAfter: 300 })
    const bad = sim.scheduler.defer(spins)
    sim.advance(1)
    for (let round = 0; round < 14; round++) {
      const next = sim.scheduler.defer(neighbour)
      sim.advance(400)
      next.cancel()
      sim.advance(500)
    }
    expect(bad.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    // Once with a neighbour, and once alone.
    expect(sim.watch.names(bad.id)).toEqual(['accepted', 'started', 'interrupted', 'started', 'failed'])
  })

  it('is not kept because of what its thread said in the same millisecond, before it could read the cancel', () => {
    const sim = makeSim()
    const rude = sim.scheduler.defer(sim.task('rude', neverEnds, { ...io, killAfter: 50 }))
    const neighbour = sim.task('neighbour', () => (sim.began.length < 2 ? neverEnds : {}), {
      ...io,
      timeout: false,
    })
    const job = sim.scheduler.defer(neighbour)
    sim.advance(10)
    sim.scheduler.on('progress', () => void rude.cancel())
    const { token = 0 } = sim.thread(1).running.find(({ id }) => id === rude.id) ?? {}
    sim.thread(1).say({ kind: 'progress', token, value: '0.5' }) // posted, then it spins
    sim.thread(1).freeze()
    sim.advance(100)
    expect([rude.state, sim.thread(1).isGone]).toEqual(['cancelled', true])
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
  })

  it('does not have the log blame a neighbour that was cancelled', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('spins', { takesMs: Infinity, spins: true }, io))
    sim.advance(1)
    const victim = sim.scheduler.defer(sim.task('victim', { takesMs: 60_000 }, { ...io, killAfter: 300 }))
    sim.advance(100)
    victim.cancel()
    sim.advance(1000)
    const [exit] = sim.logged.filter(({ message }) => message === 'thread exited')
    expect(exit?.fields).toMatchObject({ lane: 'io', reason: 'stuck' })
    expect(exit?.fields).not.toHaveProperty('job')
  })

  it('is named, and what came to its thread after it was told to stop does not run alone', () => {
    const sim = makeSim()
    const spins = sim.task(
      'spins',
      { takesMs: Infinity, spins: true },
      { ...io, timeout: 100, killAfter: 50 },
    )
    const bad = sim.scheduler.defer(spins)
    sim.advance(110)
    const late = [1, 2].map(() => sim.scheduler.defer(sim.task('late', { takesMs: 10 }, io)))
    sim.advance(40)
    expect(sim.logged.filter(({ message }) => message === 'thread exited')).toMatchObject([
      { fields: { reason: 'timeout', job: bad.id } },
    ])
    sim.advance(10)
    expect(late.map(({ state }) => state)).toEqual(['completed', 'completed'])
  })
})

describe('cancel', () => {
  it.each([
    ['scheduled', { delay: 1000 }],
    ['ready', {}],
    ['blocked', { orderingKey: 'k' }],
  ] as const)('settles a %s job at once', async (state, options) => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 50 }), undefined, { orderingKey: 'k' })
    sim.advance(1)
    const job = sim.scheduler.defer(sim.task('t'), undefined, options)
    const result = job
      .result()
      .catch((error: { code: string; message: string }) => [error.code, error.message])
    expect(job.state).toBe(state)
    expect(job.cancel('no need')).toBe(true)
    expect(job.cancel()).toBe(false)
    expect(job.snapshot()).toMatchObject({ state: 'cancelled', error: { message: 'no need' } })
    expect(await result).toEqual(['ERR_SIDEWORK_CANCELLED', expect.stringContaining('no need')])
    sim.advance(5000)
    expect(sim.order).toEqual(['blocker'])
  })

  it('settles a retrying job at once', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('bad', failsWith('no')))
    sim.advance(1)
    expect(job.state).toBe('retrying')
    expect(job.cancel()).toBe(true)
    sim.advance(1_000_000)
    expect(sim.began).toHaveLength(1)
  })

  it('B25: settles a running job at once, and gives its place back when it has ended', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('stubborn', { takesMs: 500, ignoresAbort: true }))
    const next = sim.scheduler.defer(sim.task('next'))
    sim.advance(10)
    expect(job.cancel()).toBe(true)
    expect(job.state).toBe('cancelled')
    sim.advance(489)
    expect(next.state).toBe('ready')
    sim.advance(1)
    expect(next.state).toBe('completed')
    expect(sim.threads).toHaveLength(1)
    expect(sim.watch.names(job.id)).toEqual(['accepted', 'started', 'cancelled'])
  })

  it('by the signal given to defer works in every state', () => {
    const sim = makeSim()
    const before = new AbortController()
    before.abort()
    const aborted = sim.scheduler.defer(sim.task('t'), undefined, { signal: before.signal })
    expect(aborted.state).toBe('cancelled')
    const during = new AbortController()
    const running = sim.scheduler.defer(sim.task('slow', { takesMs: 100 }), undefined, {
      signal: during.signal,
    })
    sim.advance(10)
    during.abort(new Error('user left'))
    expect(running.snapshot()).toMatchObject({ state: 'cancelled', error: { message: 'user left' } })
  })

  it('B25: at 300 random moments always ends in exactly one settled state', () => {
    const sim = makeSim({ seed: 7, shuffle: true, scheduler: { threads: 3 } })
    const quick = { attempts: 3, backoff: { type: 'fixed', delay: 3 }, killAfter: 4, timeout: 9 } as const
    const random = sim.world.random
    const task = sim.task('t', () => {
      const takesMs = Math.floor(random() * 12)
      return random() < 0.3 ? { ...failsWith('no'), takesMs } : { takesMs, ignoresAbort: random() < 0.5 }
    }, quick) // prettier-ignore
    const jobs = Array.from({ length: 300 }, (_, n) =>
      sim.scheduler.defer(task, n, n % 7 === 0 ? { orderingKey: 'k' } : {}),
    )
    for (const job of jobs) {
      sim.advance(Math.floor(random() * 4))
      job.cancel()
    }
    sim.advance(10_000)
    const { completed, failed, cancelled } = sim.scheduler.stats()
    expect(completed + failed + cancelled).toBe(300)
  })
})

describe('a job that expires', () => {
  it('C16: while it waits settles at that moment', async () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 500 }))
    const job = sim.scheduler.defer(sim.task('t'), undefined, { expiresIn: 100 })
    const result = job.result().catch((error: { code: string }) => error.code)
    sim.advance(99)
    expect(job.state).toBe('ready')
    sim.advance(1)
    expect(job.state).toBe('expired')
    expect(await result).toBe('ERR_SIDEWORK_EXPIRED')
    sim.advance(1000)
    expect(sim.order).toEqual(['blocker'])
  })

  it('C16: while it retries settles at that moment', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('bad', failsWith('no')), undefined, { expiresIn: 100 })
    sim.advance(99)
    expect(job.state).toBe('retrying')
    sim.advance(1)
    expect(job.state).toBe('expired')
    expect(job.snapshot().errors).toHaveLength(1)
  })

  it('C16: while it runs goes on, but is not tried again', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const good = sim.scheduler.defer(sim.task('good', { takesMs: 200 }), undefined, { expiresIn: 100 })
    const bad = sim.scheduler.defer(sim.task('bad', { ...failsWith('no'), takesMs: 200 }), undefined, {
      expiresIn: 100,
    })
    sim.advance(199)
    expect([good.state, bad.state]).toEqual(['running', 'running'])
    sim.advance(1)
    expect([good.state, bad.state]).toEqual(['completed', 'expired'])
  })

  it('counts from its due time', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 500 }))
    const job = sim.scheduler.defer(sim.task('t'), undefined, { delay: 100, expiresIn: 100 })
    sim.advance(199)
    expect(job.state).toBe('ready')
    sim.advance(1)
    expect(job.state).toBe('expired')
  })
})
