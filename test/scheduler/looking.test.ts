import { describe, expect, it } from 'vitest'
import type { DeferPort } from '../../src/express/port.js'
import type { Job } from '../../src/index.js'
import { failsForGood, failsWith, returns, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

describe('bounds', () => {
  it('A20: over maxQueued a defer is refused and leaves no trace', () => {
    const sim = makeSim({ scheduler: { maxQueued: 3 } })
    const refused: unknown[] = []
    sim.scheduler.on('refused', ({ task, code }) => void refused.push([task, code]))
    const task = sim.task('t', { takesMs: 10 })
    for (let n = 0; n < 3; n++) sim.scheduler.defer(task, n)
    const before = sim.scheduler.stats()
    expect(() => sim.scheduler.defer(task, 3, { id: 'mine', orderingKey: 'k' })).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_QUEUE_FULL',
        status: 503,
        retryAfterMs: 1000,
        headers: { 'Retry-After': '1' },
      }),
    )
    expect(sim.scheduler.stats()).toEqual(before)
    expect(sim.scheduler.job('mine')).toBeUndefined()
    sim.advance(100)
    expect(refused).toEqual([['t', 'ERR_SIDEWORK_QUEUE_FULL']])
    expect(sim.scheduler.defer(task, 3, { id: 'mine' }).state).toBe('ready')
  })

  it('A9: bytes of payloads are bounded too, leaves included, and come back when jobs settle', () => {
    const sim = makeSim({ scheduler: { maxQueuedBytes: 1000 } })
    const task = sim.task('t')
    sim.scheduler.defer(task, new Uint8Array(900))
    expect(() => sim.scheduler.defer(task, 'x'.repeat(200))).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }),
    )
    expect(sim.scheduler.stats().queuedBytes).toBeGreaterThanOrEqual(900)
    sim.advance(0)
    expect(sim.scheduler.stats().queuedBytes).toBe(0)
    sim.scheduler.defer(task, 'x'.repeat(200))
  })

  it('the answer to when to come back follows the measured drain rate', () => {
    const sim = makeSim({ scheduler: { maxQueued: 100 } })
    const task = sim.task('t', { takesMs: 100 })
    for (let at = 0; at < 20_000; at += 100) {
      if (sim.scheduler.stats().ready < 90) sim.scheduler.defer(task)
      sim.advance(100)
    }
    while (sim.scheduler.stats().ready + sim.scheduler.stats().running < 100) sim.scheduler.defer(task)
    let retryAfterMs = 0
    try {
      sim.scheduler.defer(task)
    } catch (error) {
      retryAfterMs = (error as { retryAfterMs: number }).retryAfterMs
    }
    // A tenth of the queue, at 10 jobs a second.
    expect(retryAfterMs).toBeGreaterThan(800)
    expect(retryAfterMs).toBeLessThan(1300)
  })

  it('the answer to when to come back is not about the hours in which there was nothing to do', () => {
    const sim = makeSim({ scheduler: { maxQueued: 100 } })
    const task = sim.task('t', { takesMs: 10 })
    sim.scheduler.defer(task, 'tomorrow', { delay: '24h' })
    const fill = (): number => {
      for (;;) {
        try {
          sim.scheduler.defer(task)
        } catch (error) {
          return (error as { retryAfterMs: number }).retryAfterMs
        }
      }
    }
    sim.advance(8 * 3_600_000)
    fill()
    sim.advance(100)
    // Ten were done in 100 ms; no rate is known yet.
    expect(fill()).toBe(1000)
    for (let at = 0; at < 10_000; at += 100) {
      fill()
      sim.advance(100)
    }
    // A tenth of the queue, at 100 jobs a second.
    expect(fill()).toBeGreaterThan(80)
    expect(fill()).toBeLessThan(130)
  })
})

describe('settled jobs are kept', () => {
  it('by number, completed ones apart from the others', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 2, failed: 3 } } })
    const good = Array.from({ length: 5 }, () => sim.scheduler.defer(sim.task('good')))
    const bad = Array.from({ length: 5 }, () => sim.scheduler.defer(sim.task('bad', failsForGood('no'))))
    sim.advance(10)
    const known = (jobs: { id: string }[]): boolean[] =>
      jobs.map(({ id }) => sim.scheduler.job(id) !== undefined)
    expect(known(good)).toEqual([false, false, false, true, true])
    expect(known(bad)).toEqual([false, false, true, true, true])
    expect(sim.scheduler.stats()).toMatchObject({ completed: 5, failed: 5 })
    expect(sim.scheduler.retry(bad[0]?.id ?? '')).toBe(false)
  })

  it('by age', () => {
    const sim = makeSim({ scheduler: { keep: { for: 1000 } } })
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(1000)
    expect(sim.scheduler.job(job.id)?.state).toBe('completed')
    sim.advance(1)
    expect(sim.scheduler.job(job.id)).toBeUndefined()
    expect(sim.scheduler.jobs()).toEqual([])
    expect(job.snapshot().state).toBe('completed')
  })

  it('by bytes of payload and result', () => {
    const sim = makeSim({ scheduler: { keep: { bytes: 20_000 } } })
    const jobs = Array.from({ length: 10 }, () =>
      sim.scheduler.defer(sim.task('t', returns('x'.repeat(4000)))),
    )
    sim.advance(10)
    expect(sim.scheduler.jobs().length).toBe(2)
    expect(sim.scheduler.job(jobs[9]?.id ?? '')).toBeDefined()
  })

  it('by bytes of errors, of which one that comes again and again counts once', () => {
    const sim = makeSim({ scheduler: { keep: { bytes: 20_000 } } })
    const options = { attempts: 3, backoff: { type: 'fixed', delay: 0 } } as const
    const long = 'x'.repeat(4000)
    const same = sim.task('same', () => failsWith(long), options)
    const other = sim.task('other', ({ attempt }) => failsWith(long + attempt), options)
    const ofSame = Array.from({ length: 5 }, () => sim.scheduler.defer(same))
    sim.advance(10)
    expect(sim.scheduler.jobs().map(({ errors }) => errors.length)).toEqual([3, 3])
    expect(sim.scheduler.job(ofSame[4]?.id ?? '')).toBeDefined()
    sim.scheduler.defer(other)
    sim.advance(10)
    expect(sim.scheduler.jobs({ task: other })).toEqual([]) // larger than all that may be kept
  })

  it('not at all with 0', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 0, failed: 0 } } })
    const job = sim.scheduler.defer(sim.task('t', returns(1)))
    sim.advance(10)
    expect(sim.scheduler.job(job.id)).toBeUndefined()
    expect(job.state).toBe('completed')
  })
})

describe('ids', () => {
  it('have at least 122 random bits, are URL-safe, at most 36 long and never found by guessing', () => {
    const sim = makeSim()
    const jobs = Array.from({ length: 200 }, () =>
      sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000 }),
    )
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(200)
    for (const { id } of jobs) expect(id).toMatch(/^[A-Za-z0-9_-]{22,36}$/)
    const first = jobs[0]?.id ?? ''
    for (const guess of [
      '',
      'AAAA',
      first.slice(0, -1),
      `${first}A`,
      `B${first.slice(1)}`,
      'A'.repeat(26),
      '$'.repeat(26),
      '__proto__',
      'é'.repeat(26),
    ])
      expect(sim.scheduler.job(guess === first ? 'other' : guess)).toBeUndefined()
    expect(jobs.every(({ id }) => sim.scheduler.job(id)?.id === id)).toBe(true)
  })

  it('of evicted jobs stay unknown when their cell is used again', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 1 } } })
    const ids = Array.from({ length: 50 }, () => {
      const { id } = sim.scheduler.defer(sim.task('t'))
      sim.advance(1)
      return id
    })
    expect(new Set(ids).size).toBe(50)
    expect(ids.filter((id) => sim.scheduler.job(id) !== undefined)).toEqual([ids[49]])
  })

  it('of your own are found, taken while kept, and free after', () => {
    const sim = makeSim({ scheduler: { keep: { completed: 1 } } })
    const task = sim.task('t')
    const job = sim.scheduler.defer(task, 1, { id: 'order/42' })
    expect(job.id).toBe('order/42')
    expect(() => sim.scheduler.defer(task, 2, { id: 'order/42' })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_ID_TAKEN' }),
    )
    sim.advance(10)
    expect(() => sim.scheduler.defer(task, 2, { id: 'order/42' })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_ID_TAKEN' }),
    )
    sim.scheduler.defer(task)
    sim.advance(10)
    expect(sim.scheduler.defer(task, 3, { id: 'order/42' }).state).toBe('ready')
    expect(sim.scheduler.job('order/42')?.payload).toBe(3)
  })

  it('of your own are free when their job is kept no longer because of its age', () => {
    const sim = makeSim({ scheduler: { keep: { for: '1m' } } })
    const task = sim.task('t')
    const old = sim.scheduler.defer(task, 1, { id: 'today' })
    sim.advance(60_000)
    expect(sim.scheduler.job('today')?.payload).toBe(1)
    sim.advance(2)
    expect(sim.scheduler.job('today')).toBeUndefined()
    const job = sim.scheduler.defer(task, 2, { id: 'today', delay: '1h' })
    expect(sim.scheduler.job('today')).toMatchObject({ payload: 2, state: 'scheduled' })
    // Whatever pushes the old one out at last leaves the new one alone.
    for (let n = 0; n < 1100; n++) sim.scheduler.defer(task)
    sim.advance(1)
    expect(sim.scheduler.jobs({ state: 'completed', limit: 1000 })).toHaveLength(1000)
    expect(sim.scheduler.job('today')?.payload).toBe(2)
    expect([old.id, old.state, job.state]).toEqual(['today', 'completed', 'scheduled'])
    expect(() => sim.scheduler.defer(task, 3, { id: 'today' })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_ID_TAKEN' }),
    )
  })

  it.each(['', 'a\u0000b', 'a\r\nb', 'x'.repeat(257), '\ud800', '.', '..', 0, null])(
    'A18: refuse %j',
    (id) => {
      const sim = makeSim()
      expect(() => sim.scheduler.defer(sim.task('t'), 1, { id: id as string })).toThrow(
        expect.objectContaining({ code: 'ERR_SIDEWORK_KEY' }),
      )
      expect(sim.scheduler.stats().accepted).toBe(0)
    },
  )
})

describe('jobs()', () => {
  it('lists newest first, filtered, a page at a time', () => {
    const sim = makeSim()
    sim.scheduler.pause()
    const [a, b] = [sim.task('a'), sim.task('b')]
    const jobs = Array.from({ length: 30 }, (_, n) =>
      sim.scheduler.defer(
        n % 2 === 0 ? a : b,
        n,
        n % 3 === 0 ? { orderingKey: 'k' } : n % 5 === 0 ? { delay: 1000 } : {},
      ),
    )
    const payloads = (filter?: Parameters<typeof sim.scheduler.jobs>[0]): unknown[] =>
      sim.scheduler.jobs(filter).map(({ payload }) => payload)
    const all = Array.from({ length: 30 }, (_, n) => 29 - n)
    expect(payloads()).toEqual(all)
    expect(payloads({ task: a })).toEqual(all.filter((n) => n % 2 === 0))
    expect(payloads({ task: 'b', state: 'scheduled' })).toEqual([25, 5])
    expect(payloads({ key: 'k', state: 'blocked' })).toEqual([27, 24, 21, 18, 15, 12, 9, 6, 3])
    expect(payloads({ limit: 4 })).toEqual([29, 28, 27, 26])
    expect(payloads({ limit: 4, before: jobs[26]?.id ?? '' })).toEqual([25, 24, 23, 22])
    expect(payloads({ before: 'unknown' })).toEqual([])
    for (const before of [5, 0, null, '', jobs[26]])
      expect(() => sim.scheduler.jobs({ before } as never), String(before)).toThrow(
        expect.objectContaining({ code: 'ERR_SIDEWORK_KEY' }),
      )
    for (const bad of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { states: 'ready' }, { state: 'redy' }])
      expect(() => sim.scheduler.jobs(bad as never), JSON.stringify(bad)).toThrow(
        expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }),
      )
    expect(() => sim.scheduler.jobs({ task: 'unknown' })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_UNKNOWN_TASK' }),
    )
  })
})

describe('result()', () => {
  it('gives what the handler returned, before and after the end, a fresh copy each time', async () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', returns({ a: [1] })))
    const early = job.result()
    sim.advance(10)
    const late = job.result()
    expect([await early, await late]).toEqual([{ a: [1] }, { a: [1] }])
    expect(await early).not.toBe(await late)
  })

  it('gives up after its timeout while the job goes on', async () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', { takesMs: 100, ends: '1' }))
    const short = job.result({ timeout: 50 }).catch((error: { code: string }) => error.code)
    const long = job.result({ timeout: 150 })
    sim.advance(200)
    expect([await short, await long]).toEqual(['ERR_SIDEWORK_RESULT_TIMEOUT', 1])
    expect(() => job.result({ timeout: NaN })).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }),
    )
  })

  it.each<readonly [state: string, says: string, setUp: (sim: Sim) => Job]>([
    ['ready', 'it is still waiting for a place', (sim) => {
      for (let place = 0; place < 8; place++) sim.scheduler.defer(sim.task('long', { takesMs: 100 }))
      return sim.scheduler.defer(sim.task('t'))
    }],
    ['ready', 'the scheduler is paused, and nothing starts before resume()', (sim) => {
      sim.scheduler.pause()
      return sim.scheduler.defer(sim.task('t'))
    }],
    ['ready', "its task is paused, and does not start before resume('t')", (sim) => {
      sim.scheduler.pause(sim.task('t'))
      return sim.scheduler.defer(sim.task('t'))
    }],
    ['ready', 'it is still waiting for its limits and a place', (sim) => {
      const task = sim.task('t', { takesMs: 100 }, { concurrency: 1 })
      sim.scheduler.defer(task)
      return sim.scheduler.defer(task)
    }],
    ['running', 'attempt 1 is running', (sim) => sim.scheduler.defer(sim.task('t', { takesMs: 100 }))],
    ['scheduled', 'it is not due yet', (sim) => sim.scheduler.defer(sim.task('t'), undefined, { delay: 100 })],
    ['retrying', 'attempt 1 failed, and the next is not due yet', (sim) => sim.scheduler.defer(sim.task('t', failsWith('no')))],
    ['blocked', 'it waits for other jobs', (sim) => {
      sim.scheduler.defer(sim.task('t', { takesMs: 100 }), undefined, { orderingKey: 'k' })
      return sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: 'k' })
    }],
    ['blocked', 'its ordering key is halted, and nothing of it starts before releaseKey()', (sim) => {
      const options = { attempts: 1, onExhausted: 'halt' } as const
      sim.scheduler.defer(sim.task('bad', failsWith('no'), options), undefined, { orderingKey: 'k' })
      return sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: 'k' })
    }],
    ['blocked', 'it waits for other jobs', (sim) => {
      const options = { attempts: 1, onExhausted: 'halt' } as const
      sim.scheduler.defer(sim.task('bad', failsWith('no'), options), undefined, { orderingKey: 'k' })
      const first = { task: sim.task('long', { takesMs: 100 }) }
      const second = { task: sim.task('t'), ref: 'second', options: { orderingKey: 'k' } }
      return sim.scheduler.chain([first, second]).jobs['second'] as Job // halts it, but does not stand in its line
    }],
    ['held', 'it is held until the response of its request has ended', (sim) =>
      (sim.scheduler as unknown as DeferPort).hold(undefined, sim.task('t'))],
  ])('that gave up says what a %s job waits for', async (state, says, setUp) => {
    const sim = makeSim()
    const job = setUp(sim)
    const refusal = job.result({ timeout: 50 }).catch((error: Error) => error.message)
    sim.advance(50)
    expect(await refusal).toBe(
      `Job ${job.id} of task 't' has not settled after 50 ms: ${says} (state '${state}'). It goes on.`,
    )
  }) // prettier-ignore

  it('that gave up says why no thread can be started', async () => {
    const sim = makeSim({
      threads: () => ({ startFails: { name: 'Error', message: "Cannot find './db.js'." } }),
    })
    const refusal = sim.scheduler
      .defer(sim.task('t'))
      .result({ timeout: 50 })
      .catch((error: Error) => error.message)
    sim.advance(50)
    expect(await refusal).toContain(
      "no thread of its lane can be started: Cannot find './db.js' (state 'ready'). It goes on.",
    )
  })

  it('rejects with ResultError when the result was dropped, and warns once per task', async () => {
    const sim = makeSim()
    const task = sim.task('t', { ends: { kind: 'completed', resultRefused: 'result.at is a Date' } })
    const jobs = [sim.scheduler.defer(task), sim.scheduler.defer(task)]
    const codes = jobs.map((job) => job.result().catch((error: { code: string }) => error.code))
    sim.advance(10)
    expect(await Promise.all(codes)).toEqual(['ERR_SIDEWORK_RESULT', 'ERR_SIDEWORK_RESULT'])
    expect(jobs.map((job) => job.snapshot())).toMatchObject(
      jobs.map(() => ({ state: 'completed', resultDropped: 'result.at is a Date' })),
    )
    expect(sim.logged.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })
})

describe('a snapshot', () => {
  it('of a completed job has the failures before in its errors, and no error', () => {
    const sim = makeSim()
    const task = sim.task('t', ({ attempt }: Run) => (attempt === 1 ? failsWith('no') : returns(1)))
    const job = sim.scheduler.defer(task)
    sim.advance(10)
    expect(job.snapshot()).toMatchObject({ state: 'retrying', error: { message: 'no' } })
    sim.advance(100_000)
    expect(job.snapshot()).toMatchObject({ state: 'completed', result: 1, errors: [{ attempt: 1 }] })
    expect(job.snapshot()).not.toHaveProperty('error')
  })
})

describe('a sensitive task', () => {
  it('does not show why its result was dropped', () => {
    const sim = makeSim()
    const ends = { kind: 'completed', resultRefused: 'result.secret is a Date' } as const
    const job = sim.scheduler.defer(sim.task('s', { ends }, { sensitive: true }))
    sim.advance(10)
    expect(job.state).toBe('completed')
    expect(job.snapshot()).not.toHaveProperty('resultDropped')
  })

  it('shows neither payload nor result, but close() can hand its payload on', async () => {
    const sim = makeSim()
    const task = sim.task(
      's',
      ({ payload }: Run) => (payload === 'secret' ? returns('secret') : failsForGood('secret')),
      { sensitive: true },
    )
    const job = sim.scheduler.defer(task, 'secret')
    sim.scheduler.defer(task, 'other secret')
    const result = job.result()
    sim.advance(10)
    expect(await result).toBe('secret')
    expect(
      JSON.stringify([job.snapshot(), sim.scheduler.jobs({ state: 'completed' }), sim.logged]),
    ).not.toContain('"secret"')
    sim.scheduler.defer(task, 'secret', { delay: 1000 })
    const { lost } = await sim.close({}, 1000)
    expect(lost).toMatchObject([{ payload: 'secret' }])
  })
})
