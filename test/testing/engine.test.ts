/** The engine's rules under virtual time, through the test kit's own threads. */
import { describe, expect, it, vi } from 'vitest'
import { defineTask, type Lane } from '../../src/index.js'
import '../../src/testing/matchers.js'
import { start, testScheduler } from './kit.js'

const minute = 60_000

/** A task that notes when its attempts start. */
function noting(
  name: string,
  options: object,
  run: (payload: { n: number }, attempt: number) => unknown = () => undefined,
) {
  const starts: [n: number, at: number][] = []
  const task = defineTask<{ n: number }>(name, ((payload: { n: number }, { attempt }: { attempt: number }) => {
    starts.push([payload.n, current.scheduler.now() - start])
    return run(payload, attempt)
  }) as never, { lane: 'io', ...options }) // prettier-ignore
  const current = { scheduler: testScheduler() }
  return { task, starts, scheduler: current.scheduler }
}

describe('in virtual time', () => {
  it('every window of a rate limit holds', async () => {
    const { task, starts, scheduler } = noting('engine.rate', { rateLimit: { limit: 3, per: '1m' } })
    for (let n = 0; n < 8; n++) scheduler.defer(task, { n })
    await scheduler.advance('10m')
    expect(starts.map(([, at]) => at / minute)).toEqual([0, 0, 0, 1, 1, 1, 2, 2])
  })

  it('a concurrency limit lets others in as attempts end', async () => {
    const { task, starts, scheduler } = noting('engine.concurrency', { concurrency: 2 }, ({ n }) =>
      scheduler.sleep(n * minute),
    )
    for (const n of [1, 3, 1, 1]) scheduler.defer(task, { n })
    await scheduler.advance('10m')
    expect(starts.map(([, at]) => at / minute)).toEqual([0, 0, 1, 2])
  })

  it('the head of an ordering key keeps its place through retries', async () => {
    const { task, starts, scheduler } = noting(
      'engine.key',
      { orderingKey: () => 'k', backoff: { type: 'fixed', delay: '1m' } },
      ({ n }, attempt) => {
        if (n === 1 && attempt < 3) throw new Error('again')
      },
    )
    for (const n of [1, 2, 3]) scheduler.defer(task, { n })
    await scheduler.advance('10m')
    expect(starts).toEqual([[1, 0], [1, minute], [1, 2 * minute], [2, 2 * minute], [3, 2 * minute]]) // prettier-ignore
  })

  it('more urgent jobs start first, and waiting makes urgent', async () => {
    const { task, starts, scheduler } = noting('engine.priority', { lane: 'cpu' }, () =>
      scheduler.sleep(minute),
    )
    for (let n = 0; n < 4; n++) scheduler.defer(task, { n })
    await scheduler.run()
    scheduler.defer(task, { n: 10 }, { priority: 'low' })
    scheduler.defer(task, { n: 11 }, { priority: 'high' })
    await scheduler.advance('1m')
    expect(starts.slice(4)).toEqual([[11, minute], [10, minute]]) // prettier-ignore
  })

  it('a job expires at its instant', async () => {
    const { task, scheduler } = noting('engine.expires', { concurrency: 1, expiresIn: '5m' }, () =>
      scheduler.sleep('10m'),
    )
    scheduler.defer(task, { n: 1 }, { timeout: false })
    const late = scheduler.defer(task, { n: 2 })
    expect(await scheduler.advance('299s')).toEqual([])
    expect(await scheduler.advance('1s')).toMatchObject([
      { id: late.id, state: 'expired', settledAt: start + 5 * minute },
    ])
  })

  it('the waits of retries grow, and jitter comes from the seed', async () => {
    const waits = async (seed: number): Promise<number[]> => {
      const scheduler = testScheduler({ seed })
      const task = defineTask('engine.backoff', () => 1)
      scheduler.failNext(task, new Error('no'), 5)
      scheduler.defer(task)
      await scheduler.advance('1d')
      return scheduler
        .trace()
        .flatMap((entry) => (entry.event === 'retrying' ? [entry.runAt - entry.at] : []))
    }
    const first = await waits(1)
    expect(first).toHaveLength(4)
    for (const [index, wait] of first.entries())
      expect(Math.abs(wait / (minute * 2 ** index) - 1)).toBeLessThanOrEqual(0.11)
    expect(await waits(1)).toEqual(first)
    expect(await waits(2)).not.toEqual(first)
  })

  it.each(['cpu', 'io', 'main'] as Lane[])(
    'a handler on lane %s that ignores its signal is given up after its grace',
    async (lane) => {
      const scheduler = testScheduler()
      let calls = 0
      const task = defineTask(`engine.ignores.${lane}`, async () => {
      if (++calls === 1) await scheduler.sleep('1h')
      return calls
    }, { lane, timeout: '1m', killAfter: '10s', backoff: { type: 'fixed', delay: 0 } }) // prettier-ignore
      const job = scheduler.defer(task)
      await scheduler.advance('69s')
      expect([job.state, calls]).toEqual(['retrying', 1])
      expect(await scheduler.advance('1s')).toMatchObject([{ state: 'completed', result: 2, attempt: 2 }])
      expect(await scheduler.advance('1h')).toEqual([])
    },
  )

  it('a cancelled handler is told at once', async () => {
    const scheduler = testScheduler()
    const reasons: unknown[] = []
    const task = defineTask('engine.cancel', (_: void, { signal }) =>
      scheduler.sleep('1h', { signal }).catch((error: { code: string }) => void reasons.push(error.code)), { lane: 'io' }) // prettier-ignore
    const job = scheduler.defer(task)
    await scheduler.run()
    expect(job.cancel('changed my mind')).toBe(true)
    expect(await scheduler.run()).toMatchObject([{ id: job.id, state: 'cancelled' }])
    expect(reasons).toEqual(['ERR_SIDEWORK_CANCELLED'])
  })

  it('payloads are copies, refused as in production, and so are results', async () => {
    const scheduler = testScheduler({ maxPayloadBytes: 100 })
    const seen: unknown[] = []
    const task = defineTask('engine.codec', (payload: { list: number[] }, { attempt }) => {
      seen.push(structuredClone(payload))
      payload.list.push(attempt)
      if (attempt === 1) throw new Error('once')
      return { at: new Date(0) } as never
    }, { backoff: { type: 'fixed', delay: 1 } }) // prettier-ignore
    const given = { list: [0] }
    const job = scheduler.defer(task, given)
    given.list.push(99)
    await scheduler.advance('1s')
    expect(seen).toEqual([{ list: [0] }, { list: [0] }])
    await expect(job.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_RESULT' })
    expect(() => scheduler.defer(task, { list: [new Date() as never] })).toThrow('payload.list[0]')
    expect(() => scheduler.defer(task, { list: Array.from({ length: 100 }, () => 1) })).toThrow(
      'maxPayloadBytes',
    )
    expect(() => scheduler.defer(task, { list: [] }, { dealy: 1 } as object)).toThrow(
      "unknown option 'dealy'",
    )
  })

  it('listeners and waiters are told as in production', async () => {
    const scheduler = testScheduler()
    const told: string[] = []
    scheduler.on('accepted', ({ task }) => told.push(`accepted ${task}`))
    const task = defineTask('engine.told', () => 'result')
    const job = scheduler.defer(task)
    await Promise.resolve()
    expect(told).toEqual(['accepted engine.told'])
    const result = job.result()
    await scheduler.run()
    await expect(result).resolves.toBe('result')
    await scheduler.idle()
  })
})

describe('spies and modules', () => {
  it('a spy put in place after the task was defined is called', async () => {
    const mailer = { send: (_to: string): string => 'real' }
    const scheduler = testScheduler()
    const task = defineTask('engine.spy', (to: string) => mailer.send(to), { lane: 'cpu' })
    const spy = vi.spyOn(mailer, 'send').mockReturnValue('mocked')
    scheduler.defer(task, 'asha')
    expect(await scheduler.run()).toMatchObject([{ result: 'mocked' }])
    expect(spy).toHaveBeenCalledWith('asha')
  })

  it('a task module that was reset and imported again is the same task, with its new handler', async () => {
    const path = '../fixtures/tasks/counting.js'
    const scheduler = testScheduler()
    const before = (await import(path)) as typeof import('../fixtures/tasks/counting.js')
    scheduler.defer(before.count)
    scheduler.defer(before.count)
    expect((await scheduler.run()).map(({ result }) => result)).toEqual([1, 2])
    vi.resetModules()
    const after = (await import(path)) as typeof import('../fixtures/tasks/counting.js')
    expect(after.count).not.toBe(before.count)
    scheduler.defer(after.count)
    expect((await scheduler.run()).map(({ result }) => result)).toEqual([1])
    expect(scheduler).toHaveDeferred(before.count, undefined, { times: 3 })
    scheduler.failNext(before.count)
    scheduler.defer(after.count)
    await scheduler.run()
    expect(scheduler).toHaveRetried(after.count, { times: 1 })
  })
})
