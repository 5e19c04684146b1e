/** The adapters of src/express/README.md, on the built package: each framework defers, answers 202 and serves the job. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { serve as serveHono } from '@hono/node-server'
import middie from '@fastify/middie'
import connect from 'connect'
import express5 from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { createScheduler, type Scheduler } from 'sidework'
import { jobsRouter, sidework, type ConnectHandler } from 'sidework/express'
import { afterEach, expect, it } from 'vitest'
import { follow } from '../express/serving.js'
import { requestOf as makeReport } from '../fixtures/tasks/http.mjs'

/** Listens on a free port; answers the server and what ends it. */
type Start = (scheduler: Scheduler) => Promise<{ server: Server; close(): unknown }>

async function listen(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, close: () => server.close() }
}

const frameworks: Record<string, Start> = {
  'Express 5': (scheduler) => {
    const app = express5().use(sidework(scheduler)).use('/jobs', jobsRouter(scheduler))
    app.post('/reports', (req, res) => res.accepted(req.defer(makeReport)))
    return listen(app)
  },
  'Express 4': (scheduler) => {
    const app = express4().use(sidework(scheduler)).use('/jobs', jobsRouter(scheduler))
    app.post('/reports', (req, res) => res.accepted(req.defer(makeReport)))
    return listen(app)
  },
  connect: (scheduler) => {
    const app = connect()
    app.use(sidework(scheduler)).use('/jobs', jobsRouter(scheduler))
    app.use('/reports', (req, res) => {
      const { defer } = req as typeof req & Express.Request
      ;(res as typeof res & Express.Response).accepted(defer(makeReport))
    })
    return listen(app)
  },
  Fastify: async (scheduler) => {
    const app = fastify({ requestIdHeader: 'x-request-id' })
    await app.register(middie)
    app.use(sidework(scheduler))
    app.use('/jobs', jobsRouter(scheduler))
    app.post('/reports', (request, reply) => {
      const { defer } = request.raw as typeof request.raw & Express.Request
      const raw = reply.raw as typeof reply.raw & Express.Response
      const job = defer(makeReport)
      reply.hijack()
      raw.accepted(job)
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { server: app.server, close: () => app.close() }
  },
  Koa: (scheduler) => {
    const app = new Koa()
    const jobs = jobsRouter(scheduler)
    app.use(async (ctx, next) => {
      await use(sidework(scheduler), ctx.req, ctx.res)
      await next()
    })
    app.use(async (ctx, next) => {
      if (!ctx.path.startsWith('/jobs/')) return next()
      const { url = '' } = ctx.req
      ctx.req.url = url.slice('/jobs'.length)
      ctx.respond = false
      await use(jobs, ctx.req, ctx.res)
    })
    app.use((ctx) => {
      const { defer } = ctx.req as typeof ctx.req & Express.Request
      const job = defer(makeReport)
      ctx.respond = false
      ;(ctx.res as typeof ctx.res & Express.Response).accepted(job)
    })
    return listen(app.callback())
  },
  Hono: async (scheduler) => {
    const { RESPONSE_ALREADY_SENT } = await import('@hono/node-server/utils/response')
    const app = new Hono<{ Bindings: import('@hono/node-server').HttpBindings }>()
    const jobs = jobsRouter(scheduler)
    app.use(async (c, next) => {
      await use(sidework(scheduler), c.env.incoming, c.env.outgoing)
      await next()
    })
    app.all('/jobs/*', async (c) => {
      const { incoming, outgoing } = c.env
      incoming.url = incoming.url?.slice('/jobs'.length) ?? ''
      await use(jobs, incoming, outgoing)
      return RESPONSE_ALREADY_SENT
    })
    app.post('/reports', (c) => {
      const { defer } = c.env.incoming as typeof c.env.incoming & Express.Request
      const job = defer(makeReport)
      ;(c.env.outgoing as typeof c.env.outgoing & Express.Response).accepted(job)
      return RESPONSE_ALREADY_SENT
    })
    const server = serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
    await once(server, 'listening')
    return { server, close: () => server.close() }
  },
}

/** A connect-style handler where there is a promise to wait for: until it calls on, or its response has ended. */
function use(handle: ConnectHandler, req: Parameters<ConnectHandler>[0], res: Parameters<ConnectHandler>[1]) {
  return new Promise<void>((resolve, reject) => {
    res.once('close', resolve)
    handle(req, res, (error) => (error === undefined ? resolve() : reject(error as Error)))
  })
}

let scheduler: Scheduler | undefined
afterEach(() => scheduler?.close({ timeout: 0 }))

it.each(Object.entries(frameworks))(
  '%s defers a job, answers 202, and serves the job and its events',
  async (_name, start) => {
    scheduler = createScheduler({
      tasks: new URL('../fixtures/tasks/http.mjs', import.meta.url),
      threads: 1,
      logger: false,
    })
    const { server, close } = await start(scheduler)
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    const accepted = await fetch(`${url}/reports`, { method: 'POST', headers: { 'X-Request-Id': 'r1' } })
    expect(accepted.status).toBe(202)
    const { id, links } = (await accepted.json()) as { id: string; links: { self: string; events: string } }
    expect(accepted.headers.get('location')).toBe(`/jobs/${id}`)

    const stream = await follow(url + links.events)
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    const end = (await stream.rest()).at(-1)
    expect(end?.status).toMatchObject({ id, state: 'completed' })
    expect(scheduler.job(id)?.result).toEqual({ id: 'r1' })

    const status = await fetch(url + links.self)
    expect(status.status).toBe(200)
    expect(status.headers.get('cache-control')).toBe('no-store')
    expect(await status.json()).toMatchObject({ id, state: 'completed' })
    const unknown = await fetch(`${url}/jobs/unknown`)
    expect(unknown.status).toBe(404)
    expect(unknown.headers.get('content-type')).toBe('application/problem+json')
    await close()
  },
)

it('the code of the document is the code that is run here', async () => {
  const [readme, own] = await Promise.all(
    ['../../src/express/README.md', './adapters.test.ts'].map((file) =>
      readFile(new URL(file, import.meta.url), 'utf8'),
    ),
  )
  const plain = (code = '') => code.replace(/\s+/g, ' ').trim()
  for (const name of ['connect', 'fastify', 'use', 'koa', 'hono']) {
    const [, code] = new RegExp(`^\\x60{3}ts ${name}\\n([^]*?)^\\x60{3}$`, 'm').exec(readme ?? '') ?? []
    expect(code).toBeDefined()
    expect(plain(own)).toContain(plain(code))
  }
})
