import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { DedupeIndex } from '../../src/defer/dedupe-index.js'
import { Job, type Disarmable } from '../../src/job/job.js'
import { TaskRecord } from '../../src/job/task-record.js'
import type { Agenda } from '../../src/queue/agenda.js'
import type { DeferOptions } from '../../src/task/defer-options.js'
import { readTaskPolicy } from '../../src/task/task-policy.js'
import { failsForGood, failsWith, neverEnds, type Behaviour, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const key = { dedupe: 'k' } as const
const last = { dedupe: { key: 'k', mode: 'last' } } as const
const states = (jobs: readonly { state: string }[]): string[] => jobs.map(({ state }) => state)
const codeOf = (error: { code: string; cause?: { code?: string; message?: string } }) => error

/** A thread that is busy until `sim.scheduler.cancel('blocker')`. */
function busySim(behaves: Behaviour | ((run: Run) => Behaviour) = {}, scheduler: object = {}): Sim {
  const sim = makeSim({ scheduler })
  sim.task('t', behaves)
  sim.scheduler.defer(sim.task('blocker', { takesMs: Infinity }, { timeout: false }), undefined, {
    id: 'blocker',
  })
  sim.advance(1)
  return sim
}

describe("dedupe, mode 'first'", () => {
  it('C5: answers the job that is there while it waits, runs or retries, and tells so in an event', () => {
    const sim = makeSim()
    const told: unknown[] = []
    sim.scheduler.on('deduplicated', ({ id, task }) => void told.push([id, task]))
    const behaves = ({ attempt }: Run) => ({ ...(attempt === 1 ? failsWith('no') : {}), takesMs: 10 })
    const task = sim.task('t', behaves, { backoff: { type: 'fixed', delay: 10 } })
    const job = sim.scheduler.defer(task, 1, { ...key, delay: 10 })
    for (const state of ['scheduled', 'running', 'retrying', 'running'] as const) {
      expect(job.state).toBe(state)
      const again = sim.scheduler.defer(task, 2, key)
      expect([again.id, again.deduplicated]).toEqual([job.id, true])
      sim.advance(10)
    }
    expect([job.state, job.deduplicated]).toEqual(['completed', false])
    expect(sim.payloads).toEqual([1, 1])
    expect(told).toEqual(Array.from({ length: 4 }, () => [job.id, 't']))
    const next = sim.scheduler.defer(task, 3, key)
    expect([next.deduplicated, next.id === job.id]).toEqual([false, false])
  })

  it('C5: with ttl answers the completed job until then, and a new one after', async () => {
    const sim = makeSim()
    const options = { dedupe: { key: 'k', ttl: '1s' } } as const
    const job = sim.scheduler.defer(sim.task('t', { ends: '"once"' }), 1, options)
    sim.advance(999)
    const again = sim.scheduler.defer('t', 2, options)
    expect([again.id, again.deduplicated, await again.result()]).toEqual([job.id, true, 'once'])
    sim.advance(1)
    expect(sim.scheduler.defer('t', 3, options).deduplicated).toBe(false)
    sim.advance(10)
    expect(sim.payloads).toEqual([1, 3])
  })

  it.each(['failed', 'cancelled', 'expired'])(
    'C5: a job that %s frees its key at once, ttl or not',
    (how) => {
      const sim = busySim(failsForGood('no'))
      const options = { dedupe: { key: 'k', ttl: '1h' }, expiresIn: 100 } as const
      const job = sim.scheduler.defer('t', 1, options)
      if (how === 'cancelled') job.cancel()
      if (how === 'failed') sim.scheduler.cancel('blocker')
      sim.advance(100)
      expect(job.state).toBe(how)
      expect(sim.scheduler.defer('t', 2, options).deduplicated).toBe(false)
    },
  )

  it('is by task and key: other tasks and other keys are others', () => {
    const sim = busySim()
    sim.task('other')
    sim.scheduler.defer('t', 1, key)
    expect(sim.scheduler.defer('other', 1, key).deduplicated).toBe(false)
    expect(sim.scheduler.defer('t', 1, { dedupe: 'K' }).deduplicated).toBe(false)
    expect(sim.scheduler.defer('t', 1).deduplicated).toBe(false)
  })

  it('takes the key from the payload, unless the defer names one', () => {
    const sim = makeSim()
    sim.scheduler.pause()
    const dedupe = ({ id }: { id?: string }): string => id as string
    const task = sim.task('t', {}, { dedupe })
    const job = sim.scheduler.defer(task, { id: 'a' })
    expect(sim.scheduler.defer(task, { id: 'a', more: 1 }).id).toBe(job.id)
    expect(sim.scheduler.defer(task, { id: 'b' }, { dedupe: 'a' }).id).toBe(job.id)
    expect(job.snapshot().dedupeKey).toBe('a')
  })

  it('a job that settles frees its own key only', () => {
    const sim = busySim()
    const first = sim.scheduler.defer('t', 1, key)
    first.cancel()
    const second = sim.scheduler.defer('t', 2, key)
    expect(sim.scheduler.retry(first.id)).toBe(false)
    expect(first.cancel()).toBe(false)
    expect(sim.scheduler.defer('t', 3, key).id).toBe(second.id)
    second.cancel()
    expect(sim.scheduler.retry(first.id)).toBe(true)
    expect(sim.scheduler.retry(second.id)).toBe(false)
    expect(sim.scheduler.defer('t', 4, key).id).toBe(first.id)
  })

  it('a duplicate takes no room, so a full queue does not refuse it', () => {
    const sim = busySim({}, { maxQueued: 2 })
    const job = sim.scheduler.defer('t', 1, key)
    const before = sim.scheduler.stats()
    expect(sim.scheduler.defer('t', 2, key).id).toBe(job.id)
    expect(sim.scheduler.stats()).toEqual(before)
  })

  it('does not keep more completed keys than maxQueued, however long their ttl, nor a timer for each', () => {
    const sim = makeSim({ scheduler: { maxQueued: 10 } })
    const task = sim.task('t')
    for (let n = 0; n < 100; n++) {
      sim.scheduler.defer(task, n, { dedupe: { key: `k${n}`, ttl: '1d' } })
      sim.advance(1)
    }
    const isKnown = (n: number): boolean => {
      const job = sim.scheduler.defer(task, n, { dedupe: { key: `k${n}`, ttl: 1 } })
      sim.advance(5)
      return job.deduplicated
    }
    expect([99, 95, 90].map(isKnown)).toEqual([true, true, true])
    expect([89, 0].map(isKnown)).toEqual([false, false])
  })
})

describe('a job that failed frees its key also for who hears of it first, the logger', () => {
  it.each([
    ['first', {}],
    ['last', { mode: 'last' }],
  ] as const)("in mode '%s'", (_mode, mode) => {
    const sim = makeSim()
    const task = sim.task('t', ({ payload }) => (payload === 'bad' ? failsForGood('no') : {}), {
      dedupe: { key: () => 'k', ttl: '1h', ...mode },
    })
    const { push } = sim.logged
    const heard: boolean[] = []
    sim.logged.push = (line) => {
      if (line.level === 'error') heard.push(sim.scheduler.defer(task, 'again').deduplicated)
      return push.call(sim.logged, line)
    }
    sim.scheduler.defer(task, 'bad')
    sim.advance(100)
    expect(heard).toEqual([false])
    expect(sim.payloads).toEqual(['bad', 'again'])
  })
})

it('jobs that are kept for their ttl hold on to no more bytes than may be queued', () => {
  const sim = makeSim({ scheduler: { maxQueuedBytes: 1000, keep: { completed: 0 } } })
  const task = sim.task('t', { ends: JSON.stringify('x'.repeat(398)) })
  const isNew = (n: number): boolean => {
    const job = sim.scheduler.defer(task, n, { dedupe: { key: `k${n}`, ttl: '1d' } })
    sim.advance(1)
    return !job.deduplicated
  }
  expect([0, 1, 2].map(isNew)).toEqual([true, true, true])
  expect([2, 1, 0].map(isNew)).toEqual([false, false, true])
})

it('the index of keys has one alarm per key that it keeps, and none when it keeps none', () => {
  const alarms = new Set<object>()
  const alarm = (): Disarmable => {
    const made = { disarm: () => void alarms.delete(made) }
    alarms.add(made)
    return made
  }
  const index = new DedupeIndex({ alarm } as unknown as Agenda, 3, 1e6)
  const task = new TaskRecord('t', readTaskPolicy('t', {}, {}), 1)
  for (let n = 0; n < 10; n++) {
    const job = new Job(task, n, 'completed', 5, 0, undefined)
    job.more().dedupe = { key: `k${n}`, mode: 'first', ttlMs: 1000 }
    index.claim(job)
    index.settled(job, 1)
  }
  expect([index.size, alarms.size]).toEqual([3, 3])
})

describe("dedupe, mode 'last'", () => {
  it('is a debounce: each defer brings its payload and starts the delay again', () => {
    const sim = makeSim()
    sim.task('t')
    const job = sim.scheduler.defer('t', 0, { ...last, delay: 100 })
    for (let n = 1; n <= 5; n++) {
      sim.advance(80)
      const again = sim.scheduler.defer('t', n, { ...last, delay: 100 })
      expect([again.id, again.deduplicated]).toEqual([job.id, true])
    }
    sim.advance(99)
    expect(sim.began).toEqual([])
    sim.advance(1)
    expect(sim.began.map(({ at, payload }) => [at, payload])).toEqual([[500, 5]])
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 1, completed: 1 })
  })

  it('keeps its time when the newcomer names no delay, and is due at once with a delay of 0', () => {
    const sim = makeSim()
    sim.task('t')
    const job = sim.scheduler.defer('t', 0, { ...last, delay: 100 })
    sim.advance(50)
    sim.scheduler.defer('t', 1, last)
    sim.advance(49)
    expect(job.state).toBe('scheduled')
    sim.advance(1)
    expect(sim.began.map(({ at, payload }) => [at, payload])).toEqual([[100, 1]])
    sim.scheduler.defer('t', 2, { ...last, delay: 100 })
    sim.scheduler.defer('t', 3, { ...last, delay: 0 })
    sim.advance(0)
    expect(sim.began.map(({ at, payload }) => [at, payload])).toEqual([[100, 1], [100, 3]]) // prettier-ignore
  })

  it('begins the delay of a job again that was ready already, but not started', () => {
    const sim = busySim()
    const job = sim.scheduler.defer('t', 1, last)
    expect(job.state).toBe('ready')
    sim.scheduler.defer('t', 2, { ...last, delay: 100 })
    expect(job.state).toBe('scheduled')
    sim.scheduler.cancel('blocker')
    sim.advance(99)
    expect(sim.payloads).toEqual([undefined])
    sim.advance(10)
    expect(sim.payloads).toEqual([undefined, 2])
  })

  it('runs the latest payload also while a completed job is kept by its ttl', () => {
    const sim = makeSim()
    const task = sim.task('t', {}, { dedupe: { key: () => 'k', mode: 'last', ttl: '1h' } })
    for (const payload of [1, 2]) {
      expect(sim.scheduler.defer(task, payload).deduplicated).toBe(false)
      sim.advance(1000)
    }
    expect(sim.scheduler.defer(task, 3, { dedupe: { key: 'k' } }).deduplicated, "in mode 'first'").toBe(true)
    expect(sim.payloads).toEqual([1, 2])
    sim.advance(3_600_000)
    expect(sim.scheduler.inspect()).toMatchObject({ dedupe: 0, agenda: 0 })
  })

  it('keeps the key of a job that came after a completed one, however many others are kept by theirs', () => {
    const sim = makeSim({ scheduler: { maxQueued: 2 } })
    const task = sim.task('t')
    const options = (name: string) => ({ dedupe: { key: name, mode: 'last', ttl: '1h' } }) as const
    sim.scheduler.defer(task, 1, options('a'))
    sim.advance(1)
    const second = sim.scheduler.defer(task, 2, { ...options('a'), delay: '1m' })
    for (const name of ['b', 'c']) {
      sim.scheduler.defer(task, name, options(name))
      sim.advance(1)
    }
    expect(sim.scheduler.defer(task, 3, options('a')).id).toBe(second.id)
  })

  it('I28: replaces the payload before the first start only; later there is one follower with the latest', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    const first = sim.scheduler.defer('t', 'a', last)
    sim.scheduler.defer('t', 'b', last)
    sim.advance(10)
    const follower = sim.scheduler.defer('t', 'c', last)
    expect([follower.deduplicated, follower.state]).toEqual([false, 'blocked'])
    for (const payload of ['d', 'e']) {
      const again = sim.scheduler.defer('t', payload, last)
      expect([again.id, again.deduplicated]).toEqual([follower.id, true])
    }
    expect(first.snapshot().payload).toBe('b')
    sim.advance(300)
    expect(sim.payloads).toEqual(['b', 'e'])
    expect(sim.began[1]?.at).toBe(100)
  })

  it('a job that retries has started: its payload stays, and the follower waits for its end', () => {
    const sim = makeSim()
    sim.task('t', ({ attempt, payload }) => (payload === 'a' && attempt < 3 ? failsWith('no') : {}), {
      backoff: { type: 'fixed', delay: 50 },
    })
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    sim.scheduler.defer('t', 'b', last)
    sim.advance(89)
    expect(sim.payloads).toEqual(['a', 'a'])
    sim.advance(10)
    expect(sim.payloads).toEqual(['a', 'a', 'a', 'b'])
  })

  it.each(['cancel', 'fail'])('a follower goes on when the job before it ends otherwise: %s', (how) => {
    const sim = makeSim()
    sim.task('t', ({ payload }) => (payload === 'a' ? { ...failsForGood('no'), takesMs: 100 } : {}))
    const first = sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    const follower = sim.scheduler.defer('t', 'b', last)
    if (how === 'cancel') first.cancel()
    sim.advance(200)
    expect(states([first, follower])).toEqual([how === 'cancel' ? 'cancelled' : 'failed', 'completed'])
  })

  it('a follower that is cancelled makes room for another', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    const follower = sim.scheduler.defer('t', 'b', last)
    follower.cancel()
    const next = sim.scheduler.defer('t', 'c', last)
    expect([next.deduplicated, next.id === follower.id]).toEqual([false, false])
    sim.advance(300)
    expect(sim.payloads).toEqual(['a', 'c'])
  })

  it('a follower with a delay starts no earlier than that', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    sim.scheduler.defer('t', 'b', { ...last, delay: 500 })
    sim.advance(1000)
    expect(sim.began.map(({ at }) => at)).toEqual([0, 510])
  })

  it('a follower expires like any job that waits', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    const follower = sim.scheduler.defer('t', 'b', { ...last, expiresIn: 50 })
    sim.advance(50)
    expect(follower.state).toBe('expired')
    sim.advance(200)
    expect(sim.payloads).toEqual(['a'])
  })

  it('a follower whose signal was aborted before is cancelled at once', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    const options = { ...last, expiresIn: 5000, signal: AbortSignal.abort() }
    expect(sim.scheduler.defer('t', 'b', options).state).toBe('cancelled')
    sim.advance(200)
    expect(sim.scheduler.defer('t', 'c', last).deduplicated).toBe(false)
    sim.advance(200)
    expect(sim.payloads).toEqual(['a', 'c'])
  })

  it('counts the time to expire anew with the delay', () => {
    const sim = makeSim()
    sim.task('t')
    const options = { ...last, delay: 100, expiresIn: 150 } as const
    const job = sim.scheduler.defer('t', 0, options)
    for (let n = 1; n <= 5; n++) {
      sim.advance(90)
      sim.scheduler.defer('t', n, options)
    }
    sim.advance(1000)
    expect(job.state).toBe('completed')
    expect(sim.payloads).toEqual([5])
  })

  it('counts replaced payloads against maxQueuedBytes, both ways, and refuses one that is too much', () => {
    const sim = makeSim({ scheduler: { maxQueuedBytes: 1000 } })
    sim.task('t')
    const options = { ...last, delay: 100 } as const
    const sizes = [10, 900, 20]
    for (const size of sizes) {
      sim.scheduler.defer('t', 'x'.repeat(size), options)
      expect(sim.scheduler.stats().queuedBytes).toBe(size + 2)
    }
    sim.advance(50)
    expect(() => sim.scheduler.defer('t', 'x'.repeat(1000), options)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }),
    )
    expect(sim.scheduler.stats().queuedBytes).toBe(22)
    sim.advance(50)
    expect(sim.payloads).toEqual(['x'.repeat(20)])
    expect(sim.scheduler.stats().queuedBytes).toBe(0)
  })

  it('with an ordering key joins its line anew when its delay begins again', () => {
    const sim = busySim()
    const options = { ...last, orderingKey: 'line' } as const
    const job = sim.scheduler.defer('t', 'first', options)
    const next = sim.scheduler.defer('t', 'second', { orderingKey: 'line' })
    expect(states([job, next])).toEqual(['ready', 'blocked'])
    sim.scheduler.defer('t', 'later', { ...options, delay: 100 })
    expect(states([job, next])).toEqual(['scheduled', 'ready'])
    sim.scheduler.cancel('blocker')
    sim.advance(200)
    expect(sim.payloads.slice(1)).toEqual(['second', 'later'])
  })

  it('and an ordering key: a follower stands in line like any other job', () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 100 })
    const options = { ...last, orderingKey: 'line' } as const
    sim.scheduler.defer('t', 'a', options)
    sim.advance(10)
    const follower = sim.scheduler.defer('t', 'c', options)
    const between = sim.scheduler.defer('t', 'b', { orderingKey: 'line' })
    sim.advance(95)
    expect(states([follower, between])).toEqual(['blocked', 'running'])
    sim.advance(300)
    expect(sim.payloads).toEqual(['a', 'b', 'c'])
  })

  it('meets a job that its thread has finished, but not reported, as one that is over', () => {
    for (const ends of [null, failsForGood('no').ends]) {
      const sim = makeSim()
      const found: { deduplicated: boolean; state: string }[] = []
      let isArmed = false
      const task = sim.task('t', ({ payload }: Run) => {
        if (payload === 'old' && isArmed)
          sim.world.plan('test', 0, () => found.push(sim.scheduler.defer('t', 'new', last)))
        return payload === 'old' ? { ends: ends ?? null } : {}
      })
      for (let n = 0; n < 60; n++) {
        sim.scheduler.defer(task)
        sim.advance(0)
      }
      isArmed = true
      for (let n = 0; n < 5; n++) sim.scheduler.defer(task, n)
      sim.scheduler.defer(task, 'old', last)
      sim.advance(1000)
      expect(found.map(({ deduplicated, state }) => [deduplicated, state])).toEqual([[false, 'completed']])
      expect(sim.payloads.at(-1)).toBe('new')
    }
  })

  it('replaces the payload of a job that is to run again while its old execution is still ending', () => {
    const sim = makeSim()
    const stubborn = { takesMs: 400, ignoresAbort: true }
    sim.task('t', ({ payload }) => (payload === 'a' ? stubborn : {}))
    const job = sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    job.cancel()
    expect(sim.scheduler.retry(job.id)).toBe(true)
    expect(sim.scheduler.defer('t', 'b', { ...last, delay: 1000 }).id).toBe(job.id)
    sim.advance(999)
    expect(sim.payloads).toEqual(['a'])
    sim.advance(1)
    expect(sim.payloads).toEqual(['a', 'b'])
    expect(job.state).toBe('completed')
  })

  it.each([
    ['after', 1000, ['a', 'x', 'b']],
    ['before', 100, ['a', 'x', 'b']],
  ])('leaves its line to others when its delay ends %s its old execution', (_when, delay, order) => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const stubborn = { takesMs: 400, ignoresAbort: true }
    sim.task('t', ({ payload }) => (payload === 'a' ? stubborn : { takesMs: 10 }))
    const options = { ...last, orderingKey: 'line' } as const
    const job = sim.scheduler.defer('t', 'a', options)
    sim.advance(10)
    job.cancel()
    expect(sim.scheduler.retry(job.id)).toBe(true)
    sim.scheduler.defer('t', 'b', { ...options, delay })
    sim.scheduler.defer('t', 'x', { orderingKey: 'line' })
    sim.advance(2000)
    expect(sim.payloads).toEqual(order)
    expect(sim.began[1]?.at).toBe(400)
  })

  it('waits for its old execution too when releaseKey runs it again with another payload', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const stubborn = { takesMs: 400, ignoresAbort: true }
    sim.task('t', ({ payload }) => (payload === 'a' ? stubborn : {}), {
      attempts: 1,
      timeout: 10,
      onExhausted: 'halt',
    })
    const options = { ...last, orderingKey: 'line' } as const
    const job = sim.scheduler.defer('t', 'a', options)
    sim.advance(20)
    expect([job.state, sim.scheduler.releaseKey('line', { retry: true })]).toEqual(['failed', true])
    expect(sim.scheduler.defer('t', 'b', options).id).toBe(job.id)
    sim.advance(379)
    expect(sim.payloads).toEqual(['a'])
    sim.advance(10)
    expect(sim.payloads).toEqual(['a', 'b'])
  })

  it('of closures runs the latest, in the context of its own defer', async () => {
    const sim = makeSim({ main: 'real' })
    const context = new AsyncLocalStorage<string>()
    const ran: unknown[] = []
    for (const name of ['first', 'latest'])
      context.run(name, () =>
        sim.scheduler.defer(() => void ran.push([name, context.getStore()]), { ...last, delay: 100 }),
      )
    await sim.flow(200)
    expect(ran).toEqual([['latest', 'latest']])
  })

  it.each<[string, DeferOptions]>([
    ['a delay of 0', { delay: 0 }],
    ['an instant that is over', { runAt: new Date(0) }],
    ['an instant that is over, in ms', { runAt: 0 }],
  ])('is due at once when its latest defer gives it %s', (_what, options) => {
    const sim = makeSim()
    sim.task('t')
    sim.scheduler.defer('t', 'old', { ...last, delay: '1h' })
    sim.scheduler.defer('t', 'latest', { ...last, ...options })
    sim.advance(10)
    expect(sim.payloads).toEqual(['latest'])
  })

  describe('stands in the line of its latest payload, whose key another job may hold', () => {
    const a = { ...last, orderingKey: 'a' } as const
    const b = { ...last, orderingKey: 'b' } as const

    it('as it waits for its time', () => {
      const sim = makeSim({ scheduler: { threads: 2 } })
      sim.task('t', { takesMs: 100 })
      sim.scheduler.defer('t', 'holds b', { orderingKey: 'b' })
      const job = sim.scheduler.defer('t', 1, { ...a, delay: 10 })
      sim.scheduler.defer('t', 2, { ...b, delay: 10 })
      sim.advance(50)
      expect([job.state, job.snapshot().orderingKey]).toEqual(['blocked', 'b'])
      sim.advance(100)
      expect(sim.began.map(({ at, payload }) => [at, payload])).toEqual([[0, 'holds b'], [100, 2]]) // prettier-ignore
    })

    it('as it is ready, and gives its old line on', () => {
      const sim = busySim()
      const job = sim.scheduler.defer('t', 1, a)
      const next = sim.scheduler.defer('t', 'next of a', { orderingKey: 'a' })
      const other = sim.scheduler.defer('t', 'first of b', { orderingKey: 'b' })
      expect(states([job, next, other])).toEqual(['ready', 'blocked', 'ready'])
      sim.scheduler.defer('t', 2, b)
      expect(states([job, next, other])).toEqual(['blocked', 'ready', 'ready'])
      sim.scheduler.cancel('blocker')
      sim.advance(10)
      expect(sim.payloads.slice(1)).toEqual(['next of a', 'first of b', 2])
    })

    it('as it is blocked, and is free there', () => {
      const sim = busySim()
      sim.scheduler.defer('t', 'first of a', { orderingKey: 'a' })
      const job = sim.scheduler.defer('t', 1, a)
      const next = sim.scheduler.defer('t', 'next of a', { orderingKey: 'a' })
      expect(states([job, next])).toEqual(['blocked', 'blocked'])
      sim.scheduler.defer('t', 2, b)
      expect(states([job, next])).toEqual(['ready', 'blocked'])
      sim.scheduler.cancel('blocker')
      sim.advance(10)
      expect(sim.payloads.slice(1)).toEqual(['first of a', 2, 'next of a'])
    })

    it('as it follows another', () => {
      const sim = makeSim({ scheduler: { threads: 3 } })
      sim.task('t', { takesMs: 100 })
      sim.scheduler.defer('t', 1, a)
      sim.advance(50)
      sim.scheduler.defer('t', 'holds b', { orderingKey: 'b' })
      const follower = sim.scheduler.defer('t', 2, a)
      sim.scheduler.defer('t', 3, b)
      sim.advance(75)
      expect([follower.state, follower.snapshot().orderingKey]).toEqual(['blocked', 'b'])
      sim.advance(100)
      expect(sim.began.map(({ at, payload }) => [at, payload]).at(-1)).toEqual([150, 3])
    })

    it('keeps the one it stands in when its latest defer names none', () => {
      const sim = busySim()
      const job = sim.scheduler.defer('t', 1, a)
      sim.scheduler.defer('t', 2, last)
      expect(job.snapshot()).toMatchObject({ orderingKey: 'a', payload: 2, state: 'ready' })
    })
  })

  it('a follower that close() loses can be restored and runs', async () => {
    const sim = makeSim()
    sim.task('t', neverEnds)
    sim.scheduler.defer('t', 'a', last)
    sim.advance(10)
    sim.scheduler.defer('t', 'b', last)
    const { lost } = await sim.close({ timeout: 0 }, 1000)
    expect(lost.map(({ payload, state }) => [payload, state])).toEqual([
      ['a', 'running'],
      ['b', 'blocked'],
    ])
    const after = makeSim({ seed: 2, wall: sim.world.clock.wall() })
    after.task('t', {}, { dedupe: { key: () => 'k', mode: 'last' } })
    after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as typeof lost)
    after.advance(10)
    expect(after.payloads).toEqual(['a', 'b'])
    expect(after.scheduler.stats().completed).toBe(2)
  })
})

it('the result of a duplicate is that of the job that was there', async () => {
  const sim = makeSim()
  sim.task('t', { takesMs: 10, ...failsForGood('no') })
  sim.scheduler.defer('t', 1, key)
  const again = sim.scheduler.defer('t', 2, key)
  const ended = again.result().catch(codeOf)
  sim.advance(100)
  expect(await ended).toMatchObject({ code: 'ERR_SIDEWORK_FAILED', job: again.id })
})
