/** Time in the test kit: what runs when, and what is waited for. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { defineTask, PermanentError, RetryLater, Snooze } from '../../src/index.js'
import { start, testScheduler } from './kit.js'

describe.each(['cpu', 'io', 'main'] as const)('a job of lane %s', (lane) => {
  const work = defineTask(`time.${lane}`, ({ n }: { n: number }) => n + 1, { lane })

  it('does not run before it is told to, and then at once', async () => {
    const scheduler = testScheduler()
    const job = scheduler.defer(work, { n: 1 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(job.state).toBe('ready')
    const settled = await scheduler.run()
    expect(settled).toMatchObject([{ id: job.id, state: 'completed', result: 2, settledAt: start }])
    await expect(job.result()).resolves.toBe(2)
    expect(await scheduler.run()).toEqual([])
  })

  it('does not run between two runs either, also after a pause', async () => {
    const scheduler = testScheduler()
    scheduler.defer(work, { n: 1 })
    await scheduler.run()
    scheduler.pause()
    const job = scheduler.defer(work, { n: 2 })
    expect(await scheduler.run()).toEqual([])
    scheduler.resume()
    await new Promise((resolve) => setImmediate(resolve))
    expect(job.state).toBe('ready')
    expect(await scheduler.run()).toMatchObject([{ result: 3 }])
  })
})

describe('run()', () => {
  it('waits for what a handler really does, while virtual time stands still', async () => {
    const scheduler = testScheduler()
    const reads = defineTask(
      'time.reads',
      async () => (await readFile(import.meta.filename, 'utf8')).length,
      { lane: 'io' },
    )
    const job = scheduler.defer(reads)
    const [settled] = await scheduler.run()
    expect(settled?.result).toBeGreaterThan(100)
    expect(job.snapshot()).toMatchObject({ startedAt: start, settledAt: start })
  })

  it('runs what handlers defer, and what those who wait for results defer', async () => {
    const scheduler = testScheduler()
    const child = defineTask('time.child', () => 'child')
    const parent = defineTask('time.parent', async (_: void, { defer }) => (await defer(child)).id)
    const job = scheduler.defer(parent)
    void job.result().then(() => scheduler.defer(child))
    expect((await scheduler.run()).map(({ task }) => task)).toEqual([
      'time.parent',
      'time.child',
      'time.child',
    ])
  })

  it('leaves retries, snoozes and delays for later', async () => {
    const scheduler = testScheduler()
    let calls = 0
    const fails = defineTask(
      'time.fails',
      () => {
        if (++calls === 1) throw new Error('first')
        if (calls === 2) throw new RetryLater('10m')
        if (calls === 3) throw new Snooze('1h')
        return calls
      },
      { backoff: { type: 'fixed', delay: '1m' } },
    )
    const job = scheduler.defer(fails, undefined, { delay: '5s' })
    expect(await scheduler.run()).toEqual([])
    expect([job.state, calls]).toEqual(['scheduled', 0])
    expect(await scheduler.advance('5s')).toEqual([])
    expect([job.state, calls]).toEqual(['retrying', 1])
    await scheduler.advance('59999ms')
    expect(calls).toBe(1)
    await scheduler.advance(1)
    expect(calls).toBe(2)
    await scheduler.advance('10m')
    expect([job.state, calls]).toEqual(['scheduled', 3])
    expect(await scheduler.advance('1h')).toMatchObject([{ state: 'completed', result: 4, attempt: 3 }])
    expect(scheduler.now()).toBe(start + 5_000 + 60_000 + 600_000 + 3_600_000)
  })

  it('rejects when a handler says nothing for longer than the patience, naming it', async () => {
    const scheduler = testScheduler()
    const hangs = defineTask('time.hangs', () => new Promise<void>(() => undefined), { lane: 'io' })
    const job = scheduler.defer(hangs)
    await expect(scheduler.run()).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_TEST',
      message: expect.stringContaining(`attempt 1 of 'time.hangs' (job ${job.id})`) as string,
    })
    expect(job.state).toBe('running')
  })

  it('rejects when jobs go round without end', async () => {
    const scheduler = testScheduler()
    const again = defineTask('time.again', () => { throw new Snooze(0) }) // prettier-ignore
    scheduler.defer(again)
    await expect(scheduler.run()).rejects.toThrow('have gone round')
  })

  it('serves calls one after another', async () => {
    const scheduler = testScheduler()
    const work = defineTask('time.in-turn', () => 1)
    scheduler.defer(work, undefined, { delay: '1m' })
    const [first, second, third] = await Promise.all([
      scheduler.run(),
      scheduler.advance('1m'),
      scheduler.run(),
    ])
    expect([first.length, second.length, third.length]).toEqual([0, 1, 0])
  })
})

describe('advance()', () => {
  it('stops a handler that waits for virtual time at its timeout, and tries it again', async () => {
    const scheduler = testScheduler()
    const codes: unknown[] = []
    const slow = defineTask(
      'time.slow',
      async (_: void, { signal, attempt }) => {
        if (attempt === 1)
          await scheduler.sleep('10m', { signal }).catch((error: { code?: string }) => codes.push(error.code))
        return attempt
      },
      { lane: 'io', timeout: '5m' },
    )
    const job = scheduler.defer(slow)
    await scheduler.run()
    expect(job.state).toBe('running')
    await scheduler.advance('299999ms')
    expect(job.state).toBe('running')
    expect(await scheduler.advance(1)).toEqual([])
    expect([job.state, codes]).toEqual(['retrying', ['ERR_SIDEWORK_TIMEOUT']])
    expect(await scheduler.advance('2m')).toMatchObject([{ state: 'completed', result: 2 }])
  })

  it('lets a handler that ends exactly at its deadline end well', async () => {
    const scheduler = testScheduler()
    const slow = defineTask('time.exactly', () => scheduler.sleep('5m'), { timeout: '5m' })
    scheduler.defer(slow)
    expect(await scheduler.advance('5m')).toMatchObject([{ state: 'completed', attempt: 1 }])
  })

  it('takes a handler that says nothing for one that waits for virtual time', async () => {
    const scheduler = testScheduler()
    const hangs = defineTask('time.hangs-too', () => new Promise<void>(() => undefined), {
      lane: 'cpu',
      timeout: '5m',
      attempts: 1,
    })
    scheduler.defer(hangs)
    expect(await scheduler.advance('5m')).toMatchObject([
      { state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } },
    ])
  })

  it('does what falls due in order, each at its instant', async () => {
    const scheduler = testScheduler()
    const seen: [string, number][] = []
    const note = defineTask('time.note', (name: string) => void seen.push([name, scheduler.now() - start]))
    scheduler.defer(note, 'late', { delay: '2h' })
    scheduler.defer(note, 'early', { delay: '1h' })
    scheduler.defer(note, 'at the end', { delay: '3h' })
    scheduler.defer(note, 'after it', { delay: 3 * 3_600_000 + 1 })
    const settled = await scheduler.advance('3h')
    expect(seen).toEqual([['early', 3_600_000], ['late', 7_200_000], ['at the end', 10_800_000]]) // prettier-ignore
    expect(settled.map(({ payload }) => payload)).toEqual(['early', 'late', 'at the end'])
  })

  it.each([['-1s'], [Number.NaN], ['11 years'], [undefined]])('refuses %s', async (duration) => {
    await expect(testScheduler().advance(duration as '1s')).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_OPTION',
    })
  })

  it('retries a permanent failure no more', async () => {
    const scheduler = testScheduler()
    const task = defineTask('time.permanent', () => { throw new PermanentError('no') }) // prettier-ignore
    scheduler.defer(task)
    expect(await scheduler.advance('10h')).toMatchObject([{ state: 'failed', attempt: 1 }])
  })
})
