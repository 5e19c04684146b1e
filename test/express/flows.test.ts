import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import express from 'express'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { jobsRouter, sidework, type JobsRouterOptions } from '../../src/express/index.js'
import { defineTask, type Scheduler } from '../../src/index.js'
import { makeScheduler } from './make-scheduler.js'
import { follow, serve, signal, type SseEvent } from './serving.js'

const gate = { open: signal() }
const wait = defineTask('flows.wait', () => gate.open.promise, { lane: 'main' })
const echo = defineTask('flows.echo', (value: string) => value, { lane: 'main' })
const broken = defineTask('flows.broken', () => Promise.reject(new Error('card 4111')), {
  lane: 'main',
  attempts: 1,
})
const secret = defineTask('flows.secret', () => Promise.reject(new Error('card 4111')), {
  lane: 'main', attempts: 1, sensitive: true,
}) // prettier-ignore

function makeApp(options: JobsRouterOptions = {}) {
  gate.open = signal()
  const scheduler = makeScheduler()
  const app = express()
  app.use(express.json(), sidework(scheduler))
  app.post('/flow', (req, res) => {
    const flow = req.defer.flow({
      a: { task: echo, payload: 'A' },
      b: { task: echo, payload: 'B', after: ['a'] },
    })
    res.accepted(flow, { more: 1 })
  })
  app.post('/held/:status', (req, res) => {
    const batch = req.defer.batch(echo, ['x', 'y'], {
      callback: { task: echo, payload: 'done' },
      on: 'success',
    })
    res.status(Number(req.params.status)).json({ id: batch.id, state: batch.state })
  })
  app.post('/discard', (req, res) => {
    const chain = req.defer.chain([{ task: echo, payload: 'x' }], { on: 'finish' })
    res.json({ id: chain.id, count: req.defer.discard() })
  })
  let last: ServerResponse | undefined
  app.use((_req, res, next) => {
    last = res
    next()
  })
  app.use('/jobs', jobsRouter(scheduler, options))
  /** Resolves when the server has noticed that the latest reader went away. */
  const lost = () => once(last as ServerResponse, 'close')
  return { scheduler, app, lost }
}

const settledFlow = (scheduler: Scheduler, id: string) =>
  new Promise<void>((resolve) => scheduler.on('flow:settled', (event) => void (event.id === id && resolve())))

describe('a flow over HTTP', () => {
  it('is accepted with 202 and found where the answer says', async () => {
    const { scheduler, app } = makeApp()
    const { body, headers } = await request(app).post('/flow').expect(202)
    expect(body).toEqual({
      id: body.id, state: 'running', more: 1, links: { self: `/jobs/${body.id}`, events: `/jobs/${body.id}/events` },
    }) // prettier-ignore
    if (scheduler.flowOverview(body.id)?.state === 'running') await settledFlow(scheduler, body.id)
    const status = await request(app)
      .get(headers['location'] ?? '')
      .expect(200)
    expect(status.body).toEqual({
      id: body.id, flow: 'flow', state: 'completed', acceptedAt: expect.any(Number), settledAt: expect.any(Number),
      progress: { total: 2, completed: 2, failed: 0, ratio: 1 },
    }) // prettier-ignore
  })

  it('is answered with its results to a client that prefers to wait', async () => {
    const { app } = makeApp()
    const { body } = await request(app).post('/flow').set('Prefer', 'wait=5').expect(200)
    expect(body).toMatchObject({ state: 'completed', result: { a: 'A', b: 'B' }, more: 1 })
  })

  it('is held as a whole until its response has succeeded, and discarded as a whole when it failed', async () => {
    const { scheduler, app } = makeApp()
    const good = await request(app).post('/held/200')
    const bad = await request(app).post('/held/500')
    expect([good.body.state, bad.body.state]).toEqual(['held', 'held'])
    if (scheduler.flowOverview(good.body.id)?.state === 'running') await settledFlow(scheduler, good.body.id)
    expect(scheduler.flowOverview(good.body.id)?.state).toBe('completed')
    expect(scheduler.flowOverview(bad.body.id)).toMatchObject({
      state: 'cancelled', error: { message: 'The response of its request failed.' },
    }) // prettier-ignore
    expect(scheduler.stats()).toMatchObject({ completed: 3, cancelled: 3 })
    const discarded = await request(app).post('/discard')
    expect(discarded.body.count).toBe(1)
    expect(scheduler.flowOverview(discarded.body.id)?.state).toBe('cancelled')
  })

  it('is followed by server-sent events to its end', async () => {
    const { scheduler, app } = makeApp()
    const { url } = await serve(app)
    const flow = scheduler.flow({ a: { task: echo, payload: 'A' }, b: { task: wait, after: ['a'] } })
    const client = await follow(`${url}/jobs/${flow.id}/events`)
    await flow.jobs.a.result()
    gate.open.resolve()
    const events = (await client.rest()).filter(({ event }) => event !== undefined)
    expect(events[0]).toMatchObject({
      event: 'state',
      status: { id: flow.id, flow: 'flow', state: 'running' },
    })
    expect(events.at(-1)).toMatchObject({
      event: 'state', status: { state: 'completed', progress: { total: 2, completed: 2, failed: 0, ratio: 1 } },
    }) // prettier-ignore
    const between = events
      .slice(1, -1)
      .map(({ event, status }) => [event, (status['progress'] as { ratio: number }).ratio])
    expect(between).toEqual(between.map(() => ['progress', 0.5]))
  })

  it('is told to a reader that comes back from where it left: nothing missing, nothing twice', async () => {
    const { scheduler, app, lost } = makeApp()
    const { url } = await serve(app)
    const gates = Array.from({ length: 6 }, () => signal())
    const pass = defineTask('flows.pass', (n: number) => gates[n]?.promise, { lane: 'main' })
    const flow = scheduler.chain(gates.map((_gate, n) => ({ task: pass, payload: n })))
    const events = `${url}/jobs/${flow.id}/events`
    const told = (events: SseEvent[]) =>
      events.map(({ event, id, status }) => [event, id, JSON.stringify(status)])
    const passed = (count: number) =>
      new Promise<void>((resolve) => {
        const listener = ({ completed }: { completed: number }) => {
          if (completed < count) return
          scheduler.off('flow:progress', listener)
          resolve()
        }
        scheduler.on('flow:progress', listener)
      })
    const open = async (n: number) => {
      const done = passed(n + 1)
      gates[n]?.resolve()
      await done
    }

    const steady = await follow(events)
    const all: SseEvent[] = []
    for (let n = 0; n < 2; n++) all.push((await steady.next()) as SseEvent) // retry, and the state of now
    const first = await follow(events)
    const seen: SseEvent[] = []
    await first.next()
    seen.push((await first.next()) as SseEvent)
    await open(0)
    seen.push((await first.next()) as SseEvent)
    const gone = lost()
    first.leave()
    await gone
    await open(1)
    await open(2)

    const again = await follow(events, { 'Last-Event-ID': seen.at(-1)?.id ?? '' })
    await again.next()
    seen.push((await again.next()) as SseEvent, (await again.next()) as SseEvent)
    for (const n of [3, 4, 5]) gates[n]?.resolve()
    seen.push(...(await again.rest()))
    all.push(...(await steady.rest()))
    expect(told(seen)).toEqual(told(all.slice(1)))
    const ids = seen.map(({ id }) => Number(id))
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
    expect(seen.at(-1)?.status).toMatchObject({ state: 'completed', progress: { completed: 6 } })

    const late = await follow(events, { 'Last-Event-ID': seen.at(-1)?.id ?? '' })
    expect(late.response.statusCode).toBe(204)
    const older = await follow(events, { 'Last-Event-ID': seen[0]?.id ?? '' })
    expect((await older.rest()).at(-1)?.status.state).toBe('completed')
  })

  it('that is lost at close() ends its streams with a closed event: it goes on where it is restored', async () => {
    const { scheduler, app } = makeApp()
    const flows = [
      scheduler.flow({ a: { task: echo, payload: 'A', options: { delay: '1h' } }, b: { task: echo, payload: 'B' } }),
      scheduler.batch(wait, [undefined, undefined]),
      scheduler.batch(wait, [undefined], { callback: { task: echo, payload: 'x' }, onFailure: 'cancel' }),
      scheduler.chain([{ task: wait }, { task: wait }]),
    ] // prettier-ignore
    const { url } = await serve(app)
    const clients = await Promise.all(flows.map(({ id }) => follow(`${url}/jobs/${id}/events`)))
    for (const client of clients) {
      await client.next()
      await client.next()
    }
    await scheduler.close({ timeout: 0 })
    for (const client of clients) {
      const told = (await client.rest()).map(({ event, status }) => [event, status.state])
      expect(told.at(-1)).toEqual(['closed', 'running'])
      expect(told.map(([, state]) => state)).not.toContain('cancelled')
    }
  })

  it('asks authorize before it is followed, and hides a flow that is not the visitor’s', async () => {
    const asked: unknown[] = []
    const { scheduler, app } = makeApp({
      authorize: (_req, job, action) => {
        asked.push([job.payload, action])
        return job.payload !== 'forbidden'
      },
    })
    const flows = ['mine', 'forbidden'].map((payload) => scheduler.chain([{ task: echo, payload }]))
    await Promise.all(flows.map((flow) => flow.result()))
    const [mine, other, none] = await Promise.all(
      [...flows.map(({ id }) => id), 'unknown'].map((id) =>
        request(app).get(`/jobs/${id}/events`).set('Last-Event-ID', '1'),
      ),
    )
    expect(mine?.text).toContain('"state":"completed"')
    expect([other?.status, other?.text]).toEqual([404, none?.text])
    expect(asked).toEqual([
      ['mine', 'read'],
      ['forbidden', 'read'],
    ])
  })

  it('is cancelled with DELETE; authorize is asked about the job of its first step', async () => {
    const asked: unknown[] = []
    const { scheduler, app } = makeApp({
      authorize: (_req, job, action) => {
        asked.push([job.payload, job.flow?.ref, action])
        return job.payload !== 'forbidden'
      },
    })
    const steps = (first: string) =>
      [{ task: echo, payload: first, options: { delay: '1h' } }, { task: wait }] as const
    const mine = scheduler.chain(steps('mine'))
    const other = scheduler.chain(steps('forbidden'))
    const { body } = await request(app).delete(`/jobs/${mine.id}`).expect(200)
    expect(body).toMatchObject({
      flow: 'chain',
      state: 'cancelled',
      error: { message: 'Cancelled by an HTTP request.' },
    })
    await request(app).delete(`/jobs/${mine.id}`).expect(200)
    await request(app).get(`/jobs/${other.id}`).expect(404)
    expect(asked).toEqual([
      ['mine', 'flows.echo', 'cancel'],
      ['mine', 'flows.echo', 'cancel'],
      ['forbidden', 'flows.echo', 'read'],
    ])
  })

  it('without steps is found where the 202 says, also where authorize decides', async () => {
    const { app } = makeApp({ authorize: (_req, job) => job.payload !== 'forbidden' })
    app.post('/empty', (req, res) => res.accepted(req.defer.batch(echo, [])))
    const { headers } = await request(app).post('/empty').expect(202)
    const { body } = await request(app)
      .get(headers['location'] ?? '')
      .expect(200)
    expect(body).toMatchObject({ flow: 'batch', state: 'completed', progress: { total: 0, ratio: 1 } })
  })

  it('but one that has only a callback is asked about', async () => {
    const { scheduler, app } = makeApp({ authorize: (_req, job) => job.payload !== 'forbidden' })
    const callbacks = ['forbidden', 'mine'].map((payload) =>
      scheduler.batch(echo, [], { callback: { task: echo, payload } }),
    )
    await Promise.all(callbacks.map((flow) => flow.result()))
    const [forbidden, mine] = await Promise.all(callbacks.map(({ id }) => request(app).get(`/jobs/${id}`)))
    expect([forbidden?.status, mine?.status]).toEqual([404, 200])
  })

  it('that failed says why, unless a task of it is sensitive', async () => {
    const { scheduler, app } = makeApp()
    const flows = [broken, secret].map((task) => scheduler.chain([{ task }]))
    await Promise.all(flows.map((flow) => flow.result().catch(() => undefined)))
    const [open, closed] = await Promise.all(flows.map(({ id }) => request(app).get(`/jobs/${id}`)))
    expect(open?.body).toMatchObject({ state: 'failed', error: { name: 'Error', message: 'card 4111' } })
    expect(closed?.body).toMatchObject({ state: 'failed', error: { name: 'Error', message: '(withheld)' } })
  })
})

it('a request that began before close() may still defer a flow; a later one gets 503', async () => {
  const { scheduler, app } = makeApp()
  const late = signal()
  app.post('/late', async (req, res) => {
    void scheduler.close({ timeout: '5s' })
    res.accepted(req.defer.chain([{ task: echo, payload: 'x' }]))
    late.resolve()
    await late.promise
  })
  scheduler.defer(wait)
  await request(app).post('/late').expect(202)
  await request(app).post('/flow').expect(503)
  gate.open.resolve()
})
