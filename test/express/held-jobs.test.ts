import { once } from 'node:events'
import { connect } from 'node:net'
import type { Request, Response } from 'express'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { sidework, type DeferMoment, type SideworkOptions } from '../../src/express/index.js'
import type { Job, Scheduler } from '../../src/scheduler.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, serve, signal } from './serving.js'

const note = defineTask('held.note', (n: number) => n, { lane: 'main' })

/** Ways a handler can end its response. */
const ends: Record<string, (res: Response) => void> = {
  '200': (res) => void res.send('ok'),
  '204': (res) => void res.status(204).end(),
  '302': (res) => void res.redirect('/elsewhere'),
  '404': (res) => void res.status(404).send('no'),
  '500': (res) => void res.status(500).send('no'),
  throws: () => {
    throw new Error('oops')
  },
  destroyed: (res) => {
    res.write('half')
    res.destroy()
  },
}

/** Deferred with each moment: the ends after which the job runs. */
const rules: [DeferMoment, string[]][] = [
  ['now', ['200', '204', '302', '404', '500', 'throws', 'destroyed']],
  ['success', ['200', '204', '302']],
  ['finish', ['200', '204', '302', '404', '500', 'throws']],
  ['close', ['200', '204', '302', '404', '500', 'throws', 'destroyed']],
]

/** Runs one request and answers its jobs once all are settled. */
async function visit(
  createApp: (typeof frameworks)[number][1],
  scheduler: Scheduler,
  handle: (req: Request, res: Response) => Job<unknown>[],
  options?: SideworkOptions,
): Promise<{ jobs: Job<unknown>[]; status: number | undefined }> {
  const app = createApp().use(sidework(scheduler, options))
  app.set('env', 'test')
  const closed = signal()
  const jobs: Job<unknown>[] = []
  app.all('/', (req, res) => {
    res.once('close', () => closed.resolve())
    jobs.push(...handle(req, res))
  })
  const { url } = await serve(app)
  const status = await fetch(url, { redirect: 'manual' }).then(
    async (res) => {
      await res.text().catch(() => undefined) // cut off on purpose in some rows
      return res.status
    },
    () => undefined,
  )
  await closed.promise
  await Promise.allSettled(jobs.map((job) => job.result()))
  return { jobs, status }
}

describe.each(frameworks)('on %s', (_name, createApp) => {
  describe.each(rules)("a job deferred on '%s'", (on, runsAfter) => {
    it.each(Object.keys(ends))('G3: response %s', async (end) => {
      const scheduler = makeScheduler()
      let job: Job<unknown> | undefined
      await visit(createApp, scheduler, (req, res) => {
        job = req.defer(note, 1, { on })
        expect(job.state).toBe(on === 'now' ? 'ready' : 'held')
        ends[end]?.(res)
        return [job]
      })
      await Promise.allSettled([job?.result()])
      expect(job?.state).toBe(runsAfter.includes(end) ? 'completed' : 'cancelled')
    })
  })

  it('the middleware may say when jobs go that do not say so themselves, flows too', async () => {
    const scheduler = makeScheduler()
    const states: string[] = []
    const seen = await visit(
      createApp,
      scheduler,
      (req, res) => {
        const jobs = [req.defer(note, 1), req.defer(note, 2, { on: 'now' }), req.defer(() => 3)]
        const flow = req.defer.chain([{ task: note, payload: 4 }])
        states.push(...jobs.map(({ state }) => state), flow.state)
        res.status(404).send('no')
        return jobs
      },
      { on: 'success' },
    )
    expect(states).toEqual(['held', 'ready', 'held', 'held'])
    expect(seen.jobs.map(({ state }) => state)).toEqual(['cancelled', 'completed', 'cancelled'])
  })

  it('three held jobs and then a throw: none runs, and none leaves a thing behind', async () => {
    const scheduler = makeScheduler()
    let jobs: Job<unknown>[] = []
    await visit(createApp, scheduler, (req) => {
      jobs = [1, 2, 3].map((n) => req.defer(note, n, { on: 'success' }))
      throw new Error('oops')
    })
    await Promise.allSettled(jobs.map((job) => job.result()))
    expect(jobs.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled'])
    expect(scheduler.stats()).toMatchObject({ held: 0, completed: 0, cancelled: 3, queuedBytes: 0 })
  })

  it('discard() cancels what is held, and a response that succeeds brings nothing back', async () => {
    const scheduler = makeScheduler()
    const { jobs } = await visit(createApp, scheduler, (req, res) => {
      const held = [req.defer(note, 1, { on: 'success' }), req.defer(() => 2, { on: 'finish' })]
      expect(req.defer.discard()).toBe(2)
      expect(req.defer.discard()).toBe(0)
      res.send('ok')
      return [...held, req.defer(note, 3, { on: 'success' })]
    })
    expect(jobs.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'completed'])
  })
})

const [, createApp] = frameworks[0] ?? []

describe('a held job', () => {
  const app = () => (createApp ?? (() => expect.unreachable()))()

  it('discard() counts those that it discarded, not one that was cancelled before', async () => {
    let discarded: number | undefined
    await visit(app, makeScheduler(), (req, res) => {
      const held = [1, 2].map((n) => req.defer(note, n, { on: 'success' }))
      held[0]?.cancel()
      discarded = req.defer.discard()
      res.send('ok')
      return held
    })
    expect(discarded).toBe(1)
  })

  it('is checked and counted at the call: a full queue is refused before the answer, never after it', async () => {
    const scheduler = makeScheduler({ maxQueued: 1 })
    const server = app().use(sidework(scheduler))
    server.set('env', 'test')
    server.post('/', (req, res) => {
      req.defer(note, 1, { on: 'success' })
      req.defer(note, 2, { on: 'success' })
      res.sendStatus(202)
    })
    await request(server).post('/').expect(503)
  })

  it('starts its delay when it is let go', async () => {
    const scheduler = makeScheduler()
    const { jobs } = await visit(app, scheduler, (req, res) => {
      const job = req.defer(note, 1, { on: 'success', delay: 20 })
      res.send('ok')
      return [job]
    })
    const { acceptedAt, runAt } = jobs[0]?.snapshot() ?? expect.unreachable()
    expect(runAt).toBeGreaterThanOrEqual(acceptedAt + 20)
    expect(jobs[0]?.state).toBe('completed')
  })

  it('that is deferred after the response was sent is decided at once', async () => {
    const scheduler = makeScheduler()
    const sent = signal<Job<unknown>>()
    await visit(app, scheduler, (req, res) => {
      res.once('finish', () => sent.resolve(req.defer(note, 1, { on: 'success' })))
      res.send('ok')
      return []
    })
    const job = await sent.promise
    expect(job.state).not.toBe('held')
    expect(await job.result()).toBe(1)
  })

  it('G1: is discarded when the client goes away before the answer', async () => {
    const scheduler = makeScheduler()
    const held = signal<Job<unknown>>()
    const server = app().use(sidework(scheduler))
    server.get('/', (req) => held.resolve(req.defer(note, 1, { on: 'success' })))
    const { port } = await serve(server)
    const client = connect(port, '127.0.0.1')
    await once(client, 'connect')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const job = await held.promise
    client.destroy()
    await expect(job.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED' })
    expect(job.snapshot().error?.message).toContain('went away')
  })

  it('is discarded when the client goes away while its answer is being sent', async () => {
    const scheduler = makeScheduler()
    const held = signal<Job<unknown>>()
    const server = app().use(sidework(scheduler))
    server.get('/', (req, res) => {
      res.end(Buffer.alloc(32 * 2 ** 20))
      held.resolve(req.defer(note, 1, { on: 'success' }))
    })
    const { port } = await serve(server)
    const client = connect(port, '127.0.0.1').pause()
    await once(client, 'connect')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const job = await held.promise
    client.resetAndDestroy()
    await expect(job.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED' })
  })

  it('is discarded when it is deferred after an answer that found no client any more', async () => {
    const scheduler = makeScheduler()
    const [arrived, held] = [signal(), signal<Job<unknown>>()]
    const server = app().use(sidework(scheduler))
    server.get('/', (req, res) => {
      arrived.resolve()
      res.once('close', () => {
        res.send('too late')
        held.resolve(req.defer(note, 1, { on: 'success' }))
      })
    })
    const { port } = await serve(server)
    const client = connect(port, '127.0.0.1')
    await once(client, 'connect')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await arrived.promise
    client.destroy()
    const job = await held.promise
    await expect(job.result()).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED' })
  })

  it('is discarded when the client goes away while an earlier request of its connection is answered', async () => {
    const scheduler = makeScheduler()
    const jobs: Job<unknown>[] = []
    const [held, late] = [signal(), signal()]
    const server = app().use(sidework(scheduler))
    server.get('/slow', () => undefined)
    server.get('/:on', (req, res) => {
      const on = req.params.on as DeferMoment
      const defer = () => jobs.push(req.defer(note, 1, { on }))
      defer()
      res.send('ok')
      req.socket.once('close', () => {
        setImmediate(() => late.resolve(void defer()))
      })
      if (jobs.length === 2) held.resolve()
    })
    const { port } = await serve(server)
    const client = connect(port, '127.0.0.1')
    await once(client, 'connect')
    for (const path of ['slow', 'success', 'close']) client.write(`GET /${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await held.promise
    client.destroy()
    await late.promise
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.allSettled(jobs.map((job) => job.result()))
    expect(jobs.map(({ state }) => state)).toEqual(['cancelled', 'completed', 'cancelled', 'completed'])
  })

  it('leaves the job of another request alone', async () => {
    const scheduler = makeScheduler()
    const other = scheduler.defer(note, 9, { delay: '1h' })
    await visit(app, scheduler, (req, res) => {
      req.defer(note, 1, { on: 'success' })
      res.sendStatus(500)
      return []
    })
    expect(other.state).toBe('scheduled')
  })

  it.each([['later'], [''], [0], [null], ['SUCCESS'], ['toString']])(
    'on: %j is refused at the call',
    async (on) => {
      const scheduler = makeScheduler()
      await visit(app, scheduler, (req, res) => {
        const defer = () => req.defer(note, 1, { on: on as DeferMoment })
        expect(defer).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }))
        res.send('ok')
        return []
      })
      expect(scheduler.stats().accepted).toBe(0)
    },
  )
})
