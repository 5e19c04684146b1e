import { describe, expect, it } from 'vitest'
import type { Job } from '../../src/index.js'
import { failsForGood, failsWith, type Behaviour, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const states = (jobs: readonly { state: string }[]): string[] => jobs.map(({ state }) => state)
const coded = (code: string): unknown => expect.objectContaining({ code: `ERR_SIDEWORK_${code}` })

/** One job in each unsettled state that a test can bring about, of task `t` unless another is named. */
function oneOfEach(sim: Sim) {
  const backoff = { type: 'fixed', delay: 60_000 } as const
  const behaves = ({ payload }: Run) => (payload === 'bad' ? failsWith('no') : { takesMs: 1000 })
  sim.task('t', behaves, { backoff })
  const jobs = {
    retrying: sim.scheduler.defer('t', 'bad'),
    held: sim.scheduler.hold(undefined, 't'),
    scheduled: sim.scheduler.defer('t', undefined, { delay: 60_000 }),
    running: sim.scheduler.defer('t', undefined, { orderingKey: 'k' }),
    blocked: sim.scheduler.defer('t', undefined, { orderingKey: 'k' }),
    ready: sim.scheduler.defer('t'),
  }
  sim.advance(5)
  for (const [state, job] of Object.entries(jobs)) expect(job.state).toBe(state)
  return jobs
}

describe('deferMany', () => {
  it('accepts all, in order, and answers a job for each', () => {
    const sim = makeSim()
    const task = sim.task('t')
    const jobs = sim.scheduler.deferMany([
      { task, payload: 1 },
      { task: 't', payload: 2, options: { priority: 'high', id: 'mine' } },
      { task: 't' },
    ])
    expect(jobs.map(({ id }) => id === 'mine')).toEqual([false, true, false])
    expect(sim.scheduler.deferMany([])).toEqual([])
    sim.advance(10)
    expect(sim.payloads).toEqual([2, 1, undefined])
  })

  const good = { task: 't', payload: 'good' }
  it.each([
    ['a payload that is not JSON', [good, { task: 't', payload: 1n }, good], 'PAYLOAD'],
    ['an unknown task', [good, { task: 'unknown' }, good], 'UNKNOWN_TASK'],
    ['a bad option', [good, { task: 't', options: { priority: 10 } }, good], 'OPTION'],
    ['an unknown field', [good, { ...good, delay: 5 }, good], 'OPTION'],
    ['an item that is none', [good, null, good], 'OPTION'],
    ['an id that is taken', [good, { ...good, options: { id: 'taken' } }], 'ID_TAKEN'],
    ['an id twice', [1, 2].map(() => ({ ...good, options: { id: 'twice' } })), 'ID_TAKEN'],
    ['more than there is room for', Array.from({ length: 5 }, () => good), 'QUEUE_FULL'],
    ['more bytes than there is room for', [good, { task: 't', payload: 'x'.repeat(995) }], 'QUEUE_FULL'],
    ['what is no array', { 0: good, length: 1 }, 'OPTION'],
  ])('accepts none when it is given %s', (_what, items, code) => {
    const sim = makeSim({ scheduler: { maxQueued: 5, maxQueuedBytes: 1000 } })
    sim.task('t')
    sim.scheduler.defer('t', undefined, { id: 'taken', delay: 1000 })
    const before = sim.scheduler.stats()
    expect(() => sim.scheduler.deferMany(items as never)).toThrow(coded(code))
    expect(sim.scheduler.stats()).toEqual(before)
    expect(sim.scheduler.jobs()).toHaveLength(1)
    sim.advance(10)
    expect(sim.began).toEqual([])
    expect(sim.scheduler.deferMany([good, good, good, good])).toHaveLength(4)
  })

  it('takes duplicates within the batch for one, by the mode of each', () => {
    const sim = makeSim()
    sim.task('t')
    const many = (dedupe: object): ReturnType<typeof sim.scheduler.deferMany> =>
      sim.scheduler.deferMany([1, 2, 3].map((payload) => ({ task: 't', payload, options: { dedupe } as object }))) // prettier-ignore
    const first = many({ key: 'first' })
    const last = many({ key: 'last', mode: 'last' })
    for (const jobs of [first, last]) {
      expect(jobs.map(({ deduplicated }) => deduplicated)).toEqual([false, true, true])
      expect(new Set(jobs.map(({ id }) => id)).size).toBe(1)
    }
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 2, queuedBytes: 2 })
    sim.advance(10)
    expect(sim.payloads).toEqual([1, 3])
  })

  it('needs no room for duplicates, of a job that is there or within the batch', () => {
    const sim = makeSim({ scheduler: { maxQueued: 2 } })
    sim.task('t')
    sim.scheduler.pause()
    const many = (...keys: string[]): ReturnType<typeof sim.scheduler.deferMany> =>
      sim.scheduler.deferMany(keys.map((dedupe) => ({ task: 't', options: { dedupe } })))
    sim.scheduler.defer('t', undefined, { dedupe: 'a' })
    expect(() => many('b', 'c')).toThrow(/Queue is full \(1 of 2 jobs, 2 more wanted\)/)
    expect(many('a', 'b', 'b', 'a').map(({ deduplicated }) => deduplicated)).toEqual([
      true,
      false,
      true,
      true,
    ])
    expect(many('a', 'b').map(({ deduplicated }) => deduplicated)).toEqual([true, true])
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 2, ready: 2 })
    expect(() => sim.scheduler.defer('t')).toThrow('Queue is full (2 of 2 jobs)')
  })

  it.each([
    [4, ['ERR_SIDEWORK_QUEUE_FULL'], ['completed']],
    [5, [], ['completed', 'completed', 'completed']],
  ])(
    'is accepted whole or refused after what a thread has to say: with room for %i',
    (maxQueued, refusals, ends) => {
      const sim = makeSim({ scheduler: { maxQueued } })
      const child: Behaviour['says'] = [{ afterMs: 4, message: (token) => ({ kind: 'defer', token, call: 1, task: 'short' }) }] // prettier-ignore
      const behaves = ({ payload }: Run): Behaviour =>
        payload === 'parent'
          ? { ...failsWith('no'), takesMs: 4, says: child }
          : { takesMs: payload === 'ahead' ? 5 : 0 }
      sim.task('short', behaves)
      for (let n = 0; n < 40; n++) {
        sim.scheduler.defer('short')
        sim.advance(0)
      }
      const refused: string[] = []
      sim.scheduler.on('refused', ({ code }) => void refused.push(code))
      const last = { dedupe: { key: 'k', mode: 'last' } } as const
      sim.scheduler.defer('short', 'parent')
      const ahead = sim.scheduler.defer('short', 'ahead', last)
      let jobs: Job[] = []
      // The thread has said of its first job that it deferred a child and failed, and begun the second: nothing is read yet.
      sim.world.plan('user', 1, () => {
        sim.world.plan('user', 3, () => {
          expect(ahead.state).toBe('ready')
          const wanted = [
            { task: 'short', payload: 'follower', options: last },
            { task: 'short', payload: 'other' },
          ]
          if (refusals.length === 0) jobs = sim.scheduler.deferMany(wanted)
          else
            expect(() => sim.scheduler.deferMany(wanted)).toThrow(
              'Queue is full (3 of 4 jobs, 2 more wanted)',
            )
        })
      })
      sim.advance(20)
      expect(states([ahead, ...jobs])).toEqual(ends)
      expect(refused).toEqual(refusals)
      expect(sim.scheduler.stats().accepted).toBe(42 + ends.length)
      for (let n = 0; n < 3; n++) sim.scheduler.defer('short')
    },
  )

  it('defer checks its id after what a thread has to say: a child may have got it', () => {
    const sim = makeSim()
    const child: Behaviour['says'] = [{ afterMs: 4, message: (token) => ({ kind: 'defer', token, call: 1, task: 'short', options: { id: 'own' } }) }] // prettier-ignore
    const behaves = ({ payload }: Run): Behaviour =>
      payload === 'parent' ? { takesMs: 4, says: child } : { takesMs: payload === 'ahead' ? 5 : 0 }
    sim.task('short', behaves)
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer('short')
      sim.advance(0)
    }
    const last = { dedupe: { key: 'k', mode: 'last' } } as const
    sim.scheduler.defer('short', 'parent')
    const ahead = sim.scheduler.defer('short', 'ahead', last)
    sim.world.plan('user', 1, () => {
      sim.world.plan('user', 3, () => {
        expect([ahead.state, sim.scheduler.job('own')]).toEqual(['ready', undefined])
        expect(() => sim.scheduler.defer('short', 'newcomer', { ...last, id: 'own' })).toThrow(
          "id 'own' exists",
        )
      })
    })
    sim.advance(20)
    expect(sim.scheduler.job('own')?.state).toBe('completed')
    expect(sim.payloads).not.toContain('newcomer')
  })

  it('of a closed scheduler is refused', async () => {
    const sim = makeSim()
    sim.task('t')
    await sim.close({}, 100)
    expect(() => sim.scheduler.deferMany([{ task: 't' }])).toThrow(coded('CLOSED'))
  })
})

describe('cancelAll', () => {
  it('cancels every unsettled job, whatever its state, and says how many', () => {
    const sim = makeSim()
    const jobs = Object.values(oneOfEach(sim))
    expect(sim.scheduler.cancelAll()).toBe(6)
    expect(states(jobs)).toEqual(jobs.map(() => 'cancelled'))
    expect(sim.scheduler.cancelAll()).toBe(0)
    sim.advance(100_000)
    expect(sim.order).toHaveLength(2)
  })

  it('of a task leaves the others', () => {
    const sim = makeSim()
    oneOfEach(sim)
    const other = sim.scheduler.defer(sim.task('other'))
    expect(sim.scheduler.cancelAll({ task: 't' })).toBe(6)
    sim.advance(5000)
    expect(other.state).toBe('completed')
    expect(() => sim.scheduler.cancelAll({ task: 'unknown' })).toThrow(coded('UNKNOWN_TASK'))
    expect(() => sim.scheduler.cancelAll({ tasks: 't' } as never)).toThrow(coded('OPTION'))
  })

  it('and retryAll refuse a task that is undefined, which a slip in its name makes, instead of taking it for all', () => {
    const sim = makeSim()
    const jobs = Object.values(oneOfEach(sim))
    const tasks: Record<string, string> = { send: 't' }
    for (const all of ['cancelAll', 'retryAll'] as const)
      expect(() => sim.scheduler[all]({ task: tasks['sent'] } as never)).toThrow(
        `task is undefined. Give a task or its name, or leave task out for all: ${all}().`,
      )
    expect(jobs.map(({ state }) => state)).not.toContain('cancelled')
    expect(sim.scheduler.cancelAll({})).toBe(jobs.length)
    expect(sim.scheduler.retryAll(undefined)).toBe(jobs.length)
  })

  it('cancels jobs that were sent ahead to a thread; none of them runs', () => {
    const sim = makeSim()
    const task = sim.task('short', ({ payload }: Run) => ({ takesMs: payload === 'slow' ? 50 : 0 }))
    for (let n = 0; n < 60; n++) {
      sim.scheduler.defer(task)
      sim.advance(0)
    }
    sim.scheduler.defer(task, 'slow')
    const jobs = Array.from({ length: 20 }, (_, n) => sim.scheduler.defer(task, n))
    sim.advance(0)
    const { length } = sim.began
    expect(sim.scheduler.cancelAll()).toBe(21)
    sim.advance(1000)
    expect(states(jobs)).toEqual(jobs.map(() => 'cancelled'))
    expect(sim.began).toHaveLength(length)
  })
})

describe('cancelAll and retryAll', () => {
  it('count the steps that a flow takes along', () => {
    const sim = makeSim()
    let works = false
    sim.task('t', () => (works ? {} : failsWith('no')), { attempts: 1 })
    const steps = ['a', 'b', 'c'].map((ref) => ({ task: 't', ref }))
    sim.scheduler.chain(steps)
    expect(sim.scheduler.cancelAll()).toBe(3)
    expect(sim.scheduler.cancelAll()).toBe(0)
    works = true
    expect(sim.scheduler.retryAll({ task: 't' })).toBe(3)
    expect(sim.scheduler.retryAll()).toBe(0)
    sim.advance(10)
    expect(sim.scheduler.stats()).toMatchObject({ cancelled: 3, completed: 3, accepted: 6 })
  })

  it('count only those of the task they are told', () => {
    const sim = makeSim()
    sim.task('first')
    sim.task('second')
    sim.scheduler.chain([{ task: 'first' }, { task: 'second' }])
    expect(sim.scheduler.cancelAll({ task: 'first' })).toBe(1)
    expect(sim.scheduler.stats()).toMatchObject({ cancelled: 2 })
    expect(sim.scheduler.retryAll({ task: 'first' })).toBe(1)
    expect(sim.scheduler.stats()).toMatchObject({ ready: 1, blocked: 1 })
  })
})

describe('retryAll', () => {
  it('retries what failed, was cancelled or expired, in the order of acceptance; not what completed', () => {
    const sim = makeSim()
    let isFixed = false
    const task = sim.task('t', () => (isFixed ? {} : failsForGood('no')))
    const jobs = [1, 2, 3].map((n) => sim.scheduler.defer(task, n))
    sim.advance(10)
    const good = sim.scheduler.defer(sim.task('good'))
    const cancelled = sim.scheduler.defer(task, 4, { delay: 1000 })
    cancelled.cancel()
    sim.advance(10)
    isFixed = true
    expect(sim.scheduler.retryAll({ task: 'good' })).toBe(0)
    expect(sim.scheduler.retryAll()).toBe(4)
    sim.advance(10)
    expect(states([...jobs, cancelled, good])).toEqual(Array.from({ length: 5 }, () => 'completed'))
    expect(sim.payloads.slice(4)).toEqual([1, 2, 3, 4])
    expect(sim.scheduler.retryAll()).toBe(0)
  })

  it('needs room for one job of each dedupe key, as it retries one of each', () => {
    const sim = makeSim({ scheduler: { maxQueued: 2 } })
    const task = sim.task('t', failsForGood('no'), { dedupe: (({ key }: { key: string }) => key) as never })
    const jobs = ['a', 'a', 'b'].map((key, n) => {
      const job = sim.scheduler.defer(task, { key, n })
      sim.advance(10)
      return job
    })
    sim.scheduler.pause()
    expect(sim.scheduler.retryAll()).toBe(2)
    expect(states(jobs)).toEqual(['ready', 'failed', 'ready'])
    sim.scheduler.cancelAll()
    const other = sim.scheduler.defer(sim.task('other'))
    expect(() => sim.scheduler.retryAll()).toThrow('Queue is full (1 of 2 jobs, 2 more wanted)')
    expect(states([...jobs, other])).toEqual(['cancelled', 'failed', 'cancelled', 'ready'])
  })

  it('retries all or none: without room for all it refuses, and nothing has changed', () => {
    const sim = makeSim({ scheduler: { maxQueued: 3 } })
    const task = sim.task('t', failsForGood('no'))
    const jobs = [1, 2, 3].map((n) => sim.scheduler.defer(task, n))
    sim.advance(10)
    const later = sim.scheduler.defer(task, 4, { delay: 1000 })
    const before = sim.scheduler.stats()
    expect(() => sim.scheduler.retryAll()).toThrow('Queue is full')
    expect(sim.scheduler.stats()).toEqual(before)
    expect(states(jobs)).toEqual(['failed', 'failed', 'failed'])
    sim.scheduler.runNow(later.id)
    sim.advance(1)
    expect(() => sim.scheduler.retryAll()).toThrow('Queue is full')
    expect(sim.scheduler.retry(later.id)).toBe(true)
  })
})

describe('runNow', () => {
  it('ends the wait of a scheduled or retrying job, and of no other', () => {
    const sim = makeSim()
    const jobs = oneOfEach(sim)
    const answers = Object.entries(jobs).map(([state, { id }]) => [state, sim.scheduler.runNow(id)])
    expect(Object.fromEntries(answers)).toEqual({
      retrying: true, held: false, scheduled: true, running: false, blocked: false, ready: false,
    }) // prettier-ignore
    expect(sim.scheduler.runNow('unknown')).toBe(false)
    sim.advance(1)
    expect([jobs.scheduled.state, jobs.retrying.state]).not.toContain('scheduled')
    expect(jobs.scheduled.snapshot().runAt).toBeLessThanOrEqual(sim.world.clock.wall())
    sim.advance(10_000)
    expect(jobs.scheduled.state).toBe('completed')
    expect(jobs.retrying.snapshot().attempt).toBe(2)
  })

  it('of a keyed job joins its line there and then', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 10 })
    const delayed = sim.scheduler.defer(task, 'delayed', { orderingKey: 'k', delay: 10_000 })
    sim.scheduler.defer(task, 'first', { orderingKey: 'k' })
    sim.scheduler.runNow(delayed.id)
    expect(delayed.state).toBe('blocked')
    sim.scheduler.defer(task, 'last', { orderingKey: 'k' })
    sim.advance(100)
    expect(sim.payloads).toEqual(['first', 'delayed', 'last'])
  })

  it('begins the expiry of a job that has not started, and leaves that of one that has', () => {
    const sim = makeSim()
    const backoff = { type: 'fixed', delay: '1h' } as const
    const task = sim.task('t', failsWith('no'), { backoff, expiresIn: '5m' })
    const late = sim.scheduler.defer(task, undefined, { delay: '1h' })
    const failed = sim.scheduler.defer(task)
    sim.advance(10)
    sim.scheduler.pause()
    for (const { id } of [late, failed]) expect(sim.scheduler.runNow(id)).toBe(true)
    const { runAt, expiresAt = NaN } = late.snapshot()
    expect([runAt, expiresAt - runAt]).toEqual([sim.world.clock.wall(), 300_000])
    sim.advance(299_989)
    expect(states([late, failed])).toEqual(['ready', 'ready'])
    sim.advance(1)
    expect(states([late, failed])).toEqual(['ready', 'expired'])
    sim.advance(10)
    expect(states([late, failed])).toEqual(['expired', 'expired'])
  })

  it('does not start a retry while the old execution is still ending', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const stubborn = { takesMs: 5000, ignoresAbort: true }
    const options = { timeout: 100, killAfter: 1000, backoff: { type: 'fixed', delay: 60_000 } } as const
    const job = sim.scheduler.defer(sim.task('t', ({ attempt }) => (attempt === 1 ? stubborn : {}), options))
    sim.advance(200)
    expect(job.state).toBe('retrying')
    expect(sim.scheduler.runNow(job.id)).toBe(true)
    expect(sim.scheduler.runNow(job.id)).toBe(false)
    sim.advance(899)
    expect(sim.began).toHaveLength(1)
    sim.advance(1)
    expect(job.state).toBe('completed')
  })
})

describe('setPriority', () => {
  it('lets a ready job pass, or be passed by, others', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 1 })
    sim.scheduler.pause()
    const jobs = ['a', 'b', 'c'].map((name) => sim.scheduler.defer(task, name))
    expect(sim.scheduler.setPriority(jobs[2]?.id ?? '', 'high')).toBe(true)
    expect(sim.scheduler.setPriority(jobs[0]?.id ?? '', 0)).toBe(true)
    sim.scheduler.resume()
    sim.advance(100)
    expect(sim.payloads).toEqual(['c', 'b', 'a'])
    expect(sim.scheduler.setPriority(jobs[0]?.id ?? '', 0)).toBe(false)
    expect(sim.scheduler.setPriority('unknown', 0)).toBe(false)
  })

  it('works in every state, and counts when the job is next ready', () => {
    const sim = makeSim()
    const jobs = oneOfEach(sim)
    for (const { id } of Object.values(jobs)) expect(sim.scheduler.setPriority(id, 9)).toBe(true)
    for (const job of Object.values(jobs)) expect(job.snapshot().priority).toBe(9)
    const other = sim.scheduler.defer('t', 'other', { priority: 8 })
    sim.scheduler.runNow(jobs.scheduled.id)
    sim.advance(2500)
    expect(states([jobs.running, jobs.ready, other])).toEqual(['completed', 'completed', 'ready'])
    sim.scheduler.releaseHeld([jobs.held.id])
    sim.advance(10_000)
    expect(other.state).toBe('completed')
  })

  it('takes a job back that was sent ahead, and lets it be overtaken', () => {
    const sim = makeSim()
    const task = sim.task('short', ({ payload }: Run) => ({ takesMs: payload === 'slow' ? 3 : 0 }))
    for (let n = 0; n < 60; n++) {
      sim.scheduler.defer(task)
      sim.advance(0)
    }
    const before = sim.began.length
    const jobs = ['slow', 'a', 'b', 'c'].map((name) => sim.scheduler.defer(task, name))
    sim.advance(0)
    expect(sim.scheduler.setPriority(jobs[1]?.id ?? '', 0)).toBe(true)
    sim.advance(100)
    expect(sim.payloads.slice(before)).toEqual(['slow', 'b', 'c', 'a'])
  })

  it('of a limited job moves it among those that wait for the limit', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 10 }, { concurrency: 1 })
    const jobs = ['a', 'b', 'c'].map((name) => sim.scheduler.defer(task, name))
    sim.advance(1)
    sim.scheduler.setPriority(jobs[2]?.id ?? '', 9)
    sim.advance(100)
    expect(sim.payloads).toEqual(['a', 'c', 'b'])
  })

  it('of a job that is to run again while its old execution is still ending starts nothing early', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const stubborn = { takesMs: 400, ignoresAbort: true }
    const job = sim.scheduler.defer(sim.task('t', () => (sim.began.length === 0 ? stubborn : {})))
    sim.advance(10)
    job.cancel()
    sim.scheduler.retry(job.id)
    expect(sim.scheduler.setPriority(job.id, 9)).toBe(true)
    sim.advance(389)
    expect(sim.began).toHaveLength(1)
    sim.advance(1)
    expect([job.state, sim.began.length]).toEqual(['completed', 2])
    expect(sim.scheduler.stats()).toMatchObject({ ready: 0, completed: 1 })
  })
})

describe('jobs()', () => {
  it('finds by state, task and key, alone and together, in every state', () => {
    const sim = makeSim()
    const jobs = oneOfEach(sim)
    const ids = (filter: object): string[] => sim.scheduler.jobs(filter).map(({ id }) => id)
    for (const [state, { id }] of Object.entries(jobs)) expect(ids({ state })).toEqual([id])
    expect(ids({ key: 'k' })).toEqual([jobs.blocked.id, jobs.running.id])
    expect(ids({ key: 'k', state: 'blocked', task: 't' })).toEqual([jobs.blocked.id])
    expect(ids({ key: 'other' })).toEqual([])
    expect(ids({ task: sim.task('other') })).toEqual([])
    sim.scheduler.cancel(jobs.blocked.id)
    expect(ids({ key: 'k', state: 'cancelled' })).toEqual([jobs.blocked.id])
  })

  it('gives frozen copies: nothing in them changes the job', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t'), { list: [1] }, { delay: 10 })
    const [snapshot] = sim.scheduler.jobs()
    expect(() => (snapshot?.payload as { list: number[] }).list.push(2)).toThrow(TypeError)
    expect(Object.isFrozen(snapshot)).toBe(true)
    sim.advance(10)
    expect([snapshot?.state, job.state]).toEqual(['scheduled', 'completed'])
  })
})

it('C1: one poisoned key beside 999 good ones slows none of them', () => {
  const run = (isPoisoned: boolean): number[] => {
    const sim = makeSim({ scheduler: { threads: { cpu: 4 } } })
    const behaves = ({ payload }: Run) =>
      payload === 'k0' && isPoisoned ? { ...failsWith('no'), takesMs: 1 } : { takesMs: 1 }
    const task = sim.task('t', behaves, {
      orderingKey: (payload: string) => payload,
      attempts: 5,
      backoff: { type: 'fixed', delay: 50 },
    })
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 1000; key++) sim.scheduler.defer(task, `k${key}`)
    }
    sim.advance(5000)
    const good = sim.began.filter(({ payload }) => payload !== 'k0')
    expect(good).toHaveLength(2997)
    return good.map(({ at }) => at)
  }
  const [clean, poisoned] = [run(false), run(true)]
  // What the poisoned one costs is its attempts, one place for 1 ms each.
  const later = poisoned.map((at, index) => at - (clean[index] ?? 0))
  expect(Math.max(...later)).toBeLessThanOrEqual(4)
})

it.each([0, 2, 5, 8])(
  'C7: a job of priority %i that has waited (9 − p) × aging is passed by nothing that became ready later',
  (priority) => {
    const sim = makeSim({ scheduler: { aging: 100, threads: { cpu: 2 } } })
    const task = sim.task('t', { takesMs: 10 })
    for (let n = 0; n < 4; n++) sim.scheduler.defer(task, { since: 0 }, { priority: 9 })
    sim.advance(1)
    sim.scheduler.defer(task, 'patient', { priority })
    const ripeAt = sim.now + (9 - priority) * 100
    // Twice as much as the threads can do, all of the highest priority.
    while (sim.now < ripeAt + 3000) {
      for (let n = 0; n < 4; n++) sim.scheduler.defer(task, { since: sim.now }, { priority: 9 })
      sim.advance(10)
    }
    const at = sim.payloads.indexOf('patient')
    expect(at).toBeGreaterThan(0)
    const since = sim.payloads.slice(0, at).map((payload) => (payload as { since: number }).since)
    expect(since.filter((readyAt) => readyAt > ripeAt)).toEqual([])
    sim.scheduler.cancelAll()
  },
)

it('a reason is kept in bounds, however long it is', () => {
  const sim = makeSim()
  const job = sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000 })
  const aborting = new AbortController()
  const other = sim.scheduler.defer('t', undefined, { delay: 1000, signal: aborting.signal })
  job.cancel('x'.repeat(1_000_000))
  aborting.abort('y'.repeat(1_000_000))
  const messages = [job, other].map((one) => one.snapshot().error?.message ?? '')
  expect(messages.map((message) => [Buffer.byteLength(message), message.slice(0, 3)])).toEqual([
    [8192, 'xxx'],
    [8192, 'yyy'],
  ])
})

it.each(['job', 'cancel', 'retry', 'runNow', 'setPriority'] as const)(
  'the job itself in place of its id is refused: %s',
  (method) => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t'), null, { delay: 10 })
    const call = sim.scheduler[method].bind(sim.scheduler) as (id: unknown, priority: number) => unknown
    expect(() => call(job, 5)).toThrow(/is no id\. Give the id of a job\./)
    expect([call(undefined, 5), call('unknown', 5)]).toEqual(
      method === 'job' ? [undefined, undefined] : [false, false],
    )
  },
)
