import { get, request as httpRequest, type ServerResponse } from 'node:http'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import express, { type ErrorRequestHandler } from 'express'
import { jobsRouter, type JobsRouterOptions } from '../../src/express/index.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler, type MakeOptions } from './make-scheduler.js'
import { frameworks, serve, signal } from './serving.js'

const echo = defineTask('http.echo', async (value: unknown) => value, { lane: 'main' })
const secret = defineTask('http.secret', async (value: unknown) => value, { lane: 'main', sensitive: true })
const leaky = defineTask(
  'http.leaky',
  (value: string) => {
    throw new RangeError(`no user has the password ${value}`)
  },
  { attempts: 1, sensitive: true },
)
const dated = defineTask('http.dated', async (_: unknown): Promise<unknown> => new Date(0), { lane: 'main' })
const broken = defineTask('http.broken', async () => Promise.reject(new TypeError('no such mailbox')), {
  attempts: 1,
})

function makeApp(options?: JobsRouterOptions, make: MakeOptions = {}, createApp = () => express()) {
  const scheduler = makeScheduler(make)
  const app = createApp().use('/jobs', jobsRouter(scheduler, options))
  app.set('env', 'test')
  return { scheduler, app }
}

/** Resolves when the job has settled. */
function settled(scheduler: ReturnType<typeof makeScheduler>, id: string) {
  const done = signal()
  for (const name of ['completed', 'failed', 'cancelled'] as const) {
    scheduler.on(name, (event) => event.id === id && done.resolve())
  }
  return done.promise
}

async function settledJob(
  scheduler: ReturnType<typeof makeScheduler>,
  id: string,
  task = echo,
  payload: unknown = 1,
) {
  const done = settled(scheduler, id)
  scheduler.defer(task, payload, { id })
  await done
}

const without = (headers: object) => ({ ...headers, date: '' })

describe.each(frameworks)('on %s', (_name, createApp) => {
  it('GET answers the status of a job, never its payload', async () => {
    const { scheduler, app } = makeApp({}, {}, createApp)
    await settledJob(scheduler, 'a', echo, { card: 4111 })
    const res = await request(app).get('/jobs/a').expect(200)
    const job = scheduler.job('a')
    expect(res.body).toEqual({
      id: 'a', task: 'http.echo', state: 'completed', attempt: 1, maxAttempts: 5,
      acceptedAt: job?.acceptedAt, runAt: job?.runAt, startedAt: job?.startedAt, settledAt: job?.settledAt,
    }) // prettier-ignore
    expect(res.text).not.toContain('4111')
    expect(res.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    })
  })

  it('shows of an error its name and message only', async () => {
    const { scheduler, app } = makeApp({}, {}, createApp)
    const done = settled(scheduler, 'e')
    scheduler.defer(broken, undefined, { id: 'e' })
    await done
    const res = await request(app).get('/jobs/e').expect(200)
    expect(res.body).toMatchObject({
      state: 'failed',
      error: { name: 'TypeError', message: 'no such mailbox' },
    })
    expect(Object.keys(res.body.error)).toEqual(['name', 'message'])
  })

  it.each([
    ['GET', '/jobs/a', 'GET, HEAD'],
    ['GET', '/jobs/a/events', 'GET, HEAD'],
  ])('G6: HEAD is like %s %s without a body; other methods get 405 and Allow', async (_get, path, allow) => {
    const { scheduler, app } = makeApp({}, {}, createApp)
    await settledJob(scheduler, 'a')
    const get = await request(app).get(path).expect(200)
    const head = await request(app).head(path).expect(200)
    expect(head.text).toBeFalsy()
    expect(head.headers['content-type']).toBe(get.headers['content-type'])
    expect(head.headers['content-length']).toBe(get.headers['content-length'])
    for (const method of ['post', 'put', 'patch', 'trace', 'options', 'delete'] as const) {
      const res = await request(app)[method](path).expect(405)
      expect(res.headers['allow']).toBe(allow)
      expect(res.headers['content-type']).toBe('application/problem+json')
    }
  })

  it('G7: malformed and hostile ids get the same 404, byte for byte, and never 500', async () => {
    const { scheduler, app } = makeApp({}, {}, createApp)
    await settledJob(scheduler, 'a')
    const { url } = await serve(app)
    const hostile = [
      '%ff', '%00', '%', '%zz', '%2e%2e%2f', '..%2f..%2fetc%2fpasswd', 'x'.repeat(10_000), '__proto__', 'constructor',
      'toString', '%0d%0aSet-Cookie:%20a=b', '%ed%a0%80', '%C0%80', 'a%00', 'A', '%20a', '<script>', '%3Cscript%3E', "'",
      ...Array.from({ length: 181 }, (_, n) => `%${n.toString(16).padStart(2, '0')}~`),
    ] // prettier-ignore
    const answers = new Set<string>()
    for (const id of [...hostile, ...hostile.map((each) => `${each}/events`)])
      answers.add(await raw(url, `/jobs/${id}`))
    expect([...answers]).toHaveLength(1)
    expect([...answers][0]).toContain('404')
  }, 60_000)

  it('G8: another user’s job is the same 404 as an unknown one', async () => {
    const { scheduler, app } = makeApp({ authorize: async () => false }, {}, createApp)
    await settledJob(scheduler, 'a')
    for (const method of ['get', 'delete'] as const) {
      const forbidden = await request(app)[method]('/jobs/a').expect(404)
      const unknown = await request(app)[method]('/jobs/b').expect(404)
      expect(forbidden.text).toBe(unknown.text)
      expect(without(forbidden.headers)).toEqual(without(unknown.headers))
      expect(JSON.parse(forbidden.text)).toEqual({
        type: 'about:blank',
        title: 'Not Found',
        status: 404,
        detail: 'There is no such job.',
      })
    }
    const events = await request(app).get('/jobs/a/events').expect(404)
    expect(events.text).toBe((await request(app).get('/jobs/b/events')).text)
  })

  it('what authorize throws goes to the error handlers', async () => {
    for (const thrown of [Object.assign(new Error('teapot'), { status: 418 }), undefined, 'route']) {
      const authorize = () => {
        throw thrown
      }
      const { scheduler, app } = makeApp({ authorize }, {}, createApp)
      await settledJob(scheduler, 'a')
      const res = await request(app).get('/jobs/a')
      expect(res.status).toBe(thrown instanceof Error ? 418 : 500)
    }
  })

  it('an answer that somebody else gave while authorize decided stands, and nothing is done', async () => {
    const scheduler = makeScheduler()
    const job = scheduler.defer(() => new Promise(() => undefined))
    const decided = signal<boolean>()
    const failures: unknown[] = []
    const app = createApp()
    app.use((_req, res, next) => {
      next()
      res.status(503).end()
    })
    app.use('/jobs', jobsRouter(scheduler, { authorize: () => decided.promise }))
    app.use(((error, _req, _res, _next) => void failures.push(error)) as ErrorRequestHandler)
    const { url } = await serve(app)
    for (const method of ['GET', 'DELETE'])
      expect((await fetch(`${url}/jobs/${job.id}`, { method })).status).toBe(503)
    decided.resolve(true)
    await new Promise((resolve) => setImmediate(resolve))
    expect([failures, job.state]).toEqual([[], 'running'])
  })

  it('an answer that somebody else has begun while authorize decided is left to them', async () => {
    const scheduler = makeScheduler()
    const job = scheduler.defer(() => new Promise(() => undefined))
    const decided = signal<boolean>()
    const failures: unknown[] = []
    const begun: ServerResponse[] = []
    const app = createApp()
    app.use((_req, res, next) => {
      next()
      res.status(503).write('too slow, ')
      begun.push(res)
    })
    app.use('/jobs', jobsRouter(scheduler, { authorize: () => decided.promise }))
    app.use(((error, _req, _res, _next) => void failures.push(error)) as ErrorRequestHandler)
    const { url } = await serve(app)
    const answers = await Promise.all([
      fetch(`${url}/jobs/${job.id}`),
      fetch(`${url}/jobs/${job.id}/events`),
      fetch(`${url}/jobs/${job.id}`, { method: 'DELETE' }),
    ])
    decided.resolve(true)
    await new Promise((resolve) => setImmediate(resolve))
    for (const res of begun) res.end('sorry')
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(
      Array(3).fill('too slow, sorry'),
    )
    expect([failures, job.state]).toEqual([[], 'running'])
  })

  it('a request that names the whole URL, as through a proxy, gets the same answer', async () => {
    const scheduler = makeScheduler()
    const { id } = scheduler.defer(() => new Promise(() => undefined))
    const { port } = await serve(createApp().use('/jobs', jobsRouter(scheduler)))
    const ask = (path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        get({ port, host: '127.0.0.1', path, agent: false }, (res) => resolve(res.resume().statusCode)).on(
          'error',
          reject,
        )
      })
    expect(await ask(`http://app.example/jobs/${id}`)).toBe(200)
    expect(await ask('http://app.example/jobs/unknown')).toBe(404)
  })

  it('paths that are not the router’s go on to the next handler', async () => {
    const { app } = makeApp({}, {}, createApp)
    app.get('/jobs', (_req, res) => void res.send('list'))
    app.get('/jobs/a/b', (_req, res) => void res.send('mine'))
    await request(app).get('/jobs').expect(200, 'list')
    await request(app).get('/jobs/a/b').expect(200, 'mine')
  })
})

/** A request whose path no client library has touched: status, headers but Date, body. */
function raw(url: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const req = httpRequest({ hostname, port, path, agent: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      const headers = without(res.headers)
      res.on('end', () =>
        resolve(JSON.stringify([res.statusCode, headers, Buffer.concat(chunks).toString()])),
      )
    })
    req.on('error', reject)
    req.end()
  })
}

describe('results', () => {
  it('are shown only where exposed', async () => {
    const { scheduler, app } = makeApp({ expose: ['result'] })
    await settledJob(scheduler, 'a', echo, { pages: 3 })
    expect((await request(app).get('/jobs/a')).body.result).toEqual({ pages: 3 })
  })

  it('of a sensitive task are never shown', async () => {
    const { scheduler, app } = makeApp({ expose: ['result'] })
    await settledJob(scheduler, 's', secret, 'swordfish')
    expect((await request(app).get('/jobs/s').expect(200)).text).not.toContain('swordfish')
    expect((await request(app).get('/jobs/s/events').expect(200)).text).not.toContain('swordfish')
  })

  it('a sensitive task’s error tells its name only: messages often quote the payload', async () => {
    const { scheduler, app } = makeApp({ expose: ['result'] })
    const done = settled(scheduler, 's')
    scheduler.defer(leaky, 'swordfish', { id: 's' })
    await done
    const expected = { state: 'failed', error: { name: 'RangeError', message: '(withheld)' } }
    expect((await request(app).get('/jobs/s').expect(200)).body).toMatchObject(expected)
    expect((await request(app).get('/jobs/s/events').expect(200)).text).not.toContain('swordfish')
  })

  it('that were dropped are told with the reason, only where exposed', async () => {
    for (const expose of [['result'], []] as const) {
      const { scheduler, app } = makeApp({ expose: [...expose] })
      await settledJob(scheduler, 'd', dated)
      const { state, result, resultDropped } = (await request(app).get('/jobs/d')).body
      expect([state, result]).toEqual(['completed', undefined])
      if (expose.length > 0) expect(resultDropped).toContain('Date')
      else expect(resultDropped).toBeUndefined()
    }
  })

  it('with bytes are base64', async () => {
    const { scheduler, app } = makeApp({ expose: ['result'] })
    await settledJob(scheduler, 'b', echo, { png: Buffer.from('png') })
    expect((await request(app).get('/jobs/b')).body.result).toEqual({ png: 'cG5n' })
  })
})

it('G17: markup in every field is inert JSON', async () => {
  const { scheduler, app } = makeApp({ expose: ['result'] })
  const evil = '<script>alert(1)</script>'
  await settledJob(scheduler, evil, echo, evil)
  const res = await request(app)
    .get(`/jobs/${encodeURIComponent(evil)}`)
    .expect(200)
  expect(res.body).toMatchObject({ id: evil, result: evil })
  expect(res.headers).toMatchObject({
    'content-type': /^application\/json/,
    'x-content-type-options': 'nosniff',
  })
})

describe('authorize', () => {
  it('gets the request, the whole job and the action', async () => {
    const calls: unknown[] = []
    const authorize: JobsRouterOptions['authorize'] = (req, job, action) => {
      calls.push([req.headers['x-user'], job.payload, action])
      return true
    }
    const { scheduler, app } = makeApp({ authorize })
    await settledJob(scheduler, 'a', echo, { user: 'asha' })
    await request(app).get('/jobs/a').set('x-user', 'asha').expect(200)
    await request(app).delete('/jobs/a').expect(409)
    expect(calls).toEqual([
      ['asha', { user: 'asha' }, 'read'],
      [undefined, { user: 'asha' }, 'cancel'],
    ])
  })

  it('lets nobody pass with anything but true', async () => {
    for (const answer of [undefined, null, 1, 'yes', {}, []]) {
      const { scheduler, app } = makeApp({ authorize: () => answer as boolean })
      await settledJob(scheduler, 'a')
      await request(app).get('/jobs/a').expect(404)
    }
  })
})

describe('DELETE', () => {
  const running = () => {
    const { scheduler, app } = makeApp({ authorize: () => true })
    scheduler.defer(() => new Promise(() => undefined), { id: 'r' })
    return { scheduler, app }
  }

  it('cancels a job and answers its status', async () => {
    const { scheduler, app } = running()
    const res = await request(app).delete('/jobs/r').expect(200)
    expect(res.body).toMatchObject({ id: 'r', state: 'cancelled' })
    expect(scheduler.job('r')?.state).toBe('cancelled')
    await request(app).delete('/jobs/r').expect(200)
  })

  it('answers 409 when the job has ended otherwise', async () => {
    const { scheduler, app } = makeApp({ authorize: () => true })
    await settledJob(scheduler, 'a')
    const res = await request(app).delete('/jobs/a').expect(409)
    expect(JSON.parse(res.text)).toMatchObject({ status: 409, title: 'Conflict' })
  })

  const fetchSites = ['cross-site', 'same-site', 'x', ''].map((site) => ({ 'Sec-Fetch-Site': site }))
  const origins = ['https://evil.example', 'null', 'http://localhost.evil.example', 'x'].map((Origin) => ({
    Origin,
  }))
  const types = ['application/x-www-form-urlencoded', 'text/plain', 'APPLICATION/JSON', undefined]
  it.each([...fetchSites, ...origins])(
    'G15: from another site (%j) is refused whatever the content type',
    async (from) => {
      for (const type of types) {
        const { scheduler, app } = running()
        const headers = type === undefined ? from : { ...from, 'Content-Type': type }
        const res = await request(app)
          .delete('/jobs/r')
          .set(headers as Record<string, string>)
          .expect(403)
        expect(res.headers['content-type']).toBe('application/problem+json')
        expect(scheduler.job('r')?.state).not.toBe('cancelled')
      }
    },
  )

  it('G15: from this site, or from no browser, is done', async () => {
    for (const site of [
      { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://public.example' },
      { 'Sec-Fetch-Site': 'none' },
      {},
    ]) {
      await request(running().app).delete('/jobs/r').set(site).expect(200)
    }
    const { url } = await serve(running().app)
    await request(url).delete('/jobs/r').set('Origin', url).expect(200)
  })

  it('G16: nothing is changed by GET, whatever it asks for', async () => {
    const { scheduler, app } = running()
    await request(app).get('/jobs/r?_method=DELETE').set('X-HTTP-Method-Override', 'DELETE').expect(200)
    expect(scheduler.job('r')?.state).not.toBe('cancelled')
  })
})

describe('jobsRouter() refuses', () => {
  it.each([
    [{ expose: ['results'] }, "expose is an array with 'results'. Give ['result'], or leave it out."],
    [
      { expose: ['result', 'payload'] },
      "expose has 'payload': payloads are never shown. Give ['result'], or leave it out.",
    ],
    [{ expose: 'result' }, /expose is 'result'/],
    [{ authorize: true }, /authorize is true/],
    [{ authorise: () => true }, /unknown option 'authorise'/],
  ])('%j', (options, message) => {
    expect(() => jobsRouter(makeScheduler(), options as never)).toThrow(message)
  })
})
