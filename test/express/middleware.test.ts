import { once } from 'node:events'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import express, { type ErrorRequestHandler } from 'express'
import { sidework } from '../../src/express/index.js'
import type { Job } from '../../src/index.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, serve, signal } from './serving.js'

const greet = defineTask('http.greet', async ({ name }: { name: string }) => `hello ${name}`, {
  lane: 'main',
})
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

describe.each(frameworks)('on %s', (_name, createApp) => {
  it('a request defers a job and answers 202 with where to find it', async () => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    app.post('/greet', (req, res) => res.accepted(req.defer(greet, { name: 'Asha' }), { message: 'Soon.' }))
    const res = await request(app).post('/greet').expect(202)
    const { id } = res.body
    expect(scheduler.job(id)?.payload).toEqual({ name: 'Asha' })
    expect(res.headers).toMatchObject({
      location: `/jobs/${id}`,
      'retry-after': '1',
      'cache-control': 'no-store',
    })
    expect(res.headers['content-type']).toBe('application/json; charset=utf-8')
    const links = { self: `/jobs/${id}`, events: `/jobs/${id}/events` }
    expect(res.body).toEqual({ id, state: 'ready', links, message: 'Soon.' })
    expect(Object.keys(res.body)).toEqual(['id', 'state', 'links', 'message'])
  })

  it('a request defers a closure with options', async () => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    app.post('/', (req, res) => res.accepted(req.defer(() => 1, { id: 'mine', attempts: 2 })))
    await request(app).post('/').expect(202)
    expect(scheduler.job('mine')).toMatchObject({ task: '(inline)', maxAttempts: 2 })
  })

  it('a router under a prefix announces the public path of the jobs', async () => {
    const app = createApp()
    const api = express.Router()
    api.use(sidework(makeScheduler(), { jobsPath: '/api/jobs/' }))
    api.post('/greet', (req, res) => res.accepted(req.defer(greet, { name: 'Asha' }, { id: 'x' })))
    app.use('/api', api)
    const res = await request(app).post('/api/greet').expect(202)
    expect(res.headers['location']).toBe('/api/jobs/x')
  })

  it('a full queue answers 503 with Retry-After through the framework’s own error handling', async () => {
    const scheduler = makeScheduler({ maxQueued: 1 })
    scheduler.defer(() => new Promise(() => undefined))
    const app = createApp().use(sidework(scheduler))
    app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'Asha' })))
    app.set('env', 'test')
    const res = await request(app).post('/').expect(503)
    expect(res.headers['retry-after']).toBe('1')
  })

  it('a payload that is not JSON answers 422', async () => {
    const app = createApp().use(sidework(makeScheduler()))
    app.post('/', (req, res) => res.accepted(req.defer(greet.name, 1n)))
    app.set('env', 'test')
    await request(app).post('/').expect(422)
  })

  it('a job deferred after the response was sent is accepted', async () => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    const deferred = signal<string>()
    app.post('/', (req, res) => {
      res.on('finish', () => deferred.resolve(req.defer(greet, { name: 'late' }).id))
      res.end('ok')
    })
    await request(app).post('/').expect(200)
    expect(scheduler.job(await deferred.promise)).toBeDefined()
  })

  it('G3: a job stays when the route throws after defer', async () => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    app.set('env', 'test')
    app.post('/', (req) => {
      req.defer(greet, { name: 'Asha' }, { id: 'stays' })
      throw new Error('oops')
    })
    await request(app).post('/').expect(500)
    expect(scheduler.job('stays')).toBeDefined()
  })

  it('G21: a malformed JSON body answers 400 and defers nothing', async () => {
    const app = createApp().use(express.json(), sidework(makeScheduler()))
    app.set('env', 'test')
    app.post('/', (req, res) => res.accepted(req.defer(greet, req.body)))
    await request(app).post('/').set('Content-Type', 'application/json').send('{"a":').expect(400)
  })
})

describe('the request travels with the job', () => {
  const contextOf = async (headers: Record<string, string>, id?: unknown) => {
    const scheduler = makeScheduler()
    const app = express().use(
      (req, _res, next) => void next(Object.assign(req, id === undefined ? {} : { id }) && undefined),
    )
    app
      .use(sidework(scheduler))
      .post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }, { id: 'j' })))
    await request(app).post('/').set(headers).expect(202)
    return scheduler.job('j')?.request
  }

  it('as data that nobody can change', async () => {
    expect(Object.isFrozen(await contextOf({ 'x-request-id': 'req-1' }))).toBe(true)
  })

  it.each([
    ['the x-request-id header', { 'x-request-id': 'req-1' }, undefined, { id: 'req-1' }],
    ['a string req.id before the header', { 'x-request-id': 'req-1' }, 'own', { id: 'own' }],
    ['a numeric req.id', {}, 0, { id: '0' }],
    ['the header where req.id is an object', { 'x-request-id': 'req-1' }, { a: 1 }, { id: 'req-1' }],
    ['the traceparent header', { traceparent }, undefined, { traceparent }],
    ['nothing where nothing is given', {}, undefined, undefined],
    ['no header of over 128 characters', { 'x-request-id': 'x'.repeat(129) }, undefined, undefined],
    ['no header with spaces', { 'x-request-id': 'a b' }, undefined, undefined],
    ['no upper-case traceparent', { traceparent: traceparent.toUpperCase() }, undefined, undefined],
    ['no traceparent of version ff', { traceparent: traceparent.replace(/^00/, 'ff') }, undefined, undefined],
    [
      'no traceparent with a zero trace id',
      { traceparent: traceparent.replace(/4bf\w+/, '0'.repeat(32)) },
      undefined,
      undefined,
    ],
    ['no traceparent with something behind', { traceparent: `${traceparent}-x` }, undefined, undefined],
  ] as const)('with %s', async (_name, headers, id, expected) => {
    expect(await contextOf(headers, id)).toEqual(expected)
  })
})

describe('G1: a client that goes away', () => {
  it('harms no accepted job, whenever it goes', async () => {
    const scheduler = makeScheduler()
    const closed = Array.from({ length: 20 }, () => signal())
    const app = express().use(sidework(scheduler), express.text())
    app.post('/:n', (req, res) => {
      const job = req.defer(greet, { name: 'gone' }, { id: `job-${req.params.n}` })
      res.on('close', () => {
        res.accepted(job, {}) // a write after close changes nothing
        closed[Number(req.params.n)]?.resolve()
      })
    })
    const { port } = await serve(app)
    await Promise.all(
      closed.map(async ({ promise }, n) => {
        const socket = connect(port, '127.0.0.1')
        await once(socket, 'connect')
        socket.write(
          `POST /${n} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`,
          () => n % 2 && socket.resetAndDestroy(),
        )
        if (n % 2 === 0) socket.end()
        await Promise.race([promise, once(socket, 'close')])
      }),
    )
    const accepted = closed.map((_, n) => scheduler.job(`job-${n}`)).filter((job) => job !== undefined)
    expect(accepted.length).toBeGreaterThanOrEqual(10)
    expect(accepted.every((job) => job.state !== 'cancelled')).toBe(true)
  })
})

it('G20: a header named __proto__ reaches nothing', async () => {
  const scheduler = makeScheduler()
  const app = express().use(sidework(scheduler))
  app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }, { id: 'g20' })))
  const { port } = await serve(app)
  const socket = connect(port, '127.0.0.1')
  socket.write(
    'POST / HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nX-Request-Id: r\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  )
  const [data] = (await once(socket, 'data')) as [Buffer]
  expect(data.toString()).toMatch(/^HTTP\/1.1 202 /)
  expect(scheduler.job('g20')?.request).toEqual({ id: 'r' })
})

it.each<[string, unknown, object | undefined]>([
  [
    'those of a pino logger',
    { bindings: () => ({ tenant: 'a', nested: { n: 1 } }) },
    { tenant: 'a', nested: { n: 1 } },
  ],
  [
    'not the HTTP messages and the process',
    { bindings: () => ({ pid: 1, hostname: 'h', name: 'app', req: { headers: {} }, res: {} }) },
    undefined,
  ],
  ['none over 4 KB', { bindings: () => ({ text: 'x'.repeat(4096) }) }, undefined],
  ['none that are not JSON', { bindings: () => ({ big: 1n }) }, undefined],
  ['none of a logger without them', { info: () => undefined }, undefined],
  ['none of a logger that throws', { bindings: () => expect.unreachable() }, undefined],
])('of the bindings of req.log, %s travel with the job', async (_name, log, bindings) => {
  const scheduler = makeScheduler()
  const app = express().use((req, _res, next) => (Object.assign(req, { log }), next()), sidework(scheduler))
  app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'A' }, { id: 'j' })))
  await request(app).post('/').expect(202)
  expect(scheduler.job('j')?.request?.bindings).toEqual(bindings)
})

it('a request that began before close() may still defer, a later one gets 503', async () => {
  const scheduler = makeScheduler()
  const [arrived, go, drained] = [signal(), signal(), signal()]
  scheduler.defer(() => drained.promise)
  const app = express().use(sidework(scheduler))
  app.set('env', 'test')
  app.post('/early', async (req, res) => {
    arrived.resolve()
    await go.promise
    res.accepted(req.defer(greet, { name: 'early' }))
  })
  app.post('/late', (req, res) => res.accepted(req.defer(greet, { name: 'late' })))
  const { url } = await serve(app)
  const early = fetch(`${url}/early`, { method: 'POST' })
  await arrived.promise
  const closing = scheduler.close()
  go.resolve()
  const late = fetch(`${url}/late`, { method: 'POST' })
  expect((await late).status).toBe(503)
  expect((await early).status).toBe(202)
  drained.resolve()
  await closing
})

describe('res.accepted', () => {
  it('G7: percent-encodes an id that no header could carry', async () => {
    const app = express().use(sidework(makeScheduler()))
    app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }, { id: 'ü/日?#%' })))
    const res = await request(app).post('/').expect(202)
    expect(res.headers['location']).toBe('/jobs/%C3%BC%2F%E6%97%A5%3F%23%25')
    expect(res.body.id).toBe('ü/日?#%')
  })

  it('keeps the job’s id, state and links whatever the body says', async () => {
    const app = express().use(sidework(makeScheduler()))
    const body: object = { id: 'evil', state: 'evil', links: 'evil', more: 1 }
    app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }, { id: 'j' }), body))
    const res = await request(app).post('/').expect(202)
    expect(res.body).toMatchObject({ id: 'j', state: 'ready', links: { self: '/jobs/j' }, more: 1 })
  })

  it('sends nothing when the body is not JSON', async () => {
    const app = express().use(sidework(makeScheduler()))
    app.set('env', 'test')
    app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }), { amount: 1n }))
    await request(app).post('/').expect(500)
  })

  it.each([['text'], [[1]], [null], [1]])('refuses %j as body', async (body) => {
    const app = express().use(sidework(makeScheduler()))
    app.set('env', 'test')
    app.post('/', (req, res) => res.accepted(req.defer(greet, { name: 'a' }), body as never))
    const res = await request(app).post('/').expect(500)
    expect(res.text).toContain('Give an object')
  })

  it.each([
    ['a task', () => greet, "the task 'http.greet'"],
    ['nothing', () => undefined, 'undefined'],
    ['a promise', (job: Job) => Promise.resolve(job), 'a promise'],
    ['an id', () => 'abc', "'abc'"],
    ['a snapshot', (job: Job) => ({ ...job.snapshot(), id: 'abc' }), "the snapshot of job 'abc'"],
  ])('refuses %s for the job', async (_what, give, shown) => {
    const app = express().use(sidework(makeScheduler()))
    app.set('env', 'test')
    app.post('/', (req, res) => res.accepted(give(req.defer(greet, { name: 'a' })) as never))
    app.use(
      ((error: Error, _req, res, _next) => void res.status(500).send(error.message)) as ErrorRequestHandler,
    )
    const res = await request(app).post('/').expect(500)
    expect(res.text).toBe(`res.accepted got ${shown}. Give what req.defer answered.`)
  })

  it('res.json and the console show a job and a flow as they are at the moment', async () => {
    const scheduler = makeScheduler()
    scheduler.pause()
    const job = scheduler.defer(greet, { name: 'a' }, { id: 'mine' })
    const app = express().get('/', (_req, res) => void res.json({ job }))
    const shown = { id: 'mine', task: 'http.greet', state: 'ready', deduplicated: false }
    expect((await request(app).get('/')).body).toEqual({ job: shown })
    expect(inspect(job, { breakLength: Infinity })).toBe(
      "Job { id: 'mine', task: 'http.greet', state: 'ready', deduplicated: false }",
    )
    job.cancel()
    expect(inspect(job, { breakLength: Infinity })).toContain("state: 'cancelled'")
    const flow = scheduler.chain([{ task: greet, payload: { name: 'a' } }])
    expect(JSON.parse(JSON.stringify(flow))).toEqual({ id: flow.id, state: 'running' })
    expect(inspect(flow)).toBe(`Flow { id: '${flow.id}', state: 'running' }`)
  })
})

describe('sidework() refuses', () => {
  it.each([['jobs'], ['//evil.example'], ['/jobs?x'], ['/a b'], ['/ü'], [''], [0], ['https://x/jobs']])(
    '%j as jobsPath',
    (jobsPath) => {
      expect(() => sidework(makeScheduler(), { jobsPath: jobsPath as string })).toThrow(/jobsPath is/)
    },
  )

  it.each(['later', '', null, 1])('%j as on', (on) => {
    expect(() => sidework(makeScheduler(), { on: on as never })).toThrow(/on is .* Give 'now', 'success'/)
  })

  it('unknown options and what is no scheduler', () => {
    expect(() => sidework(makeScheduler(), { path: '/x' } as never)).toThrow(/unknown option 'path'/)
    expect(() => sidework({} as never)).toThrow(/Give what createScheduler\(\) returned/)
    expect(() => sidework(undefined as never)).toThrow(/Give what createScheduler\(\) returned/)
  })
})
