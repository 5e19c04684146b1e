import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { createGzip } from 'node:zlib'
import express from 'express'
import request from 'supertest'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { admit, idempotent, sidework, type IdempotentOptions } from '../../src/express/index.js'
import { readKey } from '../../src/express/idempotency-key.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, serve, signal } from './serving.js'

/** The clock that answers age by, under the test's control; it starts where the real one is. */
const clock = vi.hoisted(() => ({ passedMs: 0 }))
vi.mock('../../src/clock.js', async (original) => {
  const real = await original<typeof import('../../src/clock.js')>()
  return { ...real, monotonicMs: () => real.monotonicMs() + clock.passedMs }
})
beforeEach(() => {
  clock.passedMs = 0
})

const double = defineTask('idempotent.double', (n: number) => n * 2, { lane: 'main' })
const options: IdempotentOptions = { ttl: '1h' }
const uuid = '8e03978e-40d5-43dd-bc93-6894a57f9324'

/** An app that counts how often its only route was carried out. */
function countingApp(createApp: () => ReturnType<typeof express> = () => express(), own = options) {
  const runs = { count: 0 }
  const app = createApp().use(express.json(), express.text())
  app.all('/orders', idempotent(own), (req, res) => {
    runs.count++
    res
      .status(201)
      .set({ 'X-Run': String(runs.count), Location: '/orders/1' })
      .append('Set-Cookie', ['a=1', 'b=2'])
      .json({ run: runs.count, got: req.body ?? null })
  })
  const post = (
    key: string | undefined,
    body: object = { item: 1 },
    headers: Record<string, string> = {},
  ) => {
    const sent = request(app).post('/orders').set(headers)
    if (key !== undefined) void sent.set('Idempotency-Key', key)
    return sent.send(body)
  }
  return { app, runs, post }
}

const without = (headers: object, ...names: string[]) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

function problemOf(res: { headers: Record<string, string>; text: string }) {
  expect(res.headers['content-type']).toBe('application/problem+json')
  expect(res.headers['cache-control']).toBe('no-store')
  return JSON.parse(res.text) as { status: number; title: string; detail: string }
}

describe.each(frameworks)('on %s', (_name, createApp) => {
  it('a request sent again with its key gets the same status, headers and body, and is not carried out again', async () => {
    const { post, runs } = countingApp(createApp)
    const first = await post(uuid)
    const again = await post(uuid)
    expect(again.status).toBe(201)
    expect(again.text).toBe(first.text)
    expect(without(again.headers, 'date')).toEqual(without(first.headers, 'date'))
    expect(again.headers).toMatchObject({ 'x-run': '1', location: '/orders/1', 'set-cookie': ['a=1', 'b=2'] })
    expect(runs.count).toBe(1)
  })

  it('G5: of 50 requests at once with one key one is carried out, the others are told 409 until it has answered', async () => {
    const [arrived, release] = [signal(), signal()]
    let runs = 0
    const scheduler = makeScheduler()
    const app = createApp().use(express.json(), sidework(scheduler))
    app.post('/', idempotent(options), async (req, res) => {
      runs++
      arrived.resolve()
      await release.promise
      res.accepted(req.defer(double, 21))
    })
    const { url } = await serve(app)
    const post = () =>
      fetch(url, {
        method: 'POST',
        headers: { 'Idempotency-Key': '"k"', 'Content-Type': 'application/json' },
        body: '{"n":1}',
      })
    const first = post()
    await arrived.promise
    const meanwhile = await Promise.all(Array.from({ length: 49 }, post))
    expect(meanwhile.map(({ status }) => status)).toEqual(Array(49).fill(409))
    expect(meanwhile[0]?.headers.get('retry-after')).toBe('1')
    const problem = (await meanwhile[0]?.json()) as { title: string; status: number }
    expect(problem).toMatchObject({ title: 'A request is outstanding for this Idempotency-Key', status: 409 })
    release.resolve()
    const answer = await (await first).text()
    for (const late of await Promise.all(Array.from({ length: 20 }, post))) {
      expect([late.status, await late.text()]).toEqual([202, answer])
    }
    expect(runs).toBe(1)
    expect(scheduler.stats().accepted).toBe(1)
  })

  it('the same key with another body, method or URL is answered 422 and changes nothing', async () => {
    const { app, post, runs } = countingApp(createApp)
    const first = await post(uuid)
    const others = [
      await post(uuid, { item: 2 }),
      await request(app).put('/orders').set('Idempotency-Key', uuid).send({ item: 1 }),
      await request(app).post('/orders?x=1').set('Idempotency-Key', uuid).send({ item: 1 }),
    ]
    for (const res of others) {
      expect(res.status).toBe(422)
      expect(problemOf(res).title).toBe('Idempotency-Key is already used')
    }
    expect((await post(uuid)).text).toBe(first.text)
    expect(runs.count).toBe(1)
  })

  it('also while the first is being carried out', async () => {
    const [arrived, release] = [signal(), signal()]
    const app = createApp().use(express.json())
    app.post('/', idempotent(options), async (_req, res) => {
      arrived.resolve()
      await release.promise
      res.send('done')
    })
    const { url } = await serve(app)
    const post = (body: string) => {
      const headers = { 'Idempotency-Key': 'k', 'Content-Type': 'application/json' }
      return fetch(url, { method: 'POST', headers, body })
    }
    const first = post('{"n":1}')
    await arrived.promise
    expect((await post('{"n":2}')).status).toBe(422)
    release.resolve()
    expect((await first).status).toBe(200)
  })

  it('without a key a request is carried out each time, unless a key is required: 400', async () => {
    const { post, runs } = countingApp(createApp)
    await post(undefined).expect(201)
    await post(undefined).expect(201)
    expect(runs.count).toBe(2)
    const strict = countingApp(createApp, { ...options, required: true })
    const res = await strict.post(undefined).expect(400)
    expect(problemOf(res).title).toBe('Idempotency-Key is missing')
    await request(strict.app).get('/orders').expect(201) // a safe method needs none
    expect(strict.runs.count).toBe(1)
  })

  it('a failed request is not carried out again either, but one that was turned away is', async () => {
    const scheduler = makeScheduler()
    scheduler.pause()
    let runs = 0
    const app = createApp().use(express.json(), sidework(scheduler))
    app.set('env', 'test')
    app.post('/fails', idempotent(options), () => {
      runs++
      throw new Error('no')
    })
    app.post('/full', idempotent(options), admit(scheduler, { maxReady: 0 }), (req, res) => {
      res.accepted(req.defer(double, ++runs))
    })
    const post = (path: string) => request(app).post(path).set('Idempotency-Key', uuid)
    await post('/fails').expect(500)
    await post('/fails').expect(500)
    expect(runs).toBe(1)
    const job = scheduler.defer(double, 1)
    await post('/full').expect(503)
    job.cancel()
    const first = await post('/full').expect(202)
    expect((await post('/full').expect(202)).text).toBe(first.text)
    expect(runs).toBe(2)
  })
})

it('a key is forgotten when its ttl is over, and not before', async () => {
  const { post, runs } = countingApp()
  await post(uuid)
  clock.passedMs = 3_600_000 - 5_000
  expect((await post(uuid)).body.run).toBe(1)
  clock.passedMs = 3_600_000 + 1
  expect((await post(uuid)).body.run).toBe(2)
  expect(runs.count).toBe(2)
})

it("nobody gets another's answer: a key belongs to who sent these credentials, or to what scope() says", async () => {
  const { post, runs } = countingApp()
  await post(uuid, { item: 1 }, { Authorization: 'Bearer asha' })
  expect((await post(uuid, { item: 1 }, { Authorization: 'Bearer ben' })).body.run).toBe(2)
  expect((await post(uuid, { item: 1 }, { Cookie: 'sid=c' })).body.run).toBe(3)
  expect((await post(uuid, { item: 1 }, { Authorization: 'Bearer asha' })).body.run).toBe(1)
  expect(runs.count).toBe(3)

  const byUser = countingApp(undefined, { ...options, scope: (req) => String(req.headers['x-user']) })
  await byUser.post(uuid, { item: 1 }, { 'X-User': 'asha', Cookie: 'sid=1' })
  expect((await byUser.post(uuid, { item: 1 }, { 'X-User': 'asha', Cookie: 'sid=2' })).body.run).toBe(1)
  expect((await byUser.post(uuid, { item: 1 }, { 'X-User': 'ben' })).body.run).toBe(2)
})

it('what scope() throws, or a scope that is no string, goes to the error handlers and nothing is carried out', async () => {
  const thrown = countingApp(undefined, {
    ...options,
    scope() {
      throw Object.assign(new Error('who are you?'), { status: 401 })
    },
  })
  thrown.app.set('env', 'test')
  await thrown.post(uuid).expect(401)
  for (const what of [undefined, 'route', 'who are you?']) {
    const odd = countingApp(undefined, {
      ...options,
      scope() {
        throw what
      },
    })
    odd.app.set('env', 'test')
    await odd.post(uuid).expect(500)
    expect(odd.runs.count).toBe(0)
  }
  const none = countingApp(undefined, { ...options, scope: (() => undefined) as never })
  none.app.set('env', 'test')
  await none.post(uuid).expect(500)
  expect(thrown.runs.count + none.runs.count).toBe(0)
})

/** Posts over a socket of its own and goes away when told to. */
async function abortablePost(port: number, key: string) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${key}\r\nContent-Length: 0\r\n\r\n`)
  return socket
}

describe('when the client goes away before its answer', () => {
  /** A route that waits for `release`; each response tells when it has closed. */
  async function waitingApp(
    on: 'now' | 'success',
    { answers = true, cancels = false, around = [] as ReturnType<typeof idempotent>[] } = {},
  ) {
    const scheduler = makeScheduler()
    const [arrived, release, gone, done] = [signal(), signal(), signal(), signal()]
    let runs = 0
    const app = express().use(sidework(scheduler), ...around)
    app.post('/', idempotent(options), async (req, res) => {
      runs++
      res.once('close', () => gone.resolve())
      const job = req.defer(double, 21, { on })
      if (cancels) job.cancel()
      arrived.resolve()
      await release.promise
      if (answers || !res.destroyed) res.accepted(job)
      done.resolve()
    })
    const { url, port } = await serve(app)
    const again = () => fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    /** A request with the key whose client goes while the handler is at work. */
    const leave = async () => {
      const socket = await abortablePost(port, 'k')
      await arrived.promise
      socket.destroy()
      await gone.promise
    }
    return { scheduler, leave, release, done, again, runs: () => runs }
  }

  it('it finds the answer when it comes again', async () => {
    const { scheduler, leave, release, done, again, runs } = await waitingApp('now')
    await leave()
    expect((await again()).status).toBe(409)
    release.resolve()
    await done.promise
    const answer = await again()
    expect(answer.status).toBe(202)
    const { id } = (await answer.json()) as { id: string }
    expect(scheduler.job(id)?.task).toBe('idempotent.double')
    expect(runs()).toBe(1)
  })

  it('it finds there how the job ended that it preferred to wait for', async () => {
    const scheduler = makeScheduler()
    const [end, gone] = [signal<string>(), signal()]
    const app = express().use(sidework(scheduler))
    app.post('/', idempotent(options), (req, res) => {
      res.once('close', () => gone.resolve())
      res.accepted(req.defer(() => end.promise))
    })
    const { url, port } = await serve(app)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const started = signal()
    scheduler.once('started', () => started.resolve())
    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nPrefer: wait=30\r\nContent-Length: 0\r\n\r\n',
    )
    await started.promise
    socket.destroy()
    await gone.promise
    end.resolve('done')
    await scheduler.idle()
    await new Promise((resolve) => setImmediate(resolve))
    const answer = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect([answer.status, await answer.json()]).toMatchObject([200, { state: 'completed', result: 'done' }])
    expect(scheduler.stats().accepted).toBe(1)
  })

  it('and when its request waited behind another of its connection, and is never answered, it is told so', async () => {
    const scheduler = makeScheduler()
    const [arrived, gone] = [signal(), signal()]
    const app = express().use(sidework(scheduler))
    app.get('/slow', (req) => void req.socket.once('close', () => gone.resolve()))
    app.post('/', idempotent(options), () => arrived.resolve())
    const { url, port } = await serve(app)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await arrived.promise
    socket.destroy()
    await gone.promise
    clock.passedMs = 5.1 * 60_000
    const answer = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      { title: 'The answer for this Idempotency-Key is not there' },
    ])
  })

  it('and when it went while authentication decided, and is never answered, it is told so after 5 minutes', async () => {
    const [arrived, gone, decided, handled] = [signal(), signal(), signal(), signal()]
    const app = express().use((_req, res, next) => {
      res.once('close', () => gone.resolve())
      arrived.resolve()
      void decided.promise.then(() => next())
    })
    app.post('/', idempotent(options), () => handled.resolve())
    const { url, port } = await serve(app)
    const again = () => fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    const socket = await abortablePost(port, 'k')
    await arrived.promise
    socket.destroy()
    await gone.promise
    decided.resolve()
    await handled.promise
    clock.passedMs = 4.9 * 60_000
    expect((await again()).headers.get('retry-after')).toBe('1')
    clock.passedMs = 5.1 * 60_000
    const answer = await again()
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([409, null])
  })

  it('an answer that its repetition has got keeps its held job, though its own connection is lost', async () => {
    const scheduler = makeScheduler()
    const [answered, gone] = [signal(), signal()]
    const app = express().use(sidework(scheduler))
    app.get('/slow', (req) => void req.socket.once('close', () => gone.resolve()))
    app.post('/', idempotent(options), (req, res) => {
      res.accepted(req.defer(double, 21, { on: 'success' }))
      answered.resolve()
    })
    const { url, port } = await serve(app)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await answered.promise // its turn on the connection has not come
    const again = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    const { id } = (await again.json()) as { id: string }
    expect([again.status, scheduler.job(id)?.state]).toEqual([202, 'held'])
    socket.destroy()
    await gone.promise
    await scheduler.idle()
    expect(scheduler.job(id)?.state).toBe('completed')
  })

  it.each([
    ['is carried out anew though it passed two of them', { around: [idempotent(options)] }, 2],
    ['is not carried out anew when its held job was cancelled before', { cancels: true }, 1],
  ])('a request whose held job does not run %s', async (_what, own, runsInAll) => {
    const { leave, release, done, again, runs } = await waitingApp('success', own)
    await leave()
    release.resolve()
    await done.promise
    expect((await again()).status).toBe(202)
    expect(runs()).toBe(runsInAll)
  })

  it('but when its held job was discarded, the request is carried out anew', async () => {
    const { scheduler, leave, release, done, again, runs } = await waitingApp('success')
    await leave()
    release.resolve()
    await done.promise
    const answer = await again()
    expect(answer.status).toBe(202)
    await scheduler.idle()
    expect(runs()).toBe(2)
    expect(scheduler.stats()).toMatchObject({ completed: 1, cancelled: 1 })
    expect(await (await again()).text()).toBe(await answer.text())
  })

  it('and charges once at a time: a retry is not carried out beside the first, whose held job was discarded', async () => {
    const { leave, release, done, again, runs } = await waitingApp('success')
    await leave()
    for (let n = 0; n < 2; n++) {
      const meanwhile = await again()
      expect([meanwhile.status, meanwhile.headers.get('retry-after')]).toEqual([409, '1'])
    }
    expect(runs()).toBe(1)
    release.resolve()
    await done.promise
    expect((await again()).status).toBe(202)
    expect(runs()).toBe(2)
  })

  it('and a discarded request whose handler never answers holds its key for 5 minutes', async () => {
    const { leave, release, done, again, runs } = await waitingApp('success', { answers: false })
    await leave()
    release.resolve()
    await done.promise
    clock.passedMs = 4.9 * 60_000
    expect((await again()).status).toBe(409)
    clock.passedMs = 5.1 * 60_000
    expect((await again()).status).toBe(202)
    expect(runs()).toBe(2)
  })

  it('what the handler of a discarded request says late leaves the key to the request that has it by then', async () => {
    const scheduler = makeScheduler()
    const arrived = signal<(value: void) => void>()
    const second = signal<(value: void) => void>()
    const [gone, done] = [signal(), signal()]
    let runs = 0
    const app = express().use(sidework(scheduler))
    app.post('/', idempotent(options), async (req, res) => {
      const isFirst = ++runs === 1
      res.once('close', () => gone.resolve())
      req.defer(double, 21, { on: 'success' })
      const release = signal()
      ;(isFirst ? arrived : second).resolve(release.resolve)
      await release.promise
      res.send(isFirst ? 'first' : 'second')
      done.resolve()
    })
    const { url, port } = await serve(app)
    const again = () => fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    const socket = await abortablePost(port, 'k')
    const releaseFirst = await arrived.promise
    socket.destroy()
    await gone.promise
    clock.passedMs = 5.1 * 60_000
    const answer = again()
    const releaseSecond = await second.promise
    releaseFirst()
    await done.promise
    expect((await again()).status).toBe(409)
    releaseSecond()
    expect(await (await answer).text()).toBe('second')
    expect(await (await again()).text()).toBe('second')
    expect(runs).toBe(2)
  })

  it('a retry while the first is still carried out is told to come again, not to send another key', async () => {
    const { leave, release, done, again, runs } = await waitingApp('now')
    await leave()
    const meanwhile = await again()
    expect([meanwhile.status, meanwhile.headers.get('retry-after')]).toEqual([409, '1'])
    expect(await meanwhile.json()).toMatchObject({
      title: 'A request is outstanding for this Idempotency-Key',
      detail: expect.not.stringContaining('another key'),
    })
    clock.passedMs = 6 * 60_000 // a handler that takes longer is still heard
    release.resolve()
    await done.promise
    expect((await again()).status).toBe(202)
    expect(runs()).toBe(1)
  })

  it('however short its ttl: what is being carried out is not carried out beside itself', async () => {
    const [arrived, gone] = [signal(), signal()]
    let runs = 0
    const app = express().post('/', idempotent({ ttl: '1s' }), (_req, res) => {
      runs++
      res.once('close', () => gone.resolve())
      arrived.resolve()
    })
    const { url, port } = await serve(app)
    const socket = await abortablePost(port, 'k')
    await arrived.promise
    socket.destroy()
    await gone.promise
    clock.passedMs = 60_000
    const again = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect([again.status, again.headers.get('retry-after'), runs]).toEqual([409, '1', 1])
  })

  it('and when the handler never answers, it is told so after 5 minutes and nothing is carried out twice', async () => {
    const { leave, release, done, again, runs } = await waitingApp('now', { answers: false })
    await leave()
    release.resolve()
    await done.promise
    clock.passedMs = 4.9 * 60_000
    expect((await again()).headers.get('retry-after')).toBe('1')
    clock.passedMs = 5.1 * 60_000
    const answer = await again()
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([409, null])
    expect(await answer.json()).toMatchObject({
      title: 'The answer for this Idempotency-Key is not there',
      detail: expect.stringContaining('5 minutes'),
    })
    expect(runs()).toBe(1)
  })
})

it('answers that a handler writes by hand, in pieces, are given again whole', async () => {
  const handle = idempotent(options)
  const ways: ((res: ServerResponse) => void)[] = [
    (res) => res.writeHead(201, { 'X-Way': 'object' }).end('b2s=', 'base64'),
    (res) => res.writeHead(201, 'Made', ['X-Way', 'a', 'X-Way', 'b']).end(Buffer.from('ok')),
    (res) => {
      res.setHeader('X-Way', 'pieces')
      res.write('o')
      res.write(Buffer.from('k'))
      res.end(() => undefined)
    },
    (res) => res.writeHead(204, { 'X-Way': 'nothing' }).end(),
  ]
  for (const [at, way] of ways.entries()) {
    const { url } = await serve(
      createServer((req, res) => handle(req, res, () => way(res))).listeners('request')[0] as never,
    )
    const get = async () => {
      const [res] = (await once(
        httpRequest(url, { method: 'POST', headers: { 'Idempotency-Key': `w${at}` }, agent: false }).end(),
        'response',
      )) as [IncomingMessage]
      const own = without(res.headers, 'date', 'connection', 'transfer-encoding', 'content-length')
      const chunks = await res.toArray()
      return { status: res.statusCode, message: res.statusMessage, own, body: chunks.join('') }
    }
    const first = await get()
    expect(first.own['x-way']).toBeDefined()
    expect(first.body).toBe(first.status === 204 ? '' : 'ok')
    expect(await get()).toEqual(first)
  }
})

it('an answer that could not be sent is not given again, but the one in its place', async () => {
  let runs = 0
  const app = express()
  app.post('/', idempotent(options), (_req, res) => {
    runs++
    res.statusMessage = 'two\nlines' // Node refuses it as the head is written
    res.end('first')
  })
  const instead: express.ErrorRequestHandler = (_error, _req, res, _next) => {
    res.statusMessage = 'Sorry'
    res.status(500).end('instead')
  }
  app.use(instead)
  const post = () => request(app).post('/').set('Idempotency-Key', uuid)
  const first = await post()
  expect([first.status, first.text]).toEqual([500, 'instead'])
  const again = await post()
  expect([again.status, again.text, again.headers['content-length']]).toEqual([
    500,
    'instead',
    first.headers['content-length'],
  ])
  expect(runs).toBe(1)
})

it('an answer that other middleware compresses is right the second time too, whichever comes first', async () => {
  const compress: express.RequestHandler = (_req, res, next) => {
    const gzip = createGzip()
    const { end, write } = res
    gzip.on('data', (chunk: Buffer) => Reflect.apply(write, res, [chunk]))
    gzip.on('end', () => Reflect.apply(end, res, []))
    const { writeHead } = res
    res.writeHead = function (this: typeof res, ...args: unknown[]) {
      this.setHeader('Content-Encoding', 'gzip')
      this.removeHeader('Content-Length')
      return Reflect.apply(writeHead, this, args)
    } as typeof writeHead
    res.end = ((chunk: unknown) => {
      res.writeHead(res.statusCode)
      gzip.end(chunk)
      return res
    }) as typeof end
    next()
  }
  for (const order of [
    [compress, idempotent(options)],
    [idempotent(options), compress],
  ]) {
    const app = express().post('/', ...order, (_req, res) => void res.json({ some: 'text' }))
    const post = () => request(app).post('/').set('Idempotency-Key', 'k')
    for (const res of [await post(), await post()]) {
      expect(res.headers['content-encoding']).toBe('gzip')
      expect(res.body).toEqual({ some: 'text' })
    }
  }
})

it('an answer of more than 1 MiB is given once; its repetition is told that it is not there', async () => {
  let runs = 0
  const app = express().post(
    '/',
    idempotent(options),
    (_req, res) => void res.send('x'.repeat(2 ** 20 + ++runs)),
  )
  const post = () => request(app).post('/').set('Idempotency-Key', 'k')
  await post().expect(200)
  expect(problemOf(await post().expect(409)).detail).toContain('too large')
  expect(runs).toBe(1)
})

it('10,000 answers are kept, and then the least recently used goes', async () => {
  const handle = idempotent(options)
  const responses = Array.from({ length: 10_002 }, (_, n) => ({ n }))
  let runs = 0
  const send = async (key: string) => {
    const req = {
      method: 'POST',
      url: '/',
      headers: { 'idempotency-key': key },
    } as unknown as IncomingMessage
    const res = fakeResponse()
    handle(req, res, () => {
      runs++
      res.end('ok')
    })
  }
  for (const { n } of responses) await send(`key-${n}`)
  expect(runs).toBe(10_002)
  await send('key-10001')
  expect(runs).toBe(10_002)
  await send('key-0')
  expect(runs).toBe(10_003)
})

function fakeResponse(): ServerResponse {
  const headers: Record<string, unknown> = {}
  return {
    statusCode: 200,
    setHeader: (name: string, value: unknown) => (headers[name.toLowerCase()] = value),
    getHeaders: () => headers,
    write: () => true,
    end() {
      return this
    },
    once() {
      return this
    },
  } as unknown as ServerResponse
}

it.each<[string | undefined, string]>([
  [undefined, 'missing'],
  ['', 'malformed'],
  ['""', 'malformed'],
  ['"unclosed', 'malformed'],
  ['a b', 'malformed'],
  ['a, b', 'malformed'],
  ['"a", "b"', 'malformed'],
  ['"a\tb"', 'malformed'],
  ['ключ', 'malformed'],
  ['x'.repeat(257), 'malformed'],
  [`"${'x'.repeat(257)}"`, 'malformed'],
])('the key %j is %s', (header, expected) => {
  expect(readKey({ headers: { 'idempotency-key': header } } as unknown as IncomingMessage)).toBe(expected)
})

it.each([
  [uuid, uuid],
  [`"${uuid}"`, uuid],
  [' k ', 'k'],
  ['"with space"', 'with space'],
  ['"a\\"b\\\\c"', 'a"b\\c'],
  ['x'.repeat(256), 'x'.repeat(256)],
  ['__proto__', '__proto__'],
])('the header %j bears the key %j', (header, key) => {
  expect(readKey({ headers: { 'idempotency-key': header } } as unknown as IncomingMessage)).toEqual({ key })
})

it('a malformed key is answered 400, and a body nested too deep to compare as well', async () => {
  const { app, post } = countingApp()
  expect(problemOf(await post('a, b').expect(400)).title).toBe('Idempotency-Key is malformed')
  const deep = '['.repeat(40_000) + ']'.repeat(40_000)
  const sent = request(app)
    .post('/orders')
    .set({ 'Idempotency-Key': 'deep', 'Content-Type': 'application/json' })
  problemOf(await sent.send(deep).expect(400))
})

it.each([
  [{}, 'ttl is undefined'],
  [{ ttl: 0 }, 'ttl is 0'],
  [{ ttl: 'soon' }, "ttl is 'soon'"],
  [{ ttl: 1, required: 1 }, 'required is 1'],
  [{ ttl: 1, scope: 'me' }, "scope is 'me'"],
  [{ ttl: 1, max: 1 }, 'unknown option'],
])('idempotent(%j) is refused at the call', (given, message) => {
  expect(() => idempotent(given as IdempotentOptions)).toThrow(message)
})
