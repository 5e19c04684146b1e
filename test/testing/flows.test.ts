/** Flows, and silence, under virtual time. */
import { describe, expect, it } from 'vitest'
import { defineTask, PermanentError } from '../../src/index.js'
import { start, testScheduler } from './kit.js'

const minute = 60_000
const echo = defineTask('kit-flows.echo', (value: string) => value, {
  lane: 'io',
  backoff: { type: 'fixed', delay: '1m', jitter: 0 },
})
const counts = defineTask('kit-flows.counts', (_: undefined, { results }) => results.batch, { lane: 'io' })

describe('a flow in virtual time', () => {
  it('runs to its end in one run(), each step after those it waits for', async () => {
    const scheduler = testScheduler()
    const flow = scheduler.flow({
      a: { task: echo, payload: 'a' },
      b: { task: echo, payload: 'b', after: ['a'] },
      c: { task: echo, payload: 'c', after: ['a'] },
      d: { task: echo, payload: 'd', after: ['b', 'c'] },
    })
    const settled = await scheduler.run()
    expect(settled.map(({ flow: place }) => place?.ref)).toEqual(['a', 'b', 'c', 'd'])
    expect(settled.every(({ settledAt }) => settledAt === start)).toBe(true)
    await expect(flow.result()).resolves.toEqual({ a: 'a', b: 'b', c: 'c', d: 'd' })
  })

  it('waits for the backoff of a step, and for the delay of the next', async () => {
    const scheduler = testScheduler()
    scheduler.failNext(echo, new Error('busy'), 2)
    const chain = scheduler.chain([
      { task: echo, payload: 'x' },
      { task: echo, payload: 'y', options: { delay: '10m' } },
    ])
    expect(await scheduler.run()).toEqual([])
    expect(await scheduler.advance('2m')).toMatchObject([{ attempt: 3, settledAt: start + 2 * minute }])
    expect(await scheduler.advance(10 * minute - 1)).toEqual([])
    expect(await scheduler.advance(1)).toMatchObject([{ result: 'y', settledAt: start + 12 * minute }])
    expect(chain.state).toBe('completed')
  })

  it('expires at its deadline, to the millisecond', async () => {
    const scheduler = testScheduler()
    const chain = scheduler.chain([{ task: echo, payload: 'x', options: { delay: '2h' } }], {
      deadline: '1h',
    })
    await scheduler.advance(60 * minute - 1)
    expect(chain.state).toBe('running')
    await scheduler.advance(1)
    expect(chain.state).toBe('expired')
  })

  it('calls a batch back once, after its last job, also when there is none', async () => {
    const scheduler = testScheduler()
    scheduler.failNext(echo, new PermanentError('no'))
    scheduler.failNext(echo, new Error('busy'))
    const batch = scheduler.batch(echo, ['x', 'y', 'z'], { callback: { task: counts } })
    const empty = scheduler.batch(echo, [], { callback: { task: counts } })
    expect(await scheduler.run()).toHaveLength(3)
    expect(empty.state).toBe('completed')
    const settled = await scheduler.advance('1m')
    expect(settled.map(({ task }) => task)).toEqual([echo.name, counts.name])
    expect(settled.at(-1)?.result).toEqual({ total: 3, completed: 2, failed: 1 })
    expect(scheduler.deferred(counts)).toHaveLength(2)
    await expect(batch.result()).resolves.toEqual({ total: 3, completed: 2, failed: 1 })
  })

  it('leaves the same trace with the same seed', async () => {
    const play = async () => {
      const scheduler = testScheduler({ seed: 7 })
      scheduler.failNext(echo, new Error('busy'), 2)
      scheduler.batch(echo, ['x', 'y', 'z'], { callback: { task: counts } })
      await scheduler.advance('1h')
      return JSON.stringify(scheduler.trace())
    }
    expect(await play()).toBe(await play())
  })
})

it('a silent attempt is taken for lost when virtual time says so, and one that beats is not', async () => {
  const scheduler = testScheduler()
  const options = {
    lane: 'io',
    attempts: 1,
    visibilityTimeout: '30s',
    timeout: false,
    killAfter: 0,
  } as const
  const silent = defineTask(
    'kit-flows.silent',
    (_: undefined, { signal }) => scheduler.sleep('2m', { signal }),
    options,
  )
  const beats = defineTask(
    'kit-flows.beats',
    async (_: undefined, { heartbeat }) => {
      for (let beat = 0; beat < 6; beat++) {
        await scheduler.sleep('20s')
        heartbeat()
      }
    },
    options,
  )
  const lost = scheduler.defer(silent)
  scheduler.defer(beats)
  await scheduler.advance('29s')
  expect(lost.state).toBe('running')
  expect(await scheduler.advance('1s')).toMatchObject([
    {
      id: lost.id,
      state: 'failed',
      error: { code: 'ERR_SIDEWORK_VISIBILITY_TIMEOUT' },
      settledAt: start + 30_000,
    },
  ])
  expect(await scheduler.advance('90s')).toMatchObject([{ task: beats.name, state: 'completed' }])
})
