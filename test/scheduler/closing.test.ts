import { describe, expect, it } from 'vitest'
import type { CloseReport, Scheduler } from '../../src/index.js'
import type { Ending } from '../../src/threads/protocol.js'
import { failsWith, neverEnds, snoozes, type Run } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const states = (jobs: { state: string }[]): string[] => jobs.map(({ state }) => state)

describe('close()', () => {
  it('runs what is ready, keyed jobs too, and does not wait for what is scheduled or retrying', async () => {
    const sim = makeSim()
    const later = sim.scheduler.defer(sim.task('later'), undefined, { delay: 60_000 })
    const retrying = sim.scheduler.defer(sim.task('bad', failsWith('no')))
    sim.advance(10)
    const ready = Array.from({ length: 5 }, (_, n) =>
      sim.scheduler.defer(sim.task('t', { takesMs: 10 }), n, { orderingKey: 'k' }),
    )
    const report = await sim.close({}, 51)
    expect(states(ready)).toEqual(ready.map(() => 'completed'))
    expect(report.settled).toEqual({ completed: 5, failed: 0, cancelled: 0, expired: 0 })
    expect(report.lost.map(({ id, state }) => [id, state])).toEqual([[later.id, 'scheduled'], [retrying.id, 'retrying']]) // prettier-ignore
    expect(states([later, retrying])).toEqual(['cancelled', 'cancelled'])
  })

  it('does not start what is ready with drain: false, but lets running jobs end', async () => {
    const sim = makeSim()
    const running = sim.scheduler.defer(sim.task('t', { takesMs: 10 }))
    const waiting = sim.scheduler.defer(sim.task('t'))
    sim.advance(1)
    const report = await sim.close({ drain: false }, 20)
    expect(running.state).toBe('completed')
    expect(report.lost.map(({ id, state, attempt }) => [id, state, attempt])).toEqual([
      [waiting.id, 'ready', 0],
    ])
    expect(sim.began).toHaveLength(1)
  })

  it('refuses new jobs at once, and everything after it', async () => {
    const sim = makeSim()
    const task = sim.task('t')
    const refused: unknown[] = []
    sim.scheduler.on('refused', (event) => void refused.push(event))
    const closing = sim.close({}, 100)
    expect(() => sim.scheduler.defer(task)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED', status: 503 }),
    )
    await closing
    expect(() => sim.scheduler.defer(task)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }))
    sim.advance(0)
    const event = { task: 't', code: 'ERR_SIDEWORK_CLOSED', at: expect.any(Number) as number }
    expect(refused).toEqual([event, event])
    await expect(sim.scheduler.ready()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CLOSED' })
  })

  it.each<[string, (scheduler: Scheduler, payload: object) => unknown]>([
    ['defer', (scheduler, payload) => scheduler.defer('t', payload)],
    ['deferMany', (scheduler, payload) => scheduler.deferMany([{ task: 't' }, { task: 't', payload }])],
    ['flow', (scheduler, payload) => scheduler.flow({ a: { task: 't', payload } })],
    ['batch', (scheduler, payload) => scheduler.batch('t', [payload])],
    ['a key function', (scheduler) => scheduler.defer('keyed')],
  ])('I1: refuses a job when what it is made of closes the scheduler: %s', async (_name, defer) => {
    const sim = makeSim()
    sim.task('t')
    let closed: Promise<CloseReport> | undefined
    const close = (): string => {
      closed = sim.scheduler.close()
      return 'k'
    }
    sim.task('keyed', {}, { orderingKey: close })
    const payload = {
      get at() {
        return close()
      },
    }
    expect(() => defer(sim.scheduler, payload)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }),
    )
    sim.advance(1)
    expect((await closed)?.lost).toEqual([])
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 0, ready: 0, queuedBytes: 0 })
  })

  it('E4: answers every call with the same promise, also before anything started', async () => {
    const sim = makeSim()
    const first = sim.scheduler.close()
    const others = Array.from({ length: 100 }, () => sim.scheduler.close({ timeout: 0 }))
    expect(others.every((other) => other === first)).toBe(true)
    sim.advance(1)
    expect((await first).lost).toEqual([])
    expect(sim.scheduler.close()).toBe(first)
  })

  it('E2: at the deadline tells handlers with code ERR_SIDEWORK_CLOSING, then uses force within 800 ms', async () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 1, io: 1 } } })
    const polite = sim.scheduler.defer(sim.task('polite', { takesMs: 60_000, onAbort: null }, { lane: 'io' }))
    const rude = sim.scheduler.defer(sim.task('rude', neverEnds))
    sim.advance(10)
    const closed = sim.scheduler.close({ timeout: 1000 })
    sim.advance(1000)
    expect(states([polite, rude])).toEqual(['completed', 'running'])
    const abort = sim.threads.flatMap(({ inbox }) => inbox).find(({ kind }) => kind === 'abort')
    expect(abort).toMatchObject({ code: 'ERR_SIDEWORK_CLOSING' })
    sim.advance(799)
    expect(rude.state).toBe('running')
    sim.advance(201)
    const report = await closed
    expect(rude.state).toBe('cancelled')
    expect(report.settled).toEqual({ completed: 1, failed: 0, cancelled: 0, expired: 0 })
    expect(report.lost).toMatchObject([{ id: rude.id, state: 'running', attempt: 1 }])
  })

  it('is shorter than 800 ms after the deadline when all tasks ask for less', async () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('rude', neverEnds, { killAfter: 100 }))
    sim.advance(10)
    await sim.close({ timeout: 0 }, 101)
  })

  it.each(['cpu', 'io', 'main'] as const)(
    'lets a %s handler that was cancelled or timed out before clean up, within its killAfter',
    async (lane) => {
      for (const how of ['cancelled', 'timed out']) {
        const sim = makeSim({ scheduler: { threads: { cpu: 2, io: 1 } } })
        const timeout = how === 'cancelled' ? false : 100
        const cleansUp = sim.task('t', { takesMs: 400, ignoresAbort: true }, { lane, timeout, attempts: 1 })
        const job = sim.scheduler.defer(cleansUp)
        sim.advance(100)
        if (how === 'cancelled') job.cancel()
        sim.advance(30)
        const told: unknown[] = []
        sim.scheduler.on('closed', () => void told.push(['closed', sim.now]))
        sim.scheduler.on('thread:exited', () => void told.push(['exited', sim.now]))
        const { settled, lost } = await sim.close({ timeout: 5000 }, 5000)
        expect(told).toEqual([['exited', 400], ['closed', 400]]) // prettier-ignore
        expect([settled.cancelled + settled.failed, lost]).toEqual([0, []])
      }
    },
  )

  it.each([
    ['its killAfter', 500, 5000, 0, 600],
    ['its killAfter, also when its thread does not exit', 500, 5000, Infinity, 600 + 1000],
    ['the deadline and 800 ms', 5000, 1000, 0, 130 + 1000 + 800],
    ['800 ms without a timeout', 5000, 0, 0, 130 + 800],
  ])(
    'waits for a handler that was cancelled before no longer than %s',
    async (_what, killAfter, timeout, exitsInMs, closedAt) => {
      const sim = makeSim({ threads: () => ({ exitsInMs }) })
      const job = sim.scheduler.defer(sim.task('rude', neverEnds, { killAfter }))
      sim.advance(100)
      job.cancel()
      sim.advance(30)
      let at = -1
      sim.scheduler.on('closed', () => (at = sim.now))
      await sim.close({ timeout }, timeout + 1000)
      expect(at).toBe(closedAt)
    },
  )

  it('does not charge a handler that stops because the scheduler closes', async () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('polite', { takesMs: 60_000 }, { attempts: 1 }))
    const wrapped: Ending = {
      kind: 'threw',
      permanent: false,
      error: {
        name: 'AbortError',
        message: 'aborted',
        code: 'ABORT_ERR',
        cause: { name: 'E', message: '', code: 'ERR_SIDEWORK_CLOSING' },
      },
    }
    const io = sim.scheduler.defer(
      sim.task('io', { takesMs: 60_000, onAbort: wrapped }, { attempts: 1, lane: 'io' }),
    )
    sim.advance(10)
    const report = await sim.close({ timeout: 100 }, 1000)
    expect(states([job, io])).toEqual(['cancelled', 'cancelled'])
    expect(report.settled.failed).toBe(0)
    expect(report.lost.map(({ id, attempt, errors }) => [id, attempt, errors])).toEqual([[job.id, 1, []], [io.id, 1, []]]) // prettier-ignore
  })

  it.each(['cpu', 'io'] as const)(
    'ends as soon as the last %s job gave way at the deadline',
    async (lane) => {
      const sim = makeSim()
      const task = sim.task('polite', { takesMs: 60_000 }, { lane })
      const jobs = [1, 2].map((n) => sim.scheduler.defer(task, n))
      sim.advance(10)
      const report = await sim.close({ timeout: 100 }, 110)
      expect(report.lost.map(({ id, state }) => [id, state])).toEqual(jobs.map(({ id }) => [id, 'ready']))
    },
  )

  it('E7: rejects whoever waits for a result with ERR_SIDEWORK_CLOSED', async () => {
    const sim = makeSim()
    const jobs = [
      sim.scheduler.defer(sim.task('rude', neverEnds)),
      sim.scheduler.defer(sim.task('t')),
      sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000 }),
      sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000, orderingKey: 'k' }),
    ]
    const codes = jobs.map((job) =>
      job.result({ timeout: '1h' }).catch((error: { code: string }) => error.code),
    )
    sim.advance(1)
    await sim.close({ timeout: 0 }, 1000)
    expect(await Promise.all(codes)).toEqual(jobs.map(() => 'ERR_SIDEWORK_CLOSED'))
  })

  it.each([
    ['as long as that takes', 25_000, 700, 700, 0],
    ['for a second', 25_000, Infinity, 1000, 1],
    ['until timeout + 950 ms', 0, Infinity, 950, 1],
  ])(
    'waits for threads to exit %s, then says how many it leaves behind (B30)',
    async (_, timeout, exitsInMs, closedAt, left) => {
      const sim = makeSim({ threads: () => ({ exitsInMs }) })
      sim.scheduler.defer(sim.task('t'))
      sim.advance(10)
      const start = sim.now
      let at = -1
      sim.scheduler.on('closed', () => (at = sim.now - start))
      await sim.close({ timeout }, 1000)
      expect(at).toBe(closedAt)
      expect(sim.world.isClosed).toBe(true)
      const warned = sim.logged.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
      expect(warned).toEqual(left === 0 ? [] : [{ threads: left }])
    },
  )

  it('gives threads that were stopped after the longest grace 150 ms to exit', async () => {
    const sim = makeSim({ threads: () => ({ exitsInMs: Infinity }) })
    sim.scheduler.defer(sim.task('rude', neverEnds))
    sim.advance(10)
    const start = sim.now
    let at = -1
    sim.scheduler.on('closed', () => (at = sim.now - start))
    await sim.close({ timeout: 100 }, 1100)
    expect(at).toBe(100 + 800 + 150)
  })

  it('of a paused scheduler does not wait for jobs that cannot start', async () => {
    const sim = makeSim()
    sim.scheduler.pause()
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    const report = await sim.close({}, 1000)
    expect(report.lost).toMatchObject([{ id: job.id, state: 'ready' }])
    expect(sim.began).toEqual([])
  })

  it.each([
    ['everything', undefined, ['first'], 100],
    ['a task', 't', ['first', 'other'], 120],
  ])('starts nothing more of what is paused while it drains: %s', async (_what, paused, ran, endsAt) => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 100 })
    for (const payload of ['first', 'second', 'third']) sim.scheduler.defer(task, payload)
    sim.scheduler.defer(sim.task('other', { takesMs: 20 }), 'other')
    const told: unknown[] = []
    for (const event of ['paused', 'closed'] as const)
      sim.scheduler.on(event, () => void told.push([event, sim.now]))
    sim.world.plan('user', 10, () => {
      if (paused === undefined) sim.scheduler.pause()
      else sim.scheduler.pause(paused)
    })
    const report = await sim.close({}, 1000)
    expect(sim.payloads).toEqual(ran)
    expect(report.settled.completed).toBe(ran.length)
    expect(report.lost).toHaveLength(4 - ran.length)
    expect(told).toEqual([
      ['paused', 10],
      ['closed', endsAt],
    ])
  })

  it('waits no longer for what is paused while it drains, and nothing is paused afterwards', async () => {
    const sim = makeSim({ scheduler: { limits: { shared: { concurrency: 1 } } } })
    const job = sim.scheduler.defer(sim.task('t', {}, { limits: 'shared' }))
    sim.scheduler.pauseLimit('shared', '1h')
    const told: unknown[] = []
    for (const event of ['paused', 'closed'] as const)
      sim.scheduler.on(event, () => void told.push([event, sim.now]))
    sim.world.plan('user', 10, () => sim.scheduler.pause())
    const report = await sim.close({ timeout: 500 }, 1000)
    expect(report.lost).toMatchObject([{ id: job.id, state: 'ready' }])
    sim.scheduler.pause('t')
    sim.advance(10)
    expect(told).toEqual([
      ['paused', 10],
      ['closed', 10],
    ])
  })

  it('while threads are still starting waits for them and runs what is ready', async () => {
    const sim = makeSim({ threads: () => ({ startsInMs: 40 }) })
    const job = sim.scheduler.defer(sim.task('t'))
    await sim.close({}, 100)
    expect(job.state).toBe('completed')
  })

  it('says so in one warning when jobs are lost, and in events', async () => {
    const sim = makeSim()
    const events: unknown[] = []
    sim.scheduler.on('closing', () => void events.push('closing'))
    sim.scheduler.on('closed', ({ lost }) => void events.push(['closed', lost]))
    const job = sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000 })
    await sim.close({}, 1000)
    sim.advance(0)
    expect(events).toEqual(['closing', ['closed', 1]])
    const warnings = sim.logged.filter(({ level }) => level === 'warn')
    expect(warnings.map(({ fields }) => fields)).toEqual([{ count: 1, ids: [job.id] }])
  })

  it('accepts children of running jobs until the deadline, and runs them', async () => {
    const sim = makeSim()
    const says = [
      {
        afterMs: 50,
        message: (token: number) => ({ kind: 'defer', token, call: 1, task: 'child', payload: '1' }) as const,
      },
    ]
    sim.task('child')
    sim.scheduler.defer(sim.task('parent', { takesMs: 100, says }))
    sim.scheduler.defer('child')
    sim.advance(1)
    const report = await sim.close({}, 200)
    expect(report.settled.completed).toBe(3)
  })

  it('leaves nothing behind while short jobs are in every stage of being handed over', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const sim = makeSim({ seed, shuffle: true, scheduler: { threads: 2 } })
      const task = sim.task('short', ({ payload }: Run) => ({
        takesMs: (payload as number) % 4 === 0 ? 1 : 0,
      }))
      for (let n = 0; n < 60; n++) {
        sim.scheduler.defer(task, 1)
        sim.advance(0)
      }
      for (let n = 0; n < 60; n++) sim.scheduler.defer(task, n)
      sim.advance(seed % 4)
      const report = await sim.close({ timeout: 0 }, 1000)
      expect(report.settled.completed + report.lost.length).toBeLessThanOrEqual(120)
      await sim.finish()
    }
  })
})

describe('restore()', () => {
  it('takes back what was lost: id, attempt, due time, order, payload with bytes', async () => {
    const before = makeSim()
    const options = { backoff: { type: 'fixed', delay: 60_000 } } as const
    before.scheduler.defer(
      before.task('bad', failsWith('no'), options),
      { n: 1, bytes: new Uint8Array([1, 2, 3]) },
      { priority: 7 },
    )
    before.scheduler.defer(before.task('t'), 'later', { delay: 120_000, id: 'mine' })
    before.advance(10)
    before.scheduler.pause()
    before.scheduler.defer(before.task('t'), 'ready')
    const report = await before.close({ timeout: 0 }, 1000)
    const lost = JSON.parse(JSON.stringify(report.lost)) as typeof report.lost

    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    after.task('bad', {}, options)
    after.task('t')
    const jobs = after.scheduler.restore(lost)
    expect(jobs.map(({ id }) => id)).toEqual(lost.map(({ id }) => id))
    expect(jobs.map((job) => job.snapshot().runAt)).toEqual([
      lost[0]?.runAt,
      lost[1]?.runAt,
      expect.any(Number),
    ])
    expect(jobs[0]?.snapshot()).toMatchObject({ attempt: 1, priority: 7, errors: [{ attempt: 1 }] })
    after.advance(200_000)
    expect(after.began.map(({ id, attempt, payload }) => [id, attempt, payload])).toEqual([
      [jobs[2]?.id, 1, 'ready'],
      [jobs[0]?.id, 2, { n: 1, bytes: new Uint8Array([1, 2, 3]) }],
      ['mine', 1, 'later'],
    ])
    expect(after.scheduler.job('mine')?.state).toBe('completed')
  })

  it('repeats an attempt that was cut off, snoozed or interrupted under its number', async () => {
    const before = makeSim({ scheduler: { threads: { cpu: 2, io: 1 } } })
    const once = { attempts: 1 } as const
    before.scheduler.defer(before.task('rude', neverEnds, once))
    before.scheduler.defer(before.task('sleepy', snoozes(5000), once))
    before.scheduler.defer(before.task('cut', { takesMs: 60_000 }, { ...once, lane: 'io' }))
    before.scheduler.defer(before.task('cut'))
    before.advance(10)
    before.scheduler.pause()
    before.threads.find(({ lane }) => lane === 'io')?.crash()
    before.advance(10)
    const { lost } = await before.close({ timeout: 0 }, 1000)
    expect(lost.map(({ state, attempt }) => [state, attempt])).toEqual([['running', 1], ['scheduled', 1], ['ready', 1], ['ready', 1]]) // prettier-ignore

    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    for (const [name, options] of [
      ['rude', once],
      ['sleepy', once],
      ['cut', { ...once, lane: 'io' }],
    ] as const) {
      after.task(name, {}, options)
    }
    after.scheduler.restore(lost)
    after.advance(10_000)
    expect(after.began.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1])
    expect(after.scheduler.stats().completed).toBe(4)
  })

  it('keeps the place of a head that was being retried, and the order of its line', async () => {
    const before = makeSim()
    const bad = before.task('bad', failsWith('no'), { backoff: { type: 'fixed', delay: 60_000 } })
    const key = { orderingKey: 'k' }
    before.scheduler.defer(before.task('delayed'), undefined, { ...key, delay: 20 })
    before.scheduler.defer(bad, undefined, key)
    before.scheduler.defer(before.task('second'), undefined, key)
    before.advance(50)
    const { lost } = await before.close({ timeout: 0 }, 1000)

    const after = makeSim({ seed: 2, wall: before.world.clock.wall() })
    for (const name of ['bad', 'second', 'delayed']) after.task(name)
    after.scheduler.restore(lost)
    after.advance(30_000)
    expect(after.order).toEqual([])
    after.advance(60_000)
    expect(after.order).toEqual(['bad', 'second', 'delayed'])
  })

  it('is all or nothing', () => {
    const sim = makeSim({ scheduler: { maxQueued: 3 } })
    const task = sim.task('t')
    const job = sim.scheduler.defer(task, undefined, { delay: 1000 })
    const snapshot = job.snapshot()
    const lost = (id: string): typeof snapshot => ({ ...snapshot, id })
    const before = sim.scheduler.stats()
    for (const [jobs, code] of [
      [[lost('a'), snapshot], 'ERR_SIDEWORK_ID_TAKEN'],
      [[lost('a'), lost('a')], 'ERR_SIDEWORK_ID_TAKEN'],
      [[lost('a'), { ...snapshot, id: 'b', task: 'unknown' }], 'ERR_SIDEWORK_UNKNOWN_TASK'],
      [[lost('a'), { ...snapshot, id: 'b', state: 'completed' }], 'ERR_SIDEWORK_OPTION'],
      [[lost('a'), { ...snapshot, id: 'b', generation: 0 }], 'ERR_SIDEWORK_OPTION'],
      [[lost('a'), null], 'ERR_SIDEWORK_OPTION'],
      [[lost('a'), lost('b'), lost('c')], 'ERR_SIDEWORK_QUEUE_FULL'],
    ] as const) {
      expect(() => sim.scheduler.restore(jobs as never), code).toThrow(expect.objectContaining({ code }))
      expect(sim.scheduler.stats(), code).toEqual(before)
    }
    expect(sim.scheduler.job('a')).toBeUndefined()
  })
})

describe('close() while a thread holds jobs it has taken but not reported', () => {
  it('lists them as ready and counts each once', async () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      ({ payload }: Run) => (payload === 'spin' ? { takesMs: Infinity, spins: true } : {}),
      {
        timeout: false,
      },
    )
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(task)
      sim.advance(0)
    }
    for (const payload of ['quick', 'spin', 'behind']) sim.scheduler.defer(task, payload)
    sim.advance(3)
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, ready: 2 })
    const report = await sim.close({ timeout: 10 }, 1000)
    expect(report.lost.map(({ payload, state }) => [payload, state])).toEqual([
      ['quick', 'running'],
      ['spin', 'ready'],
      ['behind', 'ready'],
    ])
    expect(sim.scheduler.stats().lanes.cpu.ready).toBe(0)
  })
})

describe('while it closes, and afterwards', () => {
  it('releaseKey with retry is refused, as retry is; without it the key is free', async () => {
    const sim = makeSim()
    const task = sim.task('bad', failsWith('no'), { onExhausted: 'halt', attempts: 1 })
    sim.scheduler.defer(task, 1, { orderingKey: 'k' })
    sim.advance(10)
    expect(sim.scheduler.haltedKeys()).toEqual(['k'])
    const refused = expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }) as Error
    const closed = sim.close({}, 1000)
    expect(() => sim.scheduler.releaseKey('k', { retry: true })).toThrow(refused)
    await closed
    expect(() => sim.scheduler.releaseKey('k', { retry: true })).toThrow(refused)
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 1, ready: 0, failed: 1 })
    expect(sim.scheduler.releaseKey('k')).toBe(true)
    expect(sim.scheduler.haltedKeys()).toEqual([])
  })

  it('jobs of a paused task are not waited for, since nothing lets them go on', async () => {
    const sim = makeSim({ scheduler: { limits: { shared: { concurrency: 1 } } } })
    const paused = sim.task('paused', {}, { limits: 'shared' })
    sim.scheduler.pause(paused)
    sim.scheduler.pause('paused')
    const waiting = [1, 2].map((n) => sim.scheduler.defer(paused, n))
    const other = sim.scheduler.defer(sim.task('other', { takesMs: 20 }))
    const report = await sim.close({}, 100)
    expect(other.state).toBe('completed')
    expect(report.lost.map(({ id, state }) => [id, state])).toEqual(waiting.map(({ id }) => [id, 'ready']))
  })

  it('a handler that hears of it and calls close() gets the same promise, and its defers are refused', async () => {
    const sim = makeSim({ main: 'real' })
    const heard: unknown[] = []
    const run = (_payload: never, { signal }: { signal: AbortSignal }): Promise<void> =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          heard.push(sim.scheduler.close())
          try {
            sim.scheduler.defer('after')
          } catch (error) {
            heard.push((error as { code: string }).code)
          }
          resolve()
        })
      })
    sim.mainTask('after', () => undefined)
    const job = sim.scheduler.defer(sim.mainTask('hears', run))
    await sim.flow(1)
    expect(job.state).toBe('running')
    const closed = sim.scheduler.close({ timeout: 0 })
    await sim.flow()
    sim.advance(1000)
    expect(heard).toEqual([closed, 'ERR_SIDEWORK_CLOSED'])
    expect((await closed).settled).toMatchObject({ completed: 1 })
  })

  it('a logger that calls close() when it hears of it gets the same promise', async () => {
    const heard: unknown[] = []
    const sim = makeSim()
    const { push } = sim.logged
    sim.logged.push = (line) => {
      if (line.message === 'closing') heard.push(sim.scheduler.close())
      return push.call(sim.logged, line)
    }
    const closed = sim.scheduler.close()
    sim.advance(1)
    await closed
    expect(heard).toEqual([closed])
  })
})
