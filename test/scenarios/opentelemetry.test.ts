/** The real OpenTelemetry SDK with an in-memory exporter, on the main thread and in each worker thread. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import express from 'express'
import { defineTask, type Job, type TaskContext } from 'sidework'
import { sidework } from 'sidework/express'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { serve } from '../express/serving.js'
import { withThreads } from './with-threads.js'

const tasks = new URL('../fixtures/tasks/traced.mjs', import.meta.url)
const setUp = new URL('../fixtures/tasks/tracing.mjs', import.meta.url)
await import(tasks.href)
const { finishedSpans, forgetSpans, stopTracing } = (await import(setUp.href)) as Tracing

interface Tracing {
  finishedSpans(): Span[]
  forgetSpans(): void
  stopTracing(): void
}

interface Span {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly links: { traceId: string; spanId: string }[]
  readonly attributes: Record<string, unknown>
  readonly status: { code: number; message?: string }
  readonly events: { name: string; message: string | null }[]
}

interface Seen {
  readonly traceId: string
  readonly spanId: string
  readonly baggage?: string
  readonly traceparent: string
  readonly child?: string
}

beforeEach(() => forgetSpans())
afterAll(() => stopTracing())

/** As an HTTP instrumentation would: a span, and baggage, are active. */
function inRequest<T>(run: () => T): { answer: T; traceId: string; spanId: string } {
  const span = trace.getTracer('http').startSpan('POST /signup', { kind: SpanKind.SERVER })
  const baggage = propagation.createBaggage({ tenant: { value: 'acme' } })
  const active = propagation.setBaggage(trace.setSpan(context.active(), span), baggage)
  const answer = context.with(active, run)
  span.end()
  return { answer, ...span.spanContext() }
}

const named = (spans: readonly Span[], name: string): Span => {
  const found = spans.filter((span) => span.name === name)
  expect(found, name).toHaveLength(1)
  return found[0] as Span // there is exactly one
}

describe('a job deferred in a request', () => {
  it.each([
    ['cpu', 'traced'],
    ['io', 'traced-later'],
    ['main', 'traced-main'],
  ])(
    'on lane %s: the defer is a span of the request, the attempt a trace of its own that links to it',
    async (lane, task) => {
      const scheduler = withThreads({ tasks })
      const { answer: job, traceId, spanId } = inRequest(() => scheduler.defer(task))
      const seen = (await job.result()) as Seen
      const producer = named(finishedSpans(), `defer ${task}`)
      expect(producer).toMatchObject({ kind: SpanKind.PRODUCER, traceId, parentSpanId: spanId, links: [] })
      expect(producer.attributes).toEqual({
        'messaging.system': 'sidework',
        'messaging.operation.name': 'defer',
        'messaging.operation.type': 'send',
        'messaging.destination.name': task,
        'messaging.message.id': job.id,
      })
      const spansThere =
        lane === 'main' ? finishedSpans() : await scheduler.defer(`spans-of-${lane}`).result()
      const consumer = named(spansThere as Span[], `run ${task}`)
      expect(consumer).toMatchObject({ kind: SpanKind.CONSUMER, parentSpanId: null })
      expect(consumer.links).toEqual([{ traceId, spanId: producer.spanId }])
      expect(consumer.traceId).not.toBe(traceId)
      expect(consumer.attributes).toEqual({
        'messaging.system': 'sidework',
        'messaging.operation.name': 'run',
        'messaging.operation.type': 'process',
        'messaging.destination.name': task,
        'messaging.message.id': job.id,
        'sidework.attempt': 1,
        'sidework.max_attempts': 2,
        'sidework.outcome': 'completed',
      })
      // The span is active in the handler, also after it has waited; so are baggage and what the defer injected.
      expect(seen).toMatchObject({ traceId: consumer.traceId, spanId: consumer.spanId, baggage: 'acme' })
      expect(seen.traceparent).toBe(`00-${traceId}-${producer.spanId}-01`)
      expect(named(spansThere as Span[], 'inside')).toMatchObject({ parentSpanId: consumer.spanId })
    },
  )

  it('links each attempt, and tells which failed and why', async () => {
    const scheduler = withThreads({ tasks })
    const { answer: job, traceId } = inRequest(() => scheduler.defer('fails-once'))
    await job.result()
    const spans = (await scheduler.defer('spans-of-io').result()) as Span[]
    const [first, second] = spans.filter(({ name }) => name === 'run fails-once')
    expect(first).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'secret' },
      events: [{ name: 'exception', message: 'secret' }],
      attributes: { 'error.type': 'E_MINE', 'sidework.attempt': 1, 'sidework.outcome': 'threw' },
    })
    expect(second).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { 'sidework.attempt': 2, 'sidework.outcome': 'completed' },
    })
    const producer = named(finishedSpans(), 'defer fails-once')
    for (const attempt of [first, second])
      expect(attempt?.links).toEqual([{ traceId, spanId: producer.spanId }])
  })

  it.each([null, undefined, 'text', new TypeError('no key')])(
    'is a failed span when a function of the task throws %s',
    (thrown) => {
      const scheduler = withThreads({ tasks })
      const orderingKey = (): string => {
        throw thrown
      }
      const task = defineTask(`throws ${String(thrown)}`.replace(/\W/g, '-'), () => 1, {
        lane: 'main',
        orderingKey,
      })
      let caught: unknown = 'nothing'
      try {
        scheduler.defer(task)
      } catch (error) {
        caught = error
      }
      expect(caught).toBe(thrown)
      expect(named(finishedSpans(), `defer ${task.name}`).status.code).toBe(SpanStatusCode.ERROR)
    },
  )

  it('shows nothing of a sensitive task but name and code of its error', async () => {
    const scheduler = withThreads({ tasks })
    await expect(scheduler.defer('fails-sensitive').result()).rejects.toThrow()
    const spans = (await scheduler.defer('spans-of-cpu').result()) as Span[]
    const attempt = named(spans, 'run fails-sensitive')
    expect(attempt.attributes).toMatchObject({ 'error.type': 'ERR_SIDEWORK_PERMANENT' })
    expect(JSON.stringify(spans)).not.toContain('secret')
  })
})

describe('a defer of a sensitive task that is refused', () => {
  const refusal = ({ card }: { card: string }): string => {
    throw Object.assign(new Error(`no line for ${card}`), { code: 'E_LINE' })
  }
  const pay = defineTask('pay', (_payload: { card: string }) => 1, {
    lane: 'main',
    sensitive: true,
    orderingKey: refusal,
  })
  const payload = { card: 'secret' }
  type Refused = (scheduler: ReturnType<typeof withThreads>) => unknown

  it.each<[string, string, string, Refused]>([
    ['defer', 'defer pay', 'E_LINE', (scheduler) => scheduler.defer(pay, payload)],
    ['deferMany', 'defer pay', 'E_LINE', (scheduler) => scheduler.deferMany([{ task: pay, payload }])],
    ['chain', 'defer (chain)', 'E_LINE', (scheduler) => scheduler.chain([{ task: pay, payload }])],
    ['batch', 'defer (batch)', 'ERR_SIDEWORK_OPTION', (scheduler) => scheduler.batch(pay, 'secret' as never)],
    [
      'context.defer',
      'defer pay',
      'ERR_SIDEWORK_OPTION',
      (scheduler) => scheduler.defer(({ defer }) => defer(pay, payload), { attempts: 1 }).result(),
    ],
  ])('shows name and code of the error and no more, by %s', async (_how, name, type, refused) => {
    const scheduler = withThreads({ tasks })
    await expect(async () => refused(scheduler)).rejects.toThrow('secret')
    const span = named(finishedSpans(), name)
    expect(span).toMatchObject({ status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': type } })
    expect(JSON.stringify(span)).not.toContain('secret')
  })
})

it.each([false, true])(
  'a refused defer in a thread shows its message, unless tasks are sensitive by default: %s',
  async (sensitive) => {
    const scheduler = withThreads({ tasks, defaults: { sensitive } })
    expect(await scheduler.defer('defers-badly').result()).toBe('ERR_SIDEWORK_PAYLOAD')
    const span = named((await scheduler.defer('spans-of-cpu').result()) as Span[], 'defer traced')
    expect(span.status.code).toBe(SpanStatusCode.ERROR)
    expect(JSON.stringify(span).includes('payload.secret')).toBe(!sensitive)
  },
)

it.each<[string, string, (defer: TaskContext['defer']) => Promise<unknown>]>([
  [
    'steps that wait for what is none',
    'ERR_SIDEWORK_OPTION',
    (defer) => defer.flow({ a: { task: 'traced', after: ['b'] as never } }),
  ],
  ['an unknown task', 'ERR_SIDEWORK_UNKNOWN_TASK', (defer) => defer.flow({ a: { task: 'nobody' } })],
])('a flow of a handler that is refused is a span with an error: for %s', async (_why, type, call) => {
  const scheduler = withThreads({ tasks })
  await scheduler.defer(({ defer }) => call(defer).catch(() => undefined)).result()
  const span = named(finishedSpans(), 'defer (flow)')
  expect(span).toMatchObject({ status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': type } })
})

it('a deferMany of nothing, and a flow of no steps, are spans that have ended well', async () => {
  const scheduler = withThreads({ tasks })
  scheduler.deferMany([])
  await scheduler.defer(({ defer }) => defer.flow({})).result()
  for (const name of ['defer (many)', 'defer (flow)'])
    expect(named(finishedSpans(), name).status.code).toBe(SpanStatusCode.UNSET)
})

it('in a main-lane job of req.defer its own span is active, not the request’s, and the rest of the context is the request’s', async () => {
  const store = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const see = (attempt: number) =>
    seen.push([attempt, store.getStore(), trace.getActiveSpan()?.spanContext().spanId])
  const retried = defineTask(
    'traced.retried',
    async (_payload, { attempt, yieldNow }) => {
      see(attempt)
      await yieldNow()
      see(attempt)
      if (attempt === 1) throw new Error('once more')
    },
    { lane: 'main', backoff: { type: 'fixed', delay: 0 } },
  )
  const scheduler = withThreads({ tasks })
  const app = express().use(sidework(scheduler))
  const jobs: Job[] = []
  app.post('/', (req, res) => {
    inRequest(() =>
      store.run('request', () => {
        jobs.push(
          req.defer(retried),
          req.defer(({ attempt }) => void see(attempt)),
        )
      }),
    )
    res.end()
  })
  const { url } = await serve(app)
  await fetch(url, { method: 'POST' })
  await Promise.all(jobs.map((job) => job.result()))
  const ofRequest = named(finishedSpans(), 'POST /signup')
  const [first, second] = finishedSpans().filter(({ name }) => name === 'run traced.retried')
  const inline = named(finishedSpans(), 'run (inline)')
  expect([first, second, inline].map((span) => span?.links[0]?.traceId)).toEqual(
    Array(3).fill(ofRequest.traceId),
  )
  const own = [
    [1, 'request', first?.spanId], [1, 'request', first?.spanId],
    [2, 'request', second?.spanId], [2, 'request', second?.spanId],
    [1, 'request', inline.spanId],
  ] // prettier-ignore
  expect(seen).toHaveLength(own.length)
  expect(seen).toEqual(expect.arrayContaining(own))
  expect(new Set([ofRequest, first, second, inline].map((span) => span?.spanId)).size).toBe(4)
})

it('a child is a span of the attempt that deferred it, and its own attempt links to that', async () => {
  const scheduler = withThreads({ tasks })
  const seen = (await scheduler.defer('parent').result()) as Seen
  await scheduler.idle()
  const io = (await scheduler.defer('spans-of-io').result()) as Span[]
  const producer = named(io, 'defer traced')
  expect(producer).toMatchObject({ parentSpanId: seen.spanId, traceId: seen.traceId })
  expect(producer.attributes['messaging.message.id']).toBe(seen.child)
  const cpu = (await scheduler.defer('spans-of-cpu').result()) as Span[]
  expect(named(cpu, 'run traced').links).toEqual([{ traceId: seen.traceId, spanId: producer.spanId }])
  // Nobody else told of the same defer.
  expect(finishedSpans().filter(({ name }) => name === 'defer traced')).toEqual([])
})

it('many jobs handed over together are one span, which all of them link to', async () => {
  const scheduler = withThreads({ tasks })
  const jobs = scheduler.deferMany([{ task: 'traced-main' }, { task: 'traced-main' }])
  await Promise.all(jobs.map((job) => job.result()))
  const producer = named(finishedSpans(), 'defer traced-main')
  expect(producer.attributes).toMatchObject({ 'messaging.batch.message_count': 2 })
  expect(finishedSpans().filter(({ links }) => links[0]?.spanId === producer.spanId)).toHaveLength(2)
})

it('a defer that is refused is a span with an error', () => {
  const scheduler = withThreads({ tasks })
  expect(() => scheduler.defer('unknown')).toThrow()
  expect(named(finishedSpans(), 'defer unknown')).toMatchObject({
    status: { code: SpanStatusCode.ERROR },
    attributes: { 'error.type': 'ERR_SIDEWORK_UNKNOWN_TASK' },
  })
})

it('without an active span the defer goes on from the trace context of its request', () => {
  const scheduler = withThreads({ tasks })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const port = scheduler as unknown as { deferWithRequest(request: object, task: string): unknown }
  port.deferWithRequest({ id: 'r1', traceparent: `00-${traceId}-b7ad6b7169203331-01` }, 'traced')
  expect(named(finishedSpans(), 'defer traced')).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331' })
})
