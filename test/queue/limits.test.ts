import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ReadyQueue } from '../../src/queue/ready-queue.js'
import { failsWith, neverEnds, snoozes, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

/** The most starts in any window of length `perMs`, looked at from every start. */
function mostInWindow(startsAt: readonly number[], perMs: number): number {
  return Math.max(
    0,
    ...startsAt.map((from) => startsAt.filter((at) => at >= from && at < from + perMs).length),
  )
}

/** The most executions at once, from when they began and how long they took. */
function mostAtOnce(began: readonly { at: number }[], takesMs: number): number {
  return mostInWindow(
    began.map(({ at }) => at),
    takesMs,
  )
}

const startsOf = (sim: Sim): number[] => sim.began.map(({ at }) => at)
const io = { lane: 'io' } as const

describe('a concurrency limit', () => {
  it('of a task holds though many places are free, and is used to the full', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 10 }, { ...io, concurrency: 3 })
    for (let n = 0; n < 10; n++) sim.scheduler.defer(task, n)
    sim.advance(1)
    expect(sim.scheduler.stats()).toMatchObject({ running: 3, ready: 7 })
    sim.advance(100)
    expect(mostAtOnce(sim.began, 10)).toBe(3)
    expect(sim.payloads).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(sim.began.at(-1)?.at).toBe(30)
  })

  it('per key counts each key for itself', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      { takesMs: 10 },
      { ...io, concurrency: { limit: 1, key: (payload: string) => payload.charAt(0) } },
    )
    for (const payload of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) sim.scheduler.defer(task, payload)
    sim.advance(1)
    expect(sim.payloads).toEqual(['a1', 'b1', 'c1'])
    sim.advance(10)
    expect(sim.payloads.slice(3)).toEqual(['a2', 'b2'])
    sim.advance(10)
    expect(sim.payloads.slice(5)).toEqual(['a3'])
  })

  it('shared between tasks and lanes holds over all of them', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 4 }, limits: { disk: { concurrency: 2 } } } })
    for (let n = 0; n < 4; n++) {
      for (const lane of ['cpu', 'io', 'main'] as const)
        sim.scheduler.defer(sim.task(lane, { takesMs: 10 }, { lane, limits: 'disk' }), n)
    }
    sim.advance(1000)
    expect(sim.began).toHaveLength(12)
    expect(mostAtOnce(sim.began, 10)).toBe(2)
    expect(sim.began.at(-1)?.at).toBeLessThanOrEqual(60)
  })

  it('is given back only when a timed-out attempt has really ended', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 4 } } })
    const task = sim.task('t', ({ payload }: Run) => (payload === 'stuck' ? neverEnds : {}), {
      concurrency: 1,
      attempts: 1,
      timeout: 100,
      killAfter: 400,
    })
    const stuck = sim.scheduler.defer(task, 'stuck')
    const next = sim.scheduler.defer(task, 'next')
    sim.advance(499)
    expect([stuck.state, next.state]).toEqual(['failed', 'ready'])
    sim.advance(1)
    expect(next.state).toBe('completed')
  })

  it.each(['cancel', 'crash', 'snooze', 'fail'])('comes back after every way out: %s', (way) => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const behaviours = {
      cancel: { takesMs: 1000 },
      crash: { takesMs: 5, crashes: { exitCode: 1 } },
      snooze: snoozes(1000),
      fail: failsWith('no'),
    }
    const task = sim.task(
      't',
      ({ payload }: Run) => (payload === 'first' ? behaviours[way as keyof typeof behaviours] : {}),
      { concurrency: 1 },
    )
    const first = sim.scheduler.defer(task, 'first')
    const next = sim.scheduler.defer(task, 'next')
    sim.advance(1)
    if (way === 'cancel') first.cancel()
    sim.advance(10)
    expect(next.state).toBe('completed')
  })

  it('lets the best of all that wait for it start, whatever task it is of', () => {
    const sim = makeSim({ scheduler: { limits: { one: { concurrency: 1 } } } })
    const options = { ...io, limits: 'one' }
    for (const name of ['a', 'b']) sim.task(name, { takesMs: 10 }, options)
    sim.scheduler.defer(sim.task('blocker', { takesMs: 10 }, options))
    sim.advance(1)
    for (const [task, payload, priority] of [['a', 'a2', 2], ['b', 'b5', 5], ['a', 'a9', 9], ['b', 'b8', 8], ['a', 'a5', 5]] as const)
      sim.scheduler.defer(task, payload, { priority }) // prettier-ignore
    sim.advance(100)
    expect(sim.payloads.slice(1)).toEqual(['a9', 'b8', 'b5', 'a5', 'a2'])
  })

  it('lets the best of all start also when the first of an open group was cancelled', () => {
    const sim = makeSim({ scheduler: { limits: { one: { concurrency: 1 } } } })
    const blocker = sim.task('blocker', { takesMs: 1000 }, { limits: 'one' })
    for (const name of ['a', 'b']) sim.task(name, { takesMs: 10 }, { limits: 'one' })
    sim.task('free', { takesMs: 10 })
    const held = sim.scheduler.defer(blocker, undefined, { priority: 9 })
    sim.advance(1)
    const best = sim.scheduler.defer('a', 'a9', { priority: 9 })
    sim.scheduler.defer('a', 'a0', { priority: 0 })
    sim.scheduler.defer('b', 'b5', { priority: 5 })
    sim.advance(1)
    // An unlimited job takes the only place, so that the limit is free and nobody of its groups starts.
    sim.scheduler.defer('free', 'free', { priority: 9, runAt: 1 })
    held.cancel()
    sim.scheduler.setPriority(best.id, 8)
    sim.advance(2)
    best.cancel()
    sim.advance(100)
    expect(sim.payloads.slice(1)).toEqual(['free', 'b5', 'a0'])
  })

  it('holds no place: other jobs pass those it keeps back', () => {
    const sim = makeSim()
    const limited = sim.task('limited', { takesMs: 100 }, { ...io, concurrency: 1, priority: 'high' })
    for (let n = 0; n < 50; n++) sim.scheduler.defer(limited, n)
    const other = sim.scheduler.defer(sim.task('other', {}, io))
    sim.advance(1)
    expect(other.state).toBe('completed')
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, ready: 49 })
  })

  it('together with an ordering key keeps both', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      { takesMs: 10 },
      { ...io, concurrency: 2, orderingKey: (payload: number) => `k${payload % 4}` },
    )
    for (let n = 0; n < 40; n++) sim.scheduler.defer(task, n)
    sim.advance(1000)
    expect(mostAtOnce(sim.began, 10)).toBe(2)
    for (let key = 0; key < 4; key++) {
      const ofKey = sim.payloads.filter((payload) => (payload as number) % 4 === key)
      expect(ofKey).toEqual([...ofKey].sort((a, b) => Number(a) - Number(b)))
    }
    expect(sim.scheduler.stats().completed).toBe(40)
  })
})

describe('a rate limit', () => {
  it('C8: holds in every window, also over the edge between two', () => {
    const sim = makeSim()
    const task = sim.task('t', {}, { ...io, rateLimit: { limit: 5, per: 1000 } })
    sim.advance(900)
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task, n)
    sim.advance(10_000)
    expect(startsOf(sim)).toEqual([900, 1900, 2900, 3900].flatMap((at) => Array<number>(5).fill(at)))
  })

  it('lets the next start at the very end of the window, without any other event', () => {
    const sim = makeSim()
    const task = sim.task('t', {}, { ...io, rateLimit: { limit: 1, per: 1000 } })
    sim.scheduler.defer(task)
    sim.advance(1)
    const next = sim.scheduler.defer(task)
    sim.advance(998)
    expect(next.state).toBe('ready')
    sim.advance(1)
    expect(next.state).toBe('completed')
  })

  it('counts retries and snoozed executions like first starts', () => {
    const sim = makeSim()
    const backoff = { type: 'fixed', delay: 10 } as const
    const rateLimit = { limit: 2, per: 500 } as const
    const task = sim.task(
      't',
      ({ payload, attempt }: Run) =>
        attempt < 3 && payload === 'bad' ? failsWith('no') : sim.began.length < 4 ? snoozes(20) : {},
      { ...io, rateLimit, backoff },
    )
    for (const payload of ['bad', 'good', 'bad', 'good']) sim.scheduler.defer(task, payload)
    sim.advance(20_000)
    expect(mostInWindow(startsOf(sim), 500)).toBe(2)
    expect(sim.scheduler.stats().completed).toBe(4)
  })

  it('per key opens each key at its own time', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      {},
      { ...io, rateLimit: { limit: 1, per: 100, key: (payload: string) => payload } },
    )
    sim.scheduler.defer(task, 'a')
    sim.advance(30)
    for (const payload of ['b', 'a', 'b', 'a']) sim.scheduler.defer(task, payload)
    sim.advance(1000)
    expect(sim.began.map(({ at, payload }) => [payload, at])).toEqual([
      ['a', 0],
      ['b', 30],
      ['a', 100],
      ['b', 130],
      ['a', 200],
    ])
  })

  it('keeps nothing of a key whose window is over', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      {},
      { ...io, rateLimit: { limit: 1, per: 100, key: (payload: number) => `k${payload}` } },
    )
    for (let n = 0; n < 1000; n++) sim.scheduler.defer(task, n)
    sim.advance(1000)
    expect(sim.scheduler.stats().completed).toBe(1000)
    expect(sim.world.timerAt ?? Infinity).toBeGreaterThan(1100) // no window waits for its end
  })

  it('C8: property: whatever is deferred when and fails how often, no window holds more than its limit', () => {
    const job = fc.record({
      at: fc.integer({ min: 0, max: 300 }),
      key: fc.constantFrom('a', 'b'),
      task: fc.constantFrom('own', 'shared', 'both'),
      failures: fc.integer({ min: 0, max: 2 }),
      takesMs: fc.constantFrom(0, 0, 1, 20),
      priority: fc.integer({ min: 0, max: 9 }),
    })
    const own = { limit: 2, per: 50 }
    const all = { limit: 3, per: 70 }
    fc.assert(
      fc.property(fc.array(job, { maxLength: 40 }), fc.integer({ min: 0, max: 1000 }), (jobs, seed) => {
        const sim = makeSim({
          seed,
          shuffle: true,
          scheduler: { threads: { cpu: 2 }, limits: { all: { rateLimit: all, concurrency: 2 } } },
        })
        const behaves = ({ attempt, payload }: Run) => {
          const { failures, takesMs } = payload as (typeof jobs)[number]
          return attempt <= failures ? { ...failsWith('no'), takesMs } : { takesMs }
        }
        const backoff = { type: 'fixed', delay: 7 } as const
        const key = ({ key: own }: { key: string }): string => own
        sim.task('own', behaves, { backoff, rateLimit: { ...own, key } })
        sim.task('shared', behaves, { backoff, limits: 'all', lane: 'io' })
        sim.task('both', behaves, { backoff, limits: 'all', rateLimit: { ...own, key } })
        for (const one of [...jobs].sort((x, y) => x.at - y.at)) {
          sim.advance(one.at - sim.now)
          sim.scheduler.defer(one.task, one, { priority: one.priority })
        }
        sim.advance(20_000)
        expect(sim.scheduler.stats().completed).toBe(jobs.length)
        const starts = (fits: (began: { task: string; key: string }) => boolean): number[] =>
          sim.began
            .filter(({ task, payload }) => fits({ task, key: (payload as { key: string }).key }))
            .map(({ at }) => at)
        expect(mostInWindow(starts(({ task }) => task !== 'own'), all.per)).toBeLessThanOrEqual(all.limit) // prettier-ignore
        for (const name of ['own', 'both']) {
          for (const value of ['a', 'b']) {
            const some = starts((began) => began.task === name && began.key === value)
            expect(mostInWindow(some, own.per)).toBeLessThanOrEqual(own.limit)
          }
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('pauseLimit(name, delay)', () => {
  const limits = { smtp: { concurrency: 5 } }

  it('lets nothing that passes the limit start until then, and then everything by itself', () => {
    const sim = makeSim({ scheduler: { limits } })
    const mail = sim.task('mail', {}, { ...io, limits: 'smtp' })
    sim.scheduler.pauseLimit('smtp', 100)
    sim.scheduler.defer(mail)
    const other = sim.scheduler.defer(sim.task('other', {}, io))
    sim.advance(99)
    expect([sim.order, other.state]).toEqual([['other'], 'completed'])
    sim.advance(1)
    expect(sim.order).toEqual(['other', 'mail'])
  })

  it('does not shorten a longer pause', () => {
    const sim = makeSim({ scheduler: { limits } })
    sim.scheduler.defer(sim.task('mail', {}, { ...io, limits: 'smtp' }))
    sim.scheduler.pauseLimit('smtp', '1s')
    sim.scheduler.pauseLimit('smtp', 10)
    sim.advance(999)
    expect(sim.began).toEqual([])
    sim.advance(1)
    expect(sim.began).toHaveLength(1)
  })

  it('leaves running jobs alone', () => {
    const sim = makeSim({ scheduler: { limits } })
    const job = sim.scheduler.defer(sim.task('mail', { takesMs: 50 }, { ...io, limits: 'smtp' }))
    sim.advance(1)
    sim.scheduler.pauseLimit('smtp', 1000)
    sim.advance(60)
    expect(job.state).toBe('completed')
  })

  it('of a limit there is none of is refused', () => {
    const sim = makeSim({ scheduler: { limits } })
    expect(() => sim.scheduler.pauseLimit('imap', 10)).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_UNKNOWN_LIMIT',
        message: expect.stringContaining('smtp'),
      }),
    )
  })
})

it('a task that names a limit the scheduler does not have is refused at defer, and nothing is stored', () => {
  const sim = makeSim({ scheduler: { limits: { smtp: { concurrency: 1 } } } })
  expect(() => sim.scheduler.defer(sim.task('t', {}, { limits: ['smtp', 'imap'] }))).toThrow(
    expect.objectContaining({
      code: 'ERR_SIDEWORK_UNKNOWN_LIMIT',
      message: expect.stringContaining("'imap'"),
    }),
  )
  expect(sim.scheduler.stats().accepted).toBe(0)
})

describe('pause(task)', () => {
  it('lets nothing of the task start, retries included, while others go on; resume(task) lets it go on', () => {
    const sim = makeSim()
    const backoff = { type: 'fixed', delay: 10 } as const
    const bad = sim.task('t', ({ attempt }) => (attempt === 1 ? failsWith('no') : {}), { backoff })
    const retrying = sim.scheduler.defer(bad)
    sim.advance(5)
    sim.scheduler.pause(bad)
    const waiting = sim.scheduler.defer('t')
    const delayed = sim.scheduler.defer('t', undefined, { delay: 20 })
    const other = sim.scheduler.defer(sim.task('other'))
    sim.advance(1000)
    expect([retrying, waiting, delayed, other].map(({ state }) => state)).toEqual([
      'ready', 'ready', 'ready', 'completed',
    ]) // prettier-ignore
    sim.scheduler.resume('t')
    sim.advance(100)
    expect(sim.scheduler.stats()).toMatchObject({ completed: 4, ready: 0 })
  })

  it('takes back what a thread was sent ahead and had not taken', () => {
    const sim = makeSim()
    const task = sim.task('short', ({ payload }: Run) => ({ takesMs: payload === 'slow' ? 50 : 0 }))
    for (let n = 0; n < 60; n++) {
      sim.scheduler.defer(task)
      sim.advance(0)
    }
    const before = sim.began.length
    sim.scheduler.defer(task, 'slow')
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task, n)
    sim.advance(0)
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, ready: 20 })
    sim.scheduler.pause(task)
    const other = sim.scheduler.defer(sim.task('other'))
    sim.advance(1000)
    expect(sim.payloads.slice(before)).toEqual(['slow', undefined])
    expect(other.state).toBe('completed')
    sim.scheduler.resume(task)
    sim.advance(1000)
    expect(sim.payloads.slice(before + 2)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('holds the jobs of a task whose module was evaluated again, those deferred before and after', () => {
    const sim = makeSim()
    const old = sim.task('t', {}, { lane: 'cpu' })
    sim.scheduler.pause()
    sim.scheduler.defer(old, 'ready')
    sim.scheduler.defer(old, 'delayed', { delay: 20 })
    const anew = sim.taskAgain('t', { lane: 'io' })
    sim.scheduler.defer(anew, 'deferred to the new one')
    sim.scheduler.pause('t')
    sim.scheduler.resume()
    sim.advance(10)
    const last = sim.taskAgain('t', { lane: 'io' })
    sim.scheduler.defer(last, 'deferred to one that came during the pause')
    sim.advance(100)
    expect(sim.payloads).toEqual([])
    sim.scheduler.resume('t')
    sim.advance(100)
    expect(sim.scheduler.stats().completed).toBe(4)
  })

  it('works together with limits of the task, and with pause()', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 10 }, { ...io, concurrency: 2 })
    for (let n = 0; n < 6; n++) sim.scheduler.defer(task, n)
    sim.advance(1)
    sim.scheduler.pause(task)
    sim.scheduler.pause()
    sim.advance(100)
    expect(sim.began).toHaveLength(2)
    sim.scheduler.resume()
    sim.advance(100)
    expect(sim.began).toHaveLength(2)
    sim.scheduler.resume(task)
    sim.advance(100)
    expect(sim.began).toHaveLength(6)
    expect(mostAtOnce(sim.began, 10)).toBe(2)
  })

  it('C11: 500 toggles in random order lose and double nothing, and nothing starts while paused', () => {
    const sim = makeSim({ seed: 5, shuffle: true, scheduler: { threads: { cpu: 2 } } })
    const task = sim.task('t', ({ payload }: Run) => ({ takesMs: (payload as number) % 3 === 0 ? 1 : 0 }))
    let wasWrong = false
    for (let n = 0; n < 500; n++) {
      sim.scheduler.defer(task, n)
      if (sim.world.random() < 0.5) sim.scheduler.pause(task)
      else sim.scheduler.resume(task)
      sim.advance(sim.world.random() < 0.5 ? 1 : 0)
      if (sim.world.random() < 0.1) {
        sim.scheduler.pause(task)
        sim.advance(2)
        const { length } = sim.began
        sim.advance(50)
        wasWrong ||= sim.began.length !== length
      }
    }
    sim.scheduler.resume(task)
    sim.advance(10_000)
    expect(wasWrong).toBe(false)
    expect(sim.payloads.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 500 }, (_, n) => n)) // prettier-ignore
  })

  it('and resume(task) tell in events only what they changed', () => {
    const sim = makeSim()
    const told: unknown[] = []
    sim.scheduler.on('paused', ({ task }) => void told.push(['paused', task]))
    sim.scheduler.on('resumed', ({ task }) => void told.push(['resumed', task]))
    const task = sim.task('t')
    sim.scheduler.resume(task)
    sim.scheduler.pause(task)
    sim.scheduler.pause('t')
    sim.scheduler.resume('t')
    sim.scheduler.resume()
    sim.advance(0)
    expect(told).toEqual([['paused', 't'], ['resumed', 't']]) // prettier-ignore
    expect(() => sim.scheduler.pause('unknown')).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_UNKNOWN_TASK' }),
    )
  })
})

describe('stats() of jobs that wait at limits', () => {
  it('tell how long the oldest has waited, whatever starts, is cancelled or gets another priority meanwhile', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            what: fc.constantFrom('defer', 'defer', 'defer', 'cancel', 'setPriority', 'pass'),
            key: fc.constantFrom('a', 'b', 'c'),
            n: fc.nat(30),
          }),
          { maxLength: 60 },
        ),
        (steps) => {
          const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
          const task = sim.task(
            't',
            { takesMs: 7 },
            { concurrency: { limit: 1, key: (payload: string) => payload } },
          )
          const jobs: { job: ReturnType<typeof sim.scheduler.defer>; at: number }[] = []
          for (const { what, key, n } of steps) {
            const one = jobs[n % Math.max(1, jobs.length)]?.job
            if (what === 'defer') jobs.push({ job: sim.scheduler.defer(task, key), at: sim.now })
            else if (what === 'pass') sim.advance(n)
            else if (what === 'cancel') one?.cancel()
            else if (one !== undefined) sim.scheduler.setPriority(one.id, n % 10)
            const waits = jobs.filter(({ job }) => job.state === 'ready').map(({ at }) => sim.now - at)
            expect(sim.scheduler.stats().oldestWaitMs).toBe(Math.max(0, ...waits))
          }
        },
      ),
    )
  })

  it('cost no more with a thousand keys than with one', () => {
    const sim = makeSim()
    const task = sim.task('t', neverEnds, { concurrency: { limit: 1, key: (payload: string) => payload } })
    for (let n = 0; n < 2_000; n++) sim.scheduler.defer(task, `key ${n % 1_000}`)
    sim.advance(5)
    const look = vi.spyOn(ReadyQueue.prototype, 'oldestAt', 'get')
    expect(sim.scheduler.stats()).toMatchObject({ oldestWaitMs: 5 })
    expect(look.mock.calls.length).toBeLessThanOrEqual(3) // one per lane
    look.mockRestore()
  })
})
