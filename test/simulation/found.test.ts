/** What the random schedules found, each as what a user saw. */
import { describe, expect, it } from 'vitest'
import { failsWith, neverEnds, type Behaviour } from './script.js'
import { makeSim } from './sim.js'

describe('found by random schedules', () => {
  it('a job that waits for a rate window behind another key starts when the next window opens', () => {
    const sim = makeSim()
    const options = {
      concurrency: { limit: 1, key: ({ key }: { key: string }) => key },
      rateLimit: { limit: 1, per: 10 },
    }
    const task = sim.task('keyed', {}, options as never)
    sim.scheduler.defer(task, { key: 'a' })
    sim.advance(0)
    sim.scheduler.defer(task, { key: 'b' })
    sim.scheduler.defer(task, { key: 'c' })
    sim.advance(30)
    expect(sim.payloads).toEqual([{ key: 'a' }, { key: 'b' }, { key: 'c' }])
  })

  it('no step starts after the deadline of its flow, however many there are to expire', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const task = sim.task('step', { takesMs: 2 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task)
    sim.advance(100)
    const startedAt: number[] = []
    sim.scheduler.on('started', ({ at }) => startedAt.push(at))
    const flow = sim.scheduler.batch(task, Array.from({ length: 3000 }, () => null) as never, { deadline: 5 })
    sim.advance(100)
    expect(flow.snapshot()).toMatchObject({ state: 'expired' })
    const deadline = sim.scheduler.flowOverview(flow.id)?.deadlineAt ?? 0
    expect(startedAt.length).toBeGreaterThan(3)
    expect(Math.max(...startedAt)).toBeLessThan(deadline)
  })

  it('a debounced job passes the limits of its latest payload', () => {
    const sim = makeSim()
    const options = { rateLimit: { limit: 1, per: 100, key: ({ key }: { key: string }) => key } }
    const task = sim.task('keyed', {}, options as never)
    sim.scheduler.defer(task, { key: 'b' })
    sim.advance(1)
    sim.scheduler.defer(task, { key: 'a' }, { delay: 5, dedupe: { key: 'x', mode: 'last' } })
    sim.scheduler.defer(task, { key: 'b' }, { delay: 5, dedupe: { key: 'x', mode: 'last' } })
    sim.advance(50)
    expect(sim.began).toHaveLength(1)
  })

  it('a job that had timed out and still held its thread when that crashed is one of those that run alone next', () => {
    const sim = makeSim()
    const lasts = { takesMs: 10 }
    const crashes = { takesMs: 20, ignoresAbort: true, crashes: { exitCode: 1 } }
    const late = sim.task('late', ({ attempt }) => (attempt === 1 ? crashes : lasts), {
      lane: 'io',
      timeout: 15,
      backoff: { type: 'fixed', delay: 0 },
    })
    const other = sim.task('other', ({ thread }) => (thread.number === 1 ? { takesMs: 50 } : lasts), { lane: 'io' }) // prettier-ignore
    sim.scheduler.defer(late)
    sim.scheduler.defer(other)
    sim.advance(100)
    const next = sim.began.slice(2)
    expect(next.map(({ task, at }) => [task, at])).toEqual([['other', 20], ['late', 30]]) // prettier-ignore
  })

  it('a job that spins as its neighbour did is stopped, and the main thread does not hang', () => {
    const sim = makeSim()
    const spins = { takesMs: 50, spins: true }
    const task = sim.task(
      'spins',
      ({ payload }) => (payload === 1 ? spins : { ...spins, takesMs: Infinity }),
      {
        lane: 'io',
        timeout: 16,
        killAfter: 3,
        attempts: 1,
      },
    )
    const first = sim.scheduler.defer(task, 1)
    sim.advance(1)
    const second = sim.scheduler.defer(task, 2)
    sim.advance(100)
    expect([first.state, second.state]).toEqual(['completed', 'failed'])
  })

  it('a debounced job expires counted from its latest due time', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    const options = { delay: 10, expiresIn: 5, dedupe: { key: 'x', mode: 'last' } } as const
    sim.scheduler.defer(task, 1, options)
    sim.advance(8)
    const job = sim.scheduler.defer(task, 2, options)
    sim.advance(50)
    expect(job.state).toBe('completed')
  })

  it('a held job with a runAt in the past expires counted from its release', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    const job = sim.scheduler.hold(undefined, task, 1, { runAt: sim.world.clock.wall() + 5, expiresIn: 5 })
    sim.advance(20)
    sim.scheduler.releaseHeld([job.id])
    sim.advance(1)
    expect(job.state).toBe('completed')
  })

  it('a dedupe ttl is over also while the event loop is blocked', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    sim.scheduler.defer(task, 1, { dedupe: { key: 'x', ttl: 10 } })
    sim.advance(1)
    sim.world.block(20)
    expect(sim.scheduler.defer(task, 2, { dedupe: { key: 'x', ttl: 10 } }).deduplicated).toBe(false)
  })

  it('setPriority on a job that was retried while its old attempt still runs does not start it twice', () => {
    const sim = makeSim()
    const task = sim.task('slow', neverEnds, { lane: 'io', killAfter: 1000 })
    const job = sim.scheduler.defer(task, 1)
    sim.advance(1)
    job.cancel()
    sim.scheduler.retry(job.id)
    sim.scheduler.setPriority(job.id, 9)
    sim.advance(5)
    expect(sim.began).toHaveLength(1)
  })

  it('a held job that was lost at close is left out of restore, with a warning, unless it is handed in as ready', async () => {
    const before = makeSim()
    const options = { orderingKey: 'k', dedupe: { key: 'x', mode: 'last' } } as const
    before.scheduler.hold(undefined, before.task('mail'), 'held', options)
    before.scheduler.defer(before.task('mail'), 'accepted', { ...options, delay: 5 })
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const after = makeSim()
    after.task('mail')
    const jobs = after.scheduler.restore(lost)
    after.advance(100)
    expect(jobs.map(({ state }) => state)).toEqual(['completed'])
    expect(after.payloads).toEqual(['accepted'])
    expect(after.logged.filter(({ level }) => level === 'warn')).toMatchObject([
      { fields: { count: 1, ids: [lost[0]?.id] }, message: expect.stringContaining('held') as string },
    ])
    const again = makeSim()
    again.task('mail')
    again.scheduler.restore(
      lost.filter(({ state }) => state === 'held').map((job) => ({ ...job, state: 'ready' })),
    )
    again.advance(100)
    expect(again.payloads).toEqual(['held'])
  })

  it('a job that was retried and interrupted keeps the number of its attempt when it is restored', async () => {
    const before = makeSim()
    const behave = ({ attempt }: { attempt: number }): Behaviour => (attempt > 1 ? {} : failsWith('no'))
    const task = before.task('mail', behave, { attempts: 1, onExhausted: 'halt' })
    const job = before.scheduler.defer(task, 1)
    before.advance(1)
    before.scheduler.retry(job.id)
    before.scheduler.pause()
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const [snapshot] = lost
    if (snapshot === undefined) throw new Error('nothing was lost')
    const after = makeSim()
    after.task('mail', {}, { attempts: 1 })
    // As an interruption in the second generation leaves it.
    const [restored] = after.scheduler.restore([{ ...snapshot, attempt: 1 }])
    after.advance(1)
    expect(restored?.state).toBe('completed')
    expect(after.began).toMatchObject([{ attempt: 1 }])
  })

  it('a limit that opens lets the best job pass, also when a better one that waited there was cancelled', () => {
    const sim = makeSim({ scheduler: { threads: 1, limits: { smtp: { rateLimit: { limit: 1, per: 10 } } } } })
    const limits = { limits: 'smtp' } as const
    sim.scheduler.defer(sim.task('first', { takesMs: 20 }, limits), 'first')
    sim.advance(1)
    const cancelled = sim.scheduler.defer(sim.task('a', {}, limits), 'cancelled')
    sim.scheduler.defer(sim.task('b', {}, limits), 'best')
    sim.scheduler.defer(sim.task('free'), 'free')
    sim.advance(4)
    sim.scheduler.defer(sim.task('a'), 'late')
    cancelled.cancel()
    sim.advance(40)
    expect(sim.payloads).toEqual(['first', 'best', 'free', 'late'])
  })

  /** Two jobs are on thread 1; two others crash thread 2, and one of them runs alone on thread 3 until 11 ms. */
  function afterUnexplainedCrash(): ReturnType<typeof makeSim> {
    const sim = makeSim({ scheduler: { threads: { cpu: 1, io: 2, ioConcurrency: 2 } } })
    const task = sim.task('io', ({ payload }) => ({ takesMs: payload as number }), { lane: 'io' })
    for (const takesMs of [5, 100, 10, 10]) sim.scheduler.defer(task, takesMs)
    sim.advance(1)
    sim.thread(2).crash()
    sim.advance(5)
    return sim
  }

  it('beside a job that must run alone, a better job takes a free place at once', () => {
    const sim = afterUnexplainedCrash()
    sim.scheduler.defer(sim.task('io'), 1, { priority: 9 })
    sim.advance(0)
    expect(sim.began.at(-1)).toMatchObject({ payload: 1, at: 6, thread: 1 })
  })

  it('when a job that must run alone gets its thread, those behind it get the other places', () => {
    const sim = afterUnexplainedCrash()
    sim.scheduler.defer(sim.task('io'), 1)
    sim.advance(4)
    expect(sim.began).toHaveLength(5)
    sim.advance(2)
    expect(sim.began.slice(5)).toMatchObject([
      { payload: 10, at: 11, thread: 3 },
      { payload: 1, at: 11, thread: 1 },
    ])
  })

  it('a job that is cancelled before its thread has read it gives its place to the next', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    sim.scheduler.defer(task, 'warm up')
    sim.advance(1)
    sim.scheduler.pause()
    const job = sim.scheduler.defer(task, 'cancelled')
    sim.scheduler.defer(task, 'next', { orderingKey: 'k' })
    sim.scheduler.resume()
    job.cancel()
    sim.advance(1)
    expect(sim.payloads).toEqual(['warm up', 'next'])
  })

  it('a paused task leaves nothing on the agenda', () => {
    const sim = makeSim()
    sim.scheduler.pause(sim.task('mail'))
    expect(sim.scheduler.inspect()['agenda']).toBe(0)
  })

  it('a debounced job whose latest payload has no delay starts at once, not when the first would have', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    const dedupe = { key: 'x', mode: 'last' } as const
    const job = sim.scheduler.defer(task, 'first', { delay: 60, dedupe, expiresIn: 10 })
    sim.scheduler.defer(task, 'latest', { delay: 0, dedupe })
    sim.advance(5)
    expect(sim.payloads).toEqual(['latest'])
    expect(job.state).toBe('completed')
  })
})
