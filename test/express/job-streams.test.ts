import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { createGzip } from 'node:zlib'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import compression from 'compression'
import express, { type RequestHandler } from 'express'
import { jobsRouter, type JobsRouterOptions } from '../../src/express/index.js'
import type { Progress } from '../../src/job/snapshot.js'
import type { Scheduler } from '../../src/scheduler.js'
import type { TaskContext } from '../../src/task/context.js'
import { Snooze } from '../../src/task/control.js'
import { defineTask } from '../../src/task/define-task.js'
import { createTestScheduler } from '../../src/testing/index.js'
import { makeScheduler, type MakeOptions } from './make-scheduler.js'
import { follow, frameworks, serve, signal, type SseEvent } from './serving.js'

/** The clock's ticks, under the test's control. */
const beats = vi.hoisted(() => new Set<() => void>())
vi.mock('../../src/clock.js', async (original) => ({
  ...(await original<object>()),
  every: (intervalMs: number, run: () => void) => {
    expect(intervalMs).toBe(15_000)
    beats.add(run)
    return () => beats.delete(run)
  },
}))
const beat = () => beats.forEach((run) => run())
beforeEach(() => beats.clear())

interface Setup {
  options?: JobsRouterOptions
  make?: MakeOptions
  createApp?: () => ReturnType<typeof express>
  before?: RequestHandler
}

/** A served router, its scheduler and the responses it has given. */
async function setUp({ options, make, createApp = express, before = (_q, _s, next) => next() }: Setup = {}) {
  const scheduler = makeScheduler(make)
  const listening = countListeners(scheduler)
  const responses: ServerResponse[] = []
  const app = createApp()
  app.use((_req, res, next) => {
    responses.push(res)
    next()
  })
  app.use(before).use('/jobs', jobsRouter(scheduler, options))
  app.set('env', 'test')
  const { url, port, server } = await serve(app)
  return { scheduler, listening, responses, url, port, server }
}

function countListeners(scheduler: Scheduler) {
  const listening = { now: 0, most: 0 }
  const { on, off } = scheduler
  scheduler.on = function (this: Scheduler, ...args: Parameters<Scheduler['on']>) {
    listening.most = Math.max(listening.most, ++listening.now)
    return on.apply(this, args)
  } as Scheduler['on']
  scheduler.off = function (this: Scheduler, ...args: Parameters<Scheduler['off']>) {
    listening.now--
    return off.apply(this, args)
  } as Scheduler['off']
  return listening
}

/** A job that runs until the test ends it. */
function runningJob(scheduler: Scheduler, id = 'r') {
  const [started, end] = [signal<(value: Progress) => void>(), signal<unknown>()]
  scheduler.defer((context) => (started.resolve(context.progress), end.promise), { id })
  return { started: started.promise, end: end.resolve }
}

const states = (events: SseEvent[]) => events.map(({ event, status }) => [event, status.state])
const closedEvents = (responses: ServerResponse[]) =>
  Promise.all(responses.map((res) => res.closed || once(res, 'close')))

describe.each(frameworks)('on %s', (_name, createApp) => {
  it('a stream tells every change of a job with its status, and ends with the job', async () => {
    const { scheduler, listening, responses, url } = await setUp({ createApp })
    const job = runningJob(scheduler)
    const client = await follow(`${url}/jobs/r/events`)
    expect(client.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    })
    expect(await client.next()).toMatchObject({ retry: '2000' })
    const first = await client.next()
    expect(first).toMatchObject({ event: 'state', status: { id: 'r', state: 'running', attempt: 1 } })
    const progress = await job.started
    progress(0.5)
    const half = await client.next()
    expect(half).toMatchObject({ event: 'progress', status: { state: 'running', progress: 0.5 } })
    job.end(1)
    const rest = await client.rest()
    expect(states(rest)).toEqual([['state', 'completed']])
    const ids = [first, half, ...rest].map((event) => Number(event?.id))
    expect(ids.every((id, n) => Number.isSafeInteger(id) && id > (ids[n - 1] ?? 0))).toBe(true)
    await closedEvents(responses)
    expect(listening.now).toBe(0)
  })

  it('G14: a stream of a settled job is one event and the end; of an unknown job a plain 404', async () => {
    const { scheduler, listening, url } = await setUp({ createApp })
    scheduler.defer(() => 1, { id: 'c' }).cancel('no longer wanted')
    const client = await follow(`${url}/jobs/c/events`)
    const [retry, ...rest] = await client.rest()
    expect(retry?.retry).toBe('2000')
    expect(states(rest)).toEqual([['state', 'cancelled']])
    const unknown = await follow(`${url}/jobs/unknown/events`)
    expect(unknown.response.statusCode).toBe(404)
    expect(unknown.response.headers['content-type']).toBe('application/problem+json')
    unknown.leave()
    expect(listening.most).toBeGreaterThan(0)
  })
})

it('a stream tells retries and the last error', async () => {
  const { scheduler, url } = await setUp()
  const go = signal()
  const fail = async () => {
    await go.promise
    throw new RangeError('too far')
  }
  scheduler.defer(fail, { id: 'f', attempts: 2 })
  const client = await follow(`${url}/jobs/f/events`)
  await client.next()
  await client.next()
  go.resolve()
  const rest = await client.rest()
  expect(states(rest).map(([, state]) => state)).toEqual(['retrying', 'running', 'failed'])
  expect(rest.at(-1)?.status).toMatchObject({ attempt: 2, error: { name: 'RangeError', message: 'too far' } })
})

it('nothing is told of a job while it waits, as the README says: from held, past scheduled and ready, to running', async () => {
  const scheduler = createTestScheduler()
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const { url } = await serve(express().use('/jobs', jobsRouter(scheduler)))
  const job = scheduler.hold(undefined, () => 1, { delay: '1m' })
  const client = await follow(`${url}/jobs/${job.id}/events`)
  await client.next()
  expect(await client.next()).toMatchObject({ status: { state: 'held' } })
  scheduler.releaseHeld([job.id])
  expect(job.state).toBe('scheduled')
  await scheduler.advance('2m')
  expect(states(await client.rest()).map(([, state]) => state)).toEqual(['running', 'completed'])
})

it('the end of a job that is not kept is told all the same', async () => {
  const { scheduler, url } = await setUp({ make: { keep: { completed: 0 } } })
  const job = runningJob(scheduler)
  const client = await follow(`${url}/jobs/r/events`)
  await client.next()
  await client.next()
  job.end(1)
  const rest = await client.rest()
  expect(states(rest)).toEqual([['state', 'completed']])
  expect(rest[0]?.status).toMatchObject({ id: 'r', settledAt: expect.any(Number) })
})

it.each([
  ['failed', false, 'card 4111'],
  ['failed', true, '(withheld)'],
  ['cancelled', false, 'not wanted'],
])('that it %s, too, and why (sensitive: %s)', async (state, sensitive, message) => {
  const { scheduler, url } = await setUp({ make: { keep: { completed: 0, failed: 0 } } })
  const end = signal()
  const pay = defineTask('streams.pay', () => end.promise.then(() => Promise.reject(new Error('card 4111'))), {
    lane: 'main', attempts: 1, sensitive,
  }) // prettier-ignore
  const job = scheduler.defer(pay)
  const client = await follow(`${url}/jobs/${job.id}/events`)
  await client.next()
  await client.next()
  if (state === 'cancelled') job.cancel('not wanted')
  else end.resolve()
  const last = (await client.rest()).at(-1)
  expect(last).toMatchObject({ event: 'state', status: { state, error: { message } } })
  expect(scheduler.job(job.id)).toBeUndefined()
})

it('and of one that completed after a failed attempt no error is left', async () => {
  const { scheduler, url } = await setUp({ make: { keep: { completed: 0 } } })
  const go = signal()
  let attempts = 0
  scheduler.defer(() => go.promise.then(() => attempts++ || Promise.reject(new Error('not yet'))), {
    id: 'f',
  })
  const client = await follow(`${url}/jobs/f/events`)
  await client.next()
  await client.next()
  go.resolve()
  const rest = await client.rest()
  expect(rest.at(0)?.status).toMatchObject({ state: 'retrying', error: { message: 'not yet' } })
  expect(rest.at(-1)?.status).toMatchObject({ state: 'completed' })
  expect(rest.at(-1)?.status).not.toHaveProperty('error')
})

it('and of a flow that is not kept all its steps', async () => {
  const { scheduler, url } = await setUp({ make: { keep: { completed: 0, failed: 0 } } })
  const end = signal()
  const step = defineTask('streams.step', () => end.promise, { lane: 'main' })
  const flow = scheduler.chain([{ task: step }, { task: step }])
  const client = await follow(`${url}/jobs/${flow.id}/events`)
  await client.next()
  await client.next()
  end.resolve()
  const last = (await client.rest()).at(-1)
  expect(last?.status).toMatchObject({
    state: 'completed', progress: { total: 2, completed: 2, failed: 0, ratio: 1 },
  }) // prettier-ignore
})

it('many streams share one set of listeners, and none is left a minute after the last client has gone', async () => {
  const warned = vi.fn()
  process.on('warning', warned)
  const { scheduler, listening, responses, url } = await setUp()
  runningJob(scheduler)
  expect(listening.now).toBe(0)
  const clients = await Promise.all(Array.from({ length: 50 }, () => follow(`${url}/jobs/r/events`)))
  expect(listening.now).toBe(12)
  expect(beats.size).toBe(1)
  for (const client of clients) client.leave()
  await closedEvents(responses)
  for (let n = 0; n < 3; n++) beat()
  expect(listening.now).toBe(12) // their connections may have been lost: for a minute they may come back
  beat()
  expect(listening).toEqual({ now: 0, most: 12 })
  expect(beats.size).toBe(0)
  process.off('warning', warned)
  expect(warned).not.toHaveBeenCalled()
})

it('a client that goes while an earlier request of its connection is answered leaves nothing behind', async () => {
  const [waiting, opened] = [signal(), signal()]
  const { scheduler, listening, responses, port } = await setUp({
    before: (req, _res, next) => {
      if (req.path === '/slow') return waiting.resolve()
      next()
      opened.resolve()
    },
  })
  runningJob(scheduler)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  for (const path of ['/slow', '/jobs/r/events']) socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await waiting.promise
  await opened.promise
  await new Promise((resolve) => setImmediate(resolve))
  expect(listening.now).toBe(12)
  const closed = responses[0] && once(responses[0].req.socket, 'close')
  socket.destroy()
  await closed
  for (let n = 0; n < 4; n++) beat()
  expect(listening.now).toBe(0)
})

it('a stream that somebody else ends is not written to any more', async () => {
  const { scheduler, responses, url } = await setUp()
  runningJob(scheduler)
  const client = await follow(`${url}/jobs/r/events`)
  await client.next()
  const [res] = responses
  const errors: unknown[] = []
  res?.on('error', (error) => errors.push(error))
  res?.end()
  beat()
  await client.rest()
  expect(errors).toEqual([])
})

it('a client that goes while authorize decides leaves nothing behind', async () => {
  const [asked, allow] = [signal(), signal<boolean>()]
  const authorize = () => (asked.resolve(), allow.promise)
  const { scheduler, listening, responses, url } = await setUp({ options: { authorize } })
  runningJob(scheduler)
  const opening = follow(`${url}/jobs/r/events`).catch(() => undefined)
  await asked.promise
  responses[0]?.req.socket.destroy()
  await closedEvents(responses)
  allow.resolve(true)
  await opening
  expect(listening.most).toBe(0)
})

describe('G9: a reader that never reads', () => {
  const unread = async (port: number) => {
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write('GET /jobs/r/events HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(socket, 'connect')
    return socket
  }
  /** A job with 8 KB to tell about, again and again, until the reader of the response has long been behind. */
  const chattyJob = (scheduler: Scheduler, responses: ServerResponse[]) => {
    const [behind, end] = [signal(), signal<unknown>()]
    const seen = { mostBytes: 0, timesBehind: 0 }
    const chat = ({ progress }: TaskContext) => {
      const bytes = responses[0]?.writableLength ?? 0
      seen.mostBytes = Math.max(seen.mostBytes, bytes)
      if (bytes > 50_000) seen.timesBehind++
      progress({ ratio: seen.timesBehind / 100, message: 'x'.repeat(8000) })
      if (seen.timesBehind < 100) throw new Snooze(0)
      behind.resolve()
      return end.promise
    }
    scheduler.defer(chat, { id: 'r' })
    return { seen, behind: behind.promise, end: end.resolve }
  }

  it('costs at most 64 KB, and gets the latest state once it reads', async () => {
    const { scheduler, responses, port } = await setUp()
    const job = chattyJob(scheduler, responses)
    const socket = await unread(port)
    await job.behind
    expect(job.seen.mostBytes).toBeLessThanOrEqual(64 * 1024)
    job.end('done')
    let text = ''
    const told = signal()
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-50_000)
      if (text.includes('"state":"completed"')) told.resolve()
    })
    socket.resume()
    await told.promise
    expect(text).toContain('"ratio":1,')
    socket.destroy()
  })

  it('is cut off at once when the scheduler closes', async () => {
    const { scheduler, listening, responses, port } = await setUp()
    const job = chattyJob(scheduler, responses)
    const socket = await unread(port)
    await job.behind
    await scheduler.close({ timeout: 0 })
    expect(responses[0]?.destroyed).toBe(true)
    await closedEvents(responses)
    expect(listening.now).toBe(0)
    socket.destroy()
  })

  it('with room for the last event gets until the next beat to read it when the scheduler closes', async () => {
    const { scheduler, listening, responses, port } = await setUp()
    const behind = signal()
    let ratio = 0
    const chat = async ({ progress }: TaskContext) => {
      progress({ ratio: (ratio += 1e-6), message: 'x'.repeat(8000) })
      await new Promise((resolve) => setImmediate(resolve)) // so that the connection has taken what it can
      if (responses[0]?.writableLength === 0) throw new Snooze(0)
      behind.resolve()
      return new Promise(() => undefined)
    }
    scheduler.defer(chat, { id: 'r' })
    const socket = await unread(port)
    await behind.promise
    await scheduler.close({ timeout: 0 })
    expect(responses[0]?.destroyed).toBe(false)
    beat()
    expect(responses[0]?.destroyed).toBe(true)
    await closedEvents(responses)
    expect(listening.now).toBe(0)
    socket.destroy()
  })

  it('is cut off when it is still behind after two beats', async () => {
    const { scheduler, listening, responses, port } = await setUp()
    const job = chattyJob(scheduler, responses)
    const socket = await unread(port)
    await job.behind
    beat()
    expect(responses[0]?.destroyed).toBe(false)
    beat()
    expect(responses[0]?.destroyed).toBe(true)
    await closedEvents(responses)
    for (let n = 0; n < 4; n++) beat()
    expect(listening.now).toBe(0)
    socket.destroy()
  })
})

it('a result that is too large for an event is left to GET', async () => {
  const { scheduler, url } = await setUp({ options: { expose: ['result'] } })
  const job = runningJob(scheduler)
  const client = await follow(`${url}/jobs/r/events`)
  job.end('x'.repeat(500_000))
  const last = (await client.rest()).at(-1)
  expect(last?.status.state).toBe('completed')
  expect(last?.status.result).toBeUndefined()
  const { result } = (await (await fetch(`${url}/jobs/r`)).json()) as { result: string }
  expect(result).toHaveLength(500_000)
})

describe('G10: too many streams', () => {
  it('of one job get 503 with Retry-After, and room again when one goes', async () => {
    const { scheduler, responses, url } = await setUp()
    runningJob(scheduler)
    const clients = await Promise.all(Array.from({ length: 100 }, () => follow(`${url}/jobs/r/events`)))
    const refused = await follow(`${url}/jobs/r/events`)
    expect(refused.response.statusCode).toBe(503)
    expect(refused.response.headers).toMatchObject({
      'retry-after': '5',
      'content-type': 'application/problem+json',
    })
    const gone = once(responses[0] as ServerResponse, 'close')
    clients.forEach((client) => client.leave())
    await gone
    expect((await follow(`${url}/jobs/r/events`)).response.statusCode).toBe(200)
  })

  it('in all get 503 too', async () => {
    const { scheduler, url } = await setUp()
    for (let n = 0; n < 11; n++) runningJob(scheduler, `r${n}`)
    for (let n = 0; n < 10; n++) {
      await Promise.all(Array.from({ length: 100 }, () => follow(`${url}/jobs/r${n}/events`)))
    }
    expect((await follow(`${url}/jobs/r10/events`)).response.statusCode).toBe(503)
  }, 60_000)
})

describe('Last-Event-ID', () => {
  it.each([
    ['garbage'],
    ['-1'],
    ['1e30'],
    ['999999999999999999999'],
    ['0'],
    ['9007199254740991'],
    ['__proto__'],
    ['1.5'],
  ])('G11: %j is ignored', async (id) => {
    const { scheduler, url } = await setUp()
    scheduler.defer(() => 1, { id: 'c' }).cancel()
    const client = await follow(`${url}/jobs/c/events`, { 'Last-Event-ID': id })
    expect(states((await client.rest()).slice(1))).toEqual([['state', 'cancelled']])
  })

  it('of the final event stops the browser from reconnecting', async () => {
    const { scheduler, url } = await setUp()
    scheduler.defer(() => 1, { id: 'c' }).cancel()
    const final = (await (await follow(`${url}/jobs/c/events`)).rest()).at(-1)
    const again = await follow(`${url}/jobs/c/events`, { 'Last-Event-ID': final?.id ?? '' })
    expect(again.response.statusCode).toBe(204)
    expect(await again.rest()).toEqual([])
  })

  /** A job that reports progress once per `step()`, as quickly as it is told. */
  const steppingJob = (scheduler: Scheduler, id: string) => {
    const steps: { resolve: () => void; promise: Promise<void> }[] = []
    const stepAt = (n: number) => (steps[n] ??= signal())
    let [taken, told] = [0, 0]
    scheduler.defer(
      async ({ progress }) => {
        const n = taken++
        await stepAt(n).promise
        progress({ message: `step ${n}` })
        throw new Snooze(0)
      },
      { id },
    )
    const changed = () => new Promise((resolve) => scheduler.once('started', resolve))
    /** Resolves when the step has been told to everybody. */
    return async () => {
      const next = changed()
      stepAt(told++).resolve()
      await next
    }
  }

  it('a client that loses its connection again and again misses nothing and sees nothing twice', async () => {
    const { scheduler, responses, url } = await setUp()
    const step = steppingJob(scheduler, 'r')
    const steady = await follow(`${url}/jobs/r/events`)
    const [steadySeen, seen]: [SseEvent[], SseEvent[]] = [[], []]
    steadySeen.push((await steady.next()) as SseEvent, (await steady.next()) as SseEvent)
    for (const [round, connected] of [3, 0, 1, 5, 0, 2].entries()) {
      const lastId = seen.findLast(({ id }) => id !== undefined)?.id
      const client = await follow(
        `${url}/jobs/r/events`,
        lastId === undefined ? {} : { 'Last-Event-ID': lastId },
      )
      const before = seen.length
      expect(await client.next()).toMatchObject({ retry: '2000' })
      if (round === 0) seen.push((await client.next()) as SseEvent)
      // Everything that happened meanwhile, then what happens while it is connected.
      const missed = round === 0 ? 0 : 4 * 3
      for (let n = 0; n < missed; n++) seen.push((await client.next()) as SseEvent)
      for (let n = 0; n < connected; n++) {
        await step()
        for (let m = 0; m < 3; m++) seen.push((await client.next()) as SseEvent)
      }
      expect(seen.length - before).toBe((round === 0 ? 1 : 0) + missed + 3 * connected)
      const closed = once(responses.at(-1) as ServerResponse, 'close')
      client.leave()
      await closed
      for (let n = 0; n < 4; n++) await step()
    }
    scheduler.cancel('r')
    for (const event of await steady.rest()) steadySeen.push(event)
    const lastId = seen.at(-1)?.id ?? ''
    seen.push(...(await (await follow(`${url}/jobs/r/events`, { 'Last-Event-ID': lastId })).rest()).slice(1))
    const told = (events: SseEvent[]) =>
      events.map(({ event, id, status }) => [event, id, JSON.stringify(status)])
    expect(told(seen)).toEqual(told(steadySeen.slice(1)))
    const ids = seen.map(({ id }) => Number(id))
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
  })

  it('of an earlier run gets the state of now when the job was retried, with an id of its own', async () => {
    const scheduler = createTestScheduler()
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const { url } = await serve(express().use('/jobs', jobsRouter(scheduler)))
    const flaky = defineTask('streams.flaky', () => Promise.reject(new Error('no')), {
      lane: 'main',
      attempts: 1,
    })
    const job = scheduler.defer(flaky)
    const flow = scheduler.chain([{ task: flaky }])
    const told = async (id: string, headers?: Record<string, string>) => {
      const client = await follow(`${url}/jobs/${id}/events`, headers)
      await client.next()
      return { client, first: (await client.next()) as SseEvent }
    }
    const before = [await told(job.id), await told(flow.id)]
    await scheduler.advance('1m')
    const ends = await Promise.all(before.map(({ client }) => client.rest()))
    expect(ends.map((events) => events.at(-1)?.status.state)).toEqual(['failed', 'failed'])
    scheduler.retry(job.id)
    scheduler.retry(Object.values(flow.jobs)[0]?.id ?? '')
    const seen = before.map(({ first }) => ({ 'Last-Event-ID': first.id ?? '' }))
    const [again, flowAgain] = [await told(job.id, seen[0]), await told(flow.id, seen[1])]
    expect([again.first.status.state, flowAgain.first.status.state]).toEqual(['ready', 'running'])
    expect(Number(again.first.id)).toBeGreaterThan(Number(ends[0]?.at(-1)?.id))
    for (const { client } of [again, flowAgain]) client.leave()
  })

  it('of an event that is kept no longer gets the state of now', async () => {
    const { scheduler, responses, url } = await setUp()
    const step = steppingJob(scheduler, 'r')
    const client = await follow(`${url}/jobs/r/events`)
    await client.next()
    const seen = await client.next()
    const closed = once(responses[0] as ServerResponse, 'close')
    client.leave()
    await closed
    for (let n = 0; n < 100; n++) await step() // 300 changes; 256 are kept
    const again = await follow(`${url}/jobs/r/events`, { 'Last-Event-ID': seen?.id ?? '' })
    await again.next()
    expect(await again.next()).toMatchObject({ event: 'state', status: { progress: { message: 'step 99' } } })
    again.leave()
  })

  it('nothing has changed: nothing is told, and the stream goes on', async () => {
    const { scheduler, responses, url } = await setUp()
    const job = runningJob(scheduler)
    await job.started
    const client = await follow(`${url}/jobs/r/events`)
    await client.next()
    const seen = await client.next()
    const closed = once(responses[0] as ServerResponse, 'close')
    client.leave()
    await closed
    const again = await follow(`${url}/jobs/r/events`, { 'Last-Event-ID': seen?.id ?? '' })
    job.end(1)
    expect(states((await again.rest()).slice(1))).toEqual([['state', 'completed']])
  })

  it('of an earlier event resumes with the current state', async () => {
    const { scheduler, url } = await setUp()
    const job = runningJob(scheduler)
    const client = await follow(`${url}/jobs/r/events`)
    await client.next()
    const seen = await client.next()
    client.leave()
    const again = await follow(`${url}/jobs/r/events`, { 'Last-Event-ID': seen?.id ?? '' })
    job.end(1)
    expect((await again.rest()).at(-1)?.status.state).toBe('completed')
  })
})

it('a silent stream gets an event every 15 s, by which a script knows that it lives', async () => {
  const { scheduler, url } = await setUp()
  runningJob(scheduler)
  const client = await follow(`${url}/jobs/r/events`)
  await client.next()
  await client.next()
  beat()
  expect(await client.next()).toEqual({ event: 'beat', status: {} })
  client.leave()
})

it('G13: a compressing middleware is told to keep out, and is flushed where it compresses all the same', async () => {
  const compressing: RequestHandler = (_req, res, next) => {
    const gzip = createGzip()
    const { write, end } = res
    gzip.on('data', (chunk: Buffer) => write.call(res, chunk, 'utf8'))
    gzip.on('end', () => end.call(res, undefined, 'utf8'))
    res.setHeader('Content-Encoding', 'gzip')
    res.write = ((chunk: string) => gzip.write(chunk)) as typeof res.write // drops the callback, as compression does
    res.end = (() => gzip.end()) as unknown as typeof res.end
    next(void Object.assign(res, { flush: () => gzip.flush() }))
  }
  const { scheduler, url } = await setUp({ before: compressing })
  const job = runningJob(scheduler)
  await job.started
  const response = await fetch(`${url}/jobs/r/events`) // decompresses what has been flushed
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  while (!text.includes('"running"')) text += Buffer.from((await reader.read()).value ?? []).toString()
  expect(response.headers.get('cache-control')).toContain('no-transform')
  await reader.cancel()
})

it('G13: the middleware `compression` leaves a stream alone, and each event reaches its reader at once', async () => {
  const { scheduler, url } = await setUp({ before: compression({ threshold: 0 }) })
  const job = runningJob(scheduler)
  await job.started
  const client = await follow(`${url}/jobs/r/events`, { 'Accept-Encoding': 'gzip, br' })
  expect(client.response.headers['content-encoding']).toBeUndefined()
  await client.next()
  expect(await client.next()).toMatchObject({ event: 'state', status: { state: 'running' } })
  job.end(1)
  expect(states(await client.rest())).toEqual([['state', 'completed']])
  const status = await fetch(`${url}/jobs/r`, { headers: { 'Accept-Encoding': 'gzip' } })
  expect(status.headers.get('content-encoding')).toBe('gzip') // it does compress what it may
})

describe('closing', () => {
  it('streams go on until their job settles', async () => {
    const { scheduler, listening, responses, url } = await setUp()
    const job = runningJob(scheduler)
    const clients = await Promise.all(Array.from({ length: 20 }, () => follow(`${url}/jobs/r/events`)))
    for (const client of clients) {
      await client.next()
      await client.next()
    }
    const closing = scheduler.close()
    job.end(1)
    for (const client of clients) expect(states(await client.rest())).toEqual([['state', 'completed']])
    await closedEvents(responses)
    expect(listening.now).toBe(0)
    await closing
  })

  it('streams of a job that is lost end with a closed event: it goes on where it is restored', async () => {
    const { scheduler, listening, responses, url } = await setUp()
    runningJob(scheduler)
    const clients = await Promise.all(Array.from({ length: 20 }, () => follow(`${url}/jobs/r/events`)))
    for (const client of clients) {
      await client.next()
      await client.next()
    }
    const { lost } = await scheduler.close({ timeout: 0 })
    expect(lost).toHaveLength(1)
    for (const client of clients) expect(states(await client.rest())).toEqual([['closed', 'running']])
    await closedEvents(responses)
    expect(listening.now).toBe(0)
  })

  it.each<[string, (context: TaskContext) => Promise<unknown>, string[][]]>([
    [
      'gives up when it is told to',
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
      [['state', 'ready'], ['closed', 'ready']], // prettier-ignore
    ],
    ['does not hear', () => new Promise(() => undefined), [['closed', 'running']]],
  ])('also when its handler %s at the deadline', async (_how, handle, told) => {
    const { scheduler, listening, responses, url } = await setUp()
    scheduler.defer(handle, { id: 'r' })
    const clients = await Promise.all(Array.from({ length: 20 }, () => follow(`${url}/jobs/r/events`)))
    for (const client of clients) {
      await client.next()
      await client.next()
    }
    const { lost } = await scheduler.close({ timeout: 10 })
    expect(lost).toHaveLength(1)
    for (const client of clients) expect(states(await client.rest())).toEqual(told)
    await closedEvents(responses)
    expect(listening.now).toBe(0)
  })

  it('a stream opened meanwhile tells the state and ends', async () => {
    const { scheduler, url } = await setUp()
    const job = runningJob(scheduler)
    await job.started
    const closing = scheduler.close()
    const client = await follow(`${url}/jobs/r/events`)
    expect(states((await client.rest()).slice(1))).toEqual([['state', 'running'], ['closed', 'running']]) // prettier-ignore
    job.end(1)
    await closing
  })

  it('E13: server.close() alone ends the streams with the next beat', async () => {
    const { scheduler, url, server } = await setUp()
    runningJob(scheduler)
    const clients = await Promise.all(Array.from({ length: 100 }, () => follow(`${url}/jobs/r/events`)))
    await Promise.all(clients.map((client) => client.next()))
    await Promise.all(clients.map((client) => client.next()))
    const closed = once(server, 'close')
    server.close()
    beat()
    for (const client of clients) expect(states(await client.rest())).toEqual([['closed', 'running']])
    server.closeIdleConnections()
    await closed
  })
})
