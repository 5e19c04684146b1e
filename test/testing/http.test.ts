/** Jobs of HTTP requests under virtual time, with a real server and client. */
import express from 'express'
import request from 'supertest'
import { describe, expect, it, vi } from 'vitest'
import { sidework } from '../../src/express/index.js'
import { defineTask, type Scheduler } from '../../src/index.js'
import '../../src/testing/matchers.js'
import { testScheduler } from './kit.js'

const work = defineTask('http.work', ({ n }: { n: number }) => n, {
  lane: 'io',
  dedupe: ({ n }) => String(n),
})

function app(scheduler: Scheduler) {
  const made = express().use(express.json(), sidework(scheduler))
  made.post('/:status', async (req, res) => {
    req.defer(work, { n: 1 }, { on: 'success', delay: '1m' })
    if (req.query['late'] !== undefined) await new Promise((resolve) => setImmediate(resolve))
    if (req.params.status === 'throws') throw new Error('boom')
    res.status(Number(req.params.status)).end()
  })
  made.post('/flow/:status', (req, res) => {
    const steps = {
      a: { task: work, payload: { n: 1 } },
      b: { task: work, payload: { n: 2 }, after: ['a' as const] },
    }
    req.defer.flow(steps, { on: 'success' })
    if (req.query['discard'] !== undefined) req.defer.discard()
    res.status(Number(req.params.status)).end()
  })
  made.post('/batch/:status', (req, res) => {
    req.defer.batch(work, [{ n: 1 }], { callback: { task: work, payload: { n: 2 } }, on: 'success' })
    res.status(Number(req.params.status)).end()
  })
  made.post('/wait/job', (req, res) => res.accepted(req.defer(work, { n: 2 })))
  made.use(
    (_error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) =>
      void res.status(500).end(),
  )
  return made
}

describe('a job that waits for its response', () => {
  it.each([['202'], ['204?late'], ['301']])('is deferred when it succeeds: %s', async (path) => {
    const scheduler = testScheduler()
    await request(app(scheduler)).post(`/${path}`)
    expect(scheduler).toHaveDeferred(work, { n: 1 }, { times: 1 })
    expect(await scheduler.run()).toEqual([])
    expect(await scheduler.advance('1m')).toMatchObject([{ state: 'completed', result: 1 }])
  })

  it.each([['400'], ['500?late'], ['throws'], ['throws?late']])(
    'never was when it fails: %s',
    async (path) => {
      const scheduler = testScheduler()
      await request(app(scheduler)).post(`/${path}`)
      expect(scheduler).not.toHaveDeferred(work)
      expect(await scheduler.advance('1h')).toEqual([])
      expect(scheduler.stats().cancelled).toBe(1)
    },
  )

  it.each([['flow/202'], ['batch/202']])('of a flow is deferred when it succeeds: %s', async (path) => {
    const scheduler = testScheduler()
    await request(app(scheduler)).post(`/${path}`)
    expect(scheduler).toHaveDeferred(work, undefined, { times: 2 })
    expect(await scheduler.run()).toMatchObject([{ result: 1 }, { result: 2 }])
  })

  it.each([['flow/400'], ['batch/400'], ['flow/202?discard']])(
    'of a flow never was when it fails: %s',
    async (path) => {
      const scheduler = testScheduler()
      await request(app(scheduler)).post(`/${path}`)
      expect(scheduler).not.toHaveDeferred(work)
      expect(await scheduler.run()).toEqual([])
      expect(scheduler.stats().cancelled).toBe(2)
    },
  )

  it('never was when another stands for it at its release', async () => {
    const scheduler = testScheduler()
    scheduler.defer(work, { n: 1 }, { delay: '1h' })
    await request(app(scheduler)).post('/202')
    expect(scheduler).toHaveDeferred(work, { n: 1 }, { times: 1, delay: '1h' })
  })
})

it('a client that prefers to wait gets its result while the test runs the job', async () => {
  const scheduler = testScheduler()
  const answer = request(app(scheduler))
    .post('/wait/job')
    .set('Prefer', 'wait=5')
    .then((response) => response)
  await vi.waitFor(() => expect(scheduler).toHaveDeferred(work, { n: 2 }))
  await scheduler.run()
  expect(await answer).toMatchObject({ status: 200, body: { state: 'completed', result: 2 } })
})
