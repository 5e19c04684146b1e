import { IncomingMessage, ServerResponse } from 'node:http'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { sidework } from '../../src/express/index.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, serve } from './serving.js'

describe.each(frameworks)('on %s', (_name, createApp) => {
  it('what a mounted app gave stays when the request goes on in its parent', async () => {
    const inner = createApp().use(sidework(makeScheduler()))
    const app = createApp().use('/', inner)
    app.post('/', (req, res) => res.accepted(req.defer(() => 1, { id: 'inner' })))
    const res = await request(app).post('/').expect(202)
    expect(res.body.id).toBe('inner')
  })

  it('an app without the middleware gives its requests nothing', async () => {
    createApp().use(sidework(makeScheduler()))
    const app = createApp()
    app.get('/', (req, res) => void res.json([typeof req.defer, typeof res.accepted]))
    const res = await request(app).get('/')
    expect(res.body).toEqual(['undefined', 'undefined'])
  })

  it('the middleware that ran last gives the members', async () => {
    const [first, last] = [makeScheduler(), makeScheduler()]
    const app = createApp().use(sidework(first), sidework(last))
    app.post('/', (req, res) => {
      req.defer(() => 1, { id: 'mine' })
      res.end()
    })
    await request(app).post('/').expect(200)
    expect([first.job('mine'), last.job('mine')?.task]).toEqual([undefined, '(inline)'])
  })

  it.each([
    ['inherits from it', (req: object) => Object.create(req) as Express.Request],
    ['is a proxy of it', (req: object) => new Proxy(req, {}) as Express.Request],
  ])('has them also where a request is handed on as one that %s', async (_how, wrap) => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    app.post('/', (req, res) => res.accepted(wrap(req).defer(() => 1, { id: 'mine', on: 'success' })))
    await request(app).post('/').expect(202)
    expect(scheduler.job('mine')).toMatchObject({ task: '(inline)' })
  })

  it('a member that somebody assigns is theirs, until the middleware runs again', async () => {
    const scheduler = makeScheduler()
    const app = createApp().use(sidework(scheduler))
    app.use((req, _res, next) => {
      Object.assign(req, { defer: () => 'theirs' })
      next()
    })
    app.get('/theirs', (req, res) => void res.json(req.defer('any')))
    app.post('/ours', sidework(scheduler), (req, res) => res.accepted(req.defer(() => 1)))
    expect((await request(app).get('/theirs')).body).toBe('theirs')
    await request(app).post('/ours').expect(202)
  })
})

it('on node:http the members are the request’s own, and the classes of Node stay as they are', async () => {
  const give = sidework(makeScheduler())
  const { url } = await serve((req, res) => {
    give(req, res, () =>
      res.end(JSON.stringify([Object.keys(req), Object.keys(res)].map((all) => all.at(-1)))),
    )
  })
  expect(await (await fetch(url)).json()).toEqual(['defer', 'accepted'])
  expect(['defer' in IncomingMessage.prototype, 'accepted' in ServerResponse.prototype]).toEqual([
    false,
    false,
  ])
})

it('each defer reads its request anew, also where defer was looked up once', async () => {
  const scheduler = makeScheduler()
  const give = sidework(scheduler)
  const { url } = await serve((req, res) => {
    give(req, res, () => {
      const { defer } = req as typeof req & Express.Request
      defer(() => 1, { id: 'before' })
      Object.assign(req, { id: 'r-17' })
      defer(() => 2, { id: 'after' })
      res.end()
    })
  })
  await fetch(url)
  expect(['before', 'after'].map((id) => scheduler.job(id)?.request?.id)).toEqual([undefined, 'r-17'])
})

it('what one look at req.defer held, another discards', async () => {
  const scheduler = makeScheduler()
  const [, createApp] = frameworks[0] ?? expect.unreachable()
  const app = createApp().use(sidework(scheduler))
  app.post('/', (req, res) => {
    req.defer(() => 1, { id: 'held', on: 'success' })
    res.json(req.defer.discard())
  })
  expect((await request(app).post('/').expect(200)).body).toBe(1)
  expect(scheduler.job('held')?.state).toBe('cancelled')
})
