/** What a test scheduler tells, and what it does at its end. */
import { describe, expect, it, vi } from 'vitest'
import { defineTask, type JobSnapshot, PermanentError } from '../../src/index.js'
import { createTestScheduler, type TestSchedulerOptions } from '../../src/testing/index.js'
import { start, testScheduler } from './kit.js'

const states = (jobs: readonly JobSnapshot[]) => jobs.map(({ state }) => state)
const work = defineTask('kit.work', ({ n }: { n: number }) => n, { lane: 'io' })

describe('deferred()', () => {
  it('lists jobs at once, in order, as they are now', async () => {
    const scheduler = testScheduler()
    const other = defineTask('kit.other', () => 1)
    scheduler.defer(work, { n: 1 })
    scheduler.defer(other)
    scheduler.defer(work, { n: 2 }, { delay: '1h' })
    expect(scheduler.deferred().map(({ task }) => task)).toEqual(['kit.work', 'kit.other', 'kit.work'])
    expect(states(scheduler.deferred(work))).toEqual(['ready', 'scheduled'])
    await scheduler.run()
    expect(scheduler.deferred('kit.work')).toMatchObject([
      { state: 'completed', result: 1 },
      { payload: { n: 2 } },
    ])
  })

  it('remembers jobs that the scheduler does not keep', async () => {
    const scheduler = testScheduler({ keep: { completed: 0, failed: 0 } })
    const fails = defineTask('kit.fails', () => { throw new PermanentError('no') }) // prettier-ignore
    scheduler.defer(work, { n: 1 })
    scheduler.defer(fails, undefined, { delay: '1m' })
    const settled = await scheduler.advance('1m')
    expect(settled).toMatchObject([{ state: 'completed', payload: { n: 1 } }, { state: 'failed' }])
    await scheduler.advance('2d')
    expect(states(scheduler.deferred())).toEqual(['completed', 'failed'])
    expect(scheduler.job(settled[0]?.id ?? '')).toBeUndefined()
  })

  it('shows the payload of a sensitive task, which the scheduler itself does not', () => {
    const scheduler = testScheduler()
    const secret = defineTask('kit.secret', (_: { pin: string }) => 1, { sensitive: true })
    const job = scheduler.defer(secret, { pin: '1234' })
    expect(scheduler.deferred(secret)).toMatchObject([{ payload: { pin: '1234' } }])
    expect(scheduler.job(job.id)?.payload).toBeUndefined()
  })

  it('counts a job once that was deferred again while it waited', () => {
    const scheduler = testScheduler()
    const once = defineTask('kit.once', (_: { n: number }) => 1, {
      dedupe: { key: () => 'all', mode: 'last', ttl: '1m' },
    })
    scheduler.defer(once, { n: 1 })
    scheduler.defer(once, { n: 2 })
    expect(scheduler.deferred(once)).toMatchObject([{ payload: { n: 2 } }])
  })

  it('refuses names that no task has', () => {
    expect(() => testScheduler().deferred('kit.wrok')).toThrow("No task is named 'kit.wrok'")
    expect(() => testScheduler().deferred(1 as never)).toThrow('deferred got 1. Give a task or its name.')
  })
})

describe('failNext()', () => {
  it('lets the next attempts fail in place of the handler', async () => {
    const scheduler = testScheduler()
    const run = vi.fn(() => 'done')
    const task = defineTask('kit.fail-next', run, { lane: 'io', backoff: { type: 'fixed', delay: '1m' } })
    scheduler.failNext(task, new Error('first'), 2)
    scheduler.failNext('kit.fail-next')
    const job = scheduler.defer(task)
    await scheduler.advance('119s')
    expect([run.mock.calls.length, job.snapshot().errors.map(({ error }) => error.message)]).toEqual([
      0,
      ['first', 'first'],
    ])
    await scheduler.advance('2m')
    expect(job.snapshot()).toMatchObject({ state: 'completed', result: 'done', attempt: 4 })
    expect(run).toHaveBeenCalledOnce()
  })

  it('takes whatever a handler may throw', async () => {
    const scheduler = testScheduler()
    scheduler.failNext(work, new PermanentError('for good'))
    scheduler.defer(work, { n: 1 })
    expect(await scheduler.run()).toMatchObject([
      { state: 'failed', error: { code: 'ERR_SIDEWORK_PERMANENT' } },
    ])
  })

  it('does not touch other tasks, and refuses bad arguments', () => {
    const scheduler = testScheduler()
    expect(() => scheduler.failNext('kit.unknown')).toThrow("No task is named 'kit.unknown'")
    expect(() => scheduler.failNext(work, new Error('x'), 0)).toThrow('times is 0')
  })
})

describe('the same seed', () => {
  /** A small life with retries, limits and chance. */
  async function trace(options: TestSchedulerOptions): Promise<string> {
    const scheduler = testScheduler(options)
    const flaky = defineTask('kit.flaky', async ({ n }: { n: number }, { progress, attempt }) => {
      progress(n / 20)
      await new Promise((resolve) => setImmediate(resolve))
      if (n % 3 === attempt) throw new Error(`try ${attempt} of ${n}`)
      return n
    }, { lane: 'io', rateLimit: { limit: 2, per: '1s' } }) // prettier-ignore
    for (let n = 0; n < 20; n++) scheduler.defer(flaky, { n })
    await scheduler.advance('1h')
    expect(states(scheduler.deferred())).toEqual(Array.from({ length: 20 }, () => 'completed'))
    return JSON.stringify(scheduler.trace())
  }

  it('gives the same trace, byte for byte; another seed another', async () => {
    const [one, again, other] = [await trace({ seed: 7 }), await trace({ seed: 7 }), await trace({ seed: 8 })]
    expect(again).toBe(one)
    expect(other).not.toBe(one)
    expect(other.length).toBe(one.length)
  })
})

describe('trace()', () => {
  it('lists events in order with their virtual instants', async () => {
    const scheduler = testScheduler({ now: '2026-03-08T00:00:00Z' })
    const at = Date.parse('2026-03-08T00:00:00Z')
    scheduler.failNext(work, Object.assign(new Error('busy'), { code: 'EBUSY' }))
    const { id } = scheduler.defer(work, { n: 1 }, { backoff: { type: 'fixed', delay: '1m' } })
    await scheduler.advance('1m')
    expect(scheduler.trace()).toEqual([
      { event: 'accepted', id, task: 'kit.work', attempt: 0, at },
      { event: 'started', id, task: 'kit.work', attempt: 1, at },
      { event: 'retrying', id, task: 'kit.work', attempt: 1, at, runAt: at + 60_000, error: { name: 'Error', message: 'busy', code: 'EBUSY' } },
      { event: 'started', id, task: 'kit.work', attempt: 2, at: at + 60_000 },
      { event: 'completed', id, task: 'kit.work', attempt: 2, at: at + 60_000, durationMs: 0 },
    ]) // prettier-ignore
  })
})

describe('close()', () => {
  it('runs what is ready and lists what is lost, in no real time', async () => {
    const scheduler = testScheduler()
    const slow = defineTask('kit.slow', () => scheduler.sleep('10m'), { lane: 'io' })
    scheduler.defer(work, { n: 1 })
    scheduler.defer(work, { n: 2 }, { delay: '1h' })
    scheduler.defer(slow)
    const report = await scheduler.close({ timeout: '20s' })
    expect(report.settled).toMatchObject({ completed: 1 })
    expect(report.lost.map(({ task, state }) => [task, state])).toEqual([['kit.work', 'scheduled'], ['kit.slow', 'running']]) // prettier-ignore
    expect(scheduler.now() - start).toBeGreaterThanOrEqual(20_000)
    expect(scheduler.now() - start).toBeLessThanOrEqual(21_000)
    expect(await scheduler.close()).toBe(report)
    expect(() => scheduler.defer(work, { n: 3 })).toThrow('closed')
  })

  it('with strict rejects when jobs are left, naming them', async () => {
    const scheduler = testScheduler({ strict: true })
    scheduler.defer(work, { n: 1 })
    const { id } = scheduler.defer(work, { n: 2 }, { delay: '1h' })
    await scheduler.run()
    await expect(scheduler.close()).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_TEST',
      message:
        `The test ended with 1 job left:\n  'kit.work' scheduled, attempt 0 of 5, due 2026-01-01T01:00:00.000Z (job ${id})\n` +
        'Run them (run, advance), cancel them (cancelAll), or leave out `strict`.',
    })
  })

  it('with strict is content when nothing is left, also at the end of a block', async () => {
    await using scheduler = createTestScheduler({ strict: true })
    scheduler.defer(work, { n: 1 })
    scheduler.defer(work, { n: 2 }, { delay: '1h' })
    await scheduler.run()
    expect(scheduler.cancelAll()).toBe(1)
  })
})

describe('createTestScheduler', () => {
  it.each([
    [{ thread: true }, "createTestScheduler has an unknown option 'thread'. Known are: tasks, threads"],
    [{ now: 'tomorrow' }, "now is 'tomorrow'"],
    [{ now: null }, 'now is null'],
    [{ now: '2026-03-08T00:00:00' }, "now is '2026-03-08T00:00:00'"], // another instant on each machine
    [{ now: 'March 8, 2026' }, "now is 'March 8, 2026'"],
    [{ seed: 1.5 }, 'seed is 1.5'],
    [{ patience: 0 }, 'patience is 0'],
    [{ strict: 'yes' }, "strict is 'yes'"],
    [{ threads: true }, 'threads: true needs the modules'],
    [{ threads: { cpus: 1 } }, "unknown option 'cpus'"],
    [{ clock: 1 }, "unknown option 'clock'"],
  ])('refuses %o', (options, message) => {
    expect(() => createTestScheduler(options as TestSchedulerOptions)).toThrow(message)
  })

  it.each([
    ['2026-03-08T00:00:00Z'],
    ['2026-03-08'],
    ['2026-03-08T01:00+01:00'],
    [Date.UTC(2026, 2, 8)],
    [new Date(Date.UTC(2026, 2, 8))],
  ])('begins at %s', (now) => {
    expect(testScheduler({ now }).now()).toBe(Date.UTC(2026, 2, 8))
  })

  it('is ready at once, and has as many places as it is told', async () => {
    const scheduler = testScheduler({ threads: { cpu: 2, io: 1, ioConcurrency: 3 } })
    await scheduler.ready()
    let most = { cpu: 0, io: 0 }
    const running = { cpu: 0, io: 0 }
    const on = (lane: 'cpu' | 'io') => defineTask(`kit.on-${lane}`, async () => {
      running[lane]++
      most = { cpu: Math.max(most.cpu, running.cpu), io: Math.max(most.io, running.io) }
      await new Promise((resolve) => setImmediate(resolve))
      running[lane]--
    }, { lane }) // prettier-ignore
    const [cpu, io] = [on('cpu'), on('io')]
    for (let n = 0; n < 10; n++) scheduler.deferMany([{ task: cpu }, { task: io }])
    expect(await scheduler.run()).toHaveLength(20)
    expect(most).toEqual({ cpu: 2, io: 3 })
  })

  it('goes on where fake timers are in place of the real ones', async () => {
    const scheduler = testScheduler()
    vi.useFakeTimers()
    try {
      scheduler.defer(work, { n: 1 }, { delay: '1h' })
      expect(await scheduler.advance('1h')).toHaveLength(1)
    } finally {
      vi.useRealTimers()
    }
  })

  it('and gives up there too on a handler that waits for what never comes', async () => {
    const scheduler = testScheduler()
    const naps = defineTask('kit.naps', () => new Promise((wake) => setTimeout(wake, 1_000)), { lane: 'io' })
    vi.useFakeTimers()
    try {
      scheduler.defer(naps)
      await expect(scheduler.run()).rejects.toThrow("attempt 1 of 'kit.naps'")
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('sleep()', () => {
  it('rejects with the reason of its signal, and lets go of its alarm', async () => {
    const scheduler = testScheduler()
    const controller = new AbortController()
    const slept = scheduler.sleep('1m', { signal: controller.signal })
    const caught = expect(slept).rejects.toThrow('enough')
    controller.abort(new Error('enough'))
    await caught
    await expect(scheduler.sleep('1m', { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    )
  })

  it('does not hide the real work of another handler', async () => {
    const scheduler = testScheduler()
    const ends: [string, number][] = []
    const sleeps = defineTask(
      'kit.sleeps',
      () => scheduler.sleep('1m').then(() => void ends.push(['sleeps', scheduler.now()])),
      { lane: 'io' },
    )
    const works = defineTask('kit.works', async () => {
      for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
      ends.push(['works', scheduler.now()])
    }, { lane: 'io' }) // prettier-ignore
    scheduler.defer(sleeps)
    scheduler.defer(works)
    await scheduler.advance('1m')
    expect(ends).toEqual([['works', start], ['sleeps', start + 60_000]]) // prettier-ignore
  })
})
