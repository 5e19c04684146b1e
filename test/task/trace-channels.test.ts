import { tracingChannel } from 'node:diagnostics_channel'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createScheduler, defineTask, PermanentError, RetryLater, Snooze } from '../../src/index.js'
import type { AttemptTrace, DeferTrace, SchedulerOptions } from '../../src/index.js'
import { makeSim } from '../simulation/sim.js'

type Told = readonly [moment: string, message: Record<string, unknown>]

/** Everything the channel tells until the test ends, each message as it was at that moment. */
function listen<M extends object>(name: string, onStart: (message: M) => void = () => undefined): Told[] {
  const told: Told[] = []
  const note = (moment: string) => (message: M) =>
    void told.push([moment, Object.fromEntries(Object.entries(message))])
  const subscribers = {
    start: (message: M) => {
      note('start')(message)
      onStart(message)
    },
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  const channel = tracingChannel<unknown, M>(name)
  channel.subscribe(subscribers)
  onTestFinished(() => void channel.unsubscribe(subscribers))
  return told
}

function makeScheduler(options: SchedulerOptions = {}) {
  const scheduler = createScheduler({ logger: false, ...options })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

const main = { lane: 'main', attempts: 2, backoff: { type: 'fixed', delay: 1 } } as const
const moments = (told: readonly Told[]) => told.map(([moment]) => moment)
/** Of each defer, whether it is said to be sensitive. */
const sensitive = (told: readonly Told[]) =>
  told.filter(([moment]) => moment === 'start').map(([, { isSensitive }]) => isSensitive)

describe('the channel sidework:defer', () => {
  it('tells a defer from start to end, with the job that it made', () => {
    const scheduler = makeScheduler()
    const told = listen('sidework:defer')
    const job = scheduler.defer(() => undefined, { dedupe: 'k' })
    scheduler.defer(() => undefined, { dedupe: 'k' })
    const start = { task: '(inline)', count: 1, isSensitive: false, request: undefined, carrier: {} }
    expect(told).toEqual([
      ['start', start],
      ['end', { ...start, id: job.id, deduplicated: false }],
      ['start', start],
      ['end', { ...start, id: job.id, deduplicated: true }],
    ])
  })

  it('tells a flow, chain or batch as one defer of all its jobs, a refused one with its error', () => {
    const scheduler = makeScheduler()
    const step = defineTask('traced.step', () => undefined, main)
    const told = listen('sidework:defer')
    const flow = scheduler.flow({ a: { task: step }, b: { task: step, after: ['a'] } })
    const chain = scheduler.chain([{ task: step }])
    const batch = scheduler.batch(step, [undefined, undefined], { callback: { task: step } })
    const expected = ([['(flow)', 2, flow.id], ['(chain)', 1, chain.id], ['(batch)', 3, batch.id]] as const).flatMap(
      ([task, count, id]) => {
        const start = { task, count, isSensitive: false, request: undefined, carrier: {} }
        return [
          ['start', start],
          ['end', { ...start, id }],
        ]
      },
    ) // prettier-ignore
    expect(told).toEqual(expected)
    told.length = 0
    expect(() => scheduler.chain('no' as never)).toThrow()
    expect(moments(told)).toEqual(['start', 'error', 'end'])
    expect(told[1]?.[1]).toMatchObject({ task: '(chain)', count: 0, error: { code: 'ERR_SIDEWORK_OPTION' } })
  })

  it('lets what a subscriber writes travel with every step, also of a flow that a handler defers', async () => {
    const scheduler = makeScheduler()
    const seen: unknown[] = []
    const step = defineTask('traced.seen', (_: undefined, { request }) => void seen.push(request), main)
    const parent = defineTask(
      'traced.parent',
      (_: undefined, { defer }) => defer.chain([{ task: step }]),
      main,
    )
    let defers = 0
    const told = listen<DeferTrace>('sidework:defer', ({ carrier }) => {
      carrier['traceparent'] = `p${++defers}`
    })
    await scheduler.chain([{ task: step }, { task: step }]).result()
    expect(seen).toEqual([{ traceparent: 'p1' }, { traceparent: 'p1' }])
    told.length = seen.length = 0
    await scheduler.defer(parent).result()
    await scheduler.idle()
    expect(seen).toEqual([{ traceparent: 'p3' }])
    expect(told.filter(([, { task }]) => task === '(chain)').map(([moment]) => moment)).toEqual([
      'start',
      'end',
      'asyncStart',
      'asyncEnd',
    ])
  })

  it('tells a refused one with its error, and the caller gets that error', () => {
    const scheduler = makeScheduler()
    const told = listen('sidework:defer')
    expect(() => scheduler.defer('unknown')).toThrow('No task is named')
    expect(moments(told)).toEqual(['start', 'error', 'end'])
    expect(told[1]?.[1]).toMatchObject({ task: 'unknown', error: { code: 'ERR_SIDEWORK_UNKNOWN_TASK' } })
  })

  it('tells many at once as one', () => {
    const scheduler = makeScheduler()
    const a = defineTask('a', () => undefined, main)
    const b = defineTask('b', () => undefined, main)
    const told = listen('sidework:defer')
    scheduler.deferMany([{ task: a }, { task: b }])
    scheduler.deferMany([{ task: a }, { task: 'a' }])
    expect(() => scheduler.deferMany([null as never])).toThrow()
    const ends = told.filter(([moment]) => moment === 'end').map(([, { task, count }]) => [task, count])
    expect(ends).toEqual([
      ['(many)', 2],
      ['a', 2],
      ['undefined', 1],
    ])
  })

  it('says from the start whether a task of it is sensitive, also by the defaults of its scheduler', () => {
    const open = defineTask('traced.open', () => 1, main)
    const secret = defineTask('traced.secret', () => 1, { ...main, sensitive: true })
    const scheduler = makeScheduler()
    const careful = makeScheduler({ defaults: { sensitive: true } })
    const told = listen('sidework:defer')
    scheduler.defer(open)
    scheduler.defer(() => 1)
    scheduler.chain([{ task: open }])
    expect(() => scheduler.defer('nobody')).toThrow()
    expect(sensitive(told)).toEqual([false, false, false, false])
    told.length = 0
    scheduler.defer('traced.secret')
    scheduler.deferMany([{ task: open }, { task: secret }])
    scheduler.flow({ a: { task: open }, b: { task: secret } })
    scheduler.batch(open, [], { callback: { task: secret } })
    expect(() => scheduler.batch(secret, 'no' as never)).toThrow() // of what cannot be read nobody knows
    careful.defer(open)
    careful.defer(() => 1)
    expect(sensitive(told)).toEqual([true, true, true, true, true, true, true])
  })

  it.each([
    [false, [false, false, false, true, true, true, true]],
    [true, [true, true, true, true, true, true, true]],
  ])(
    'says so of what a handler defers, and where its thread cannot know: sensitive by default %s',
    async (isDefault, expected) => {
      const scheduler = makeScheduler({ defaults: { sensitive: isDefault } })
      const open = defineTask('traced.open', () => 1, main)
      const secret = defineTask('traced.secret', () => 1, { ...main, sensitive: true })
      const told = listen('sidework:defer')
      const parent = scheduler.defer(async ({ defer }) => {
        const calls: (() => Promise<unknown>)[] = [
          () => defer(open),
          () => defer('traced.open', 1n),
          () => defer.chain([{ task: open }]),
          () => defer(secret),
          () => defer.flow({ a: { task: open }, b: { task: secret, payload: 1n as never } }),
          () => defer.flow({ a: { task: open, after: ['b'] as never } }),
          () => defer('nobody'),
        ]
        for (const call of calls) await call().catch(() => undefined)
      })
      await parent.result()
      expect(sensitive(told).slice(1)).toEqual(expected)
    },
  )

  it('takes what a subscriber adds along to every attempt, beside what is there', async () => {
    const scheduler = makeScheduler()
    listen<DeferTrace>('sidework:defer', ({ carrier }) => void (carrier['traceparent'] = 'from-tracer'))
    const seen: unknown[] = []
    const job = scheduler.defer(
      ({ request, attempt }) => {
        seen.push({ ...request })
        if (attempt === 1) throw new Error('no')
      },
      { attempts: 2, backoff: { type: 'fixed', delay: 1 } },
    )
    await job.result()
    expect(seen).toEqual([{ traceparent: 'from-tracer' }, { traceparent: 'from-tracer' }])
    const port = scheduler as unknown as { deferWithRequest(request: object, fn: unknown): typeof job }
    const ofRequest = port.deferWithRequest({ id: 'r1', traceparent: 'from-client' }, () => undefined)
    expect(ofRequest.snapshot().request).toEqual({ id: 'r1', traceparent: 'from-tracer' })
  })
})

it('of what a subscriber of sidework:defer adds only text travels: a thread could not be sent the rest', async () => {
  const sim = makeSim()
  listen<{ carrier: Record<string, unknown> }>('sidework:defer', ({ carrier }) =>
    Object.assign(carrier, { traceparent: 'p', span: { end: () => undefined }, sampled: true }),
  )
  const job = sim.scheduler.defer(sim.task('t'))
  sim.advance(10)
  expect(job.snapshot()).toMatchObject({ state: 'completed', request: { traceparent: 'p' } })
  expect(Object.keys(job.snapshot().request ?? {})).toEqual(['traceparent'])
})

describe('the channel sidework:attempt', () => {
  it('tells how each attempt ended, at once or when its promise has settled', async () => {
    const scheduler = makeScheduler()
    const told = listen<AttemptTrace>('sidework:attempt')
    const ways: (() => unknown)[] = [
      () => 1,
      async () => 1,
      () => {
        throw new RetryLater(1, { reason: 'busy' })
      },
      async () => {
        throw new PermanentError('never')
      },
    ]
    for (const way of ways) {
      const job = scheduler.defer(way, { attempts: 1 })
      await job.result().catch(() => undefined)
    }
    const ends = told.filter(([, { outcome }]) => outcome !== undefined)
    expect(ends.map(([moment, { outcome }]) => `${moment} ${outcome as string}`)).toEqual([
      'end completed',
      'asyncStart completed',
      'asyncEnd completed',
      'error retry-later',
      'end retry-later',
      'error threw',
      'asyncStart threw',
      'asyncEnd threw',
    ])
    expect(moments(told).filter((moment) => moment === 'start')).toHaveLength(4)
    expect(told[0]?.[1]).toMatchObject({ task: '(inline)', attempt: 1, maxAttempts: 1 })
    expect(told.at(-1)?.[1]).toMatchObject({ error: { code: 'ERR_SIDEWORK_PERMANENT', message: 'never' } })
  })

  it.each([
    ['timed out', 'returns', 'timed-out'],
    ['timed out', 'throws', 'timed-out'],
    ['cancelled', 'returns', 'cancelled'],
    ['cancelled', 'throws', 'cancelled'],
  ])('tells an attempt that was %s so, also when its handler then %s', async (why, how, outcome) => {
    const scheduler = makeScheduler()
    const told = listen<AttemptTrace>('sidework:attempt')
    const aborted = async ({ signal }: { signal: AbortSignal }): Promise<void> => {
      const abort = new Promise((resolve) => signal.addEventListener('abort', resolve))
      if (why === 'cancelled') job.cancel('no longer wanted')
      await abort
      if (how === 'throws') signal.throwIfAborted()
    }
    const job = scheduler.defer(aborted, { attempts: 1, ...(why === 'timed out' ? { timeout: 5 } : {}) })
    await job.result().catch(() => undefined)
    await new Promise((resolve) => setImmediate(resolve)) // the handler's own promise settles after the job
    const message = told.at(-1)?.[1]
    expect(moments(told).at(-1)).toBe('asyncEnd')
    expect(message).toMatchObject({ outcome })
    if (why === 'timed out') expect(message).toMatchObject({ error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    else expect(message).not.toHaveProperty('error')
  })

  it.each(['returns', 'throws'])(
    'tells an attempt that ended at the deadline of its flow as cancelled, also when its handler then %s',
    async (how) => {
      const scheduler = makeScheduler()
      const told = listen<AttemptTrace>('sidework:attempt')
      const hang = async (_: undefined, { signal }: { signal: AbortSignal }): Promise<void> => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        if (how === 'throws') signal.throwIfAborted()
      }
      const flow = scheduler.chain([{ task: defineTask('traced.hang', hang, main) }], { deadline: 5 })
      await flow.result().catch(() => undefined)
      await new Promise((resolve) => setImmediate(resolve)) // the handler's own promise settles after the job
      expect(told.at(-1)).toEqual(['asyncEnd', expect.objectContaining({ outcome: 'cancelled' })])
      expect(told.at(-1)?.[1]).not.toHaveProperty('error')
    },
  )

  it('tells a snooze as no error', async () => {
    const scheduler = makeScheduler()
    const told = listen('sidework:attempt')
    let runs = 0
    await scheduler
      .defer(() => {
        if (runs++ === 0) throw new Snooze(1)
      })
      .result()
    expect(told.map(([moment, { outcome }]) => [moment, outcome])).toEqual([
      ['start', undefined],
      ['end', 'snoozed'],
      ['start', undefined],
      ['end', 'completed'],
    ])
  })

  it('shows nothing of a sensitive task but name and code of its error', async () => {
    const scheduler = makeScheduler()
    const told = listen('sidework:attempt')
    const task = defineTask(
      'sensitive',
      (_payload: { card: string }) => {
        throw Object.assign(new Error('secret'), { code: 'E_MINE' })
      },
      { ...main, sensitive: true, attempts: 1 },
    )
    await scheduler
      .defer(task, { card: 'secret' })
      .result()
      .catch(() => undefined)
    expect(told.find(([moment]) => moment === 'error')?.[1]).toMatchObject({
      error: { name: 'Error', code: 'E_MINE' },
    })
    expect(JSON.stringify(told)).not.toContain('secret')
  })

  it('lets a subscriber run the handler inside of something, once, and runs it whatever that does', async () => {
    const scheduler = makeScheduler()
    const order: string[] = []
    const arounds: NonNullable<AttemptTrace['around']>[] = [
      (run) => {
        order.push('before')
        run()
        order.push('after')
      },
      (run) => {
        run()
        run()
      },
      () => undefined,
    ]
    listen<AttemptTrace>('sidework:attempt', (message) => {
      const around = arounds.shift()
      if (around !== undefined) message.around = around
    })
    for (const name of ['first', 'twice', 'forgotten']) {
      expect(await scheduler.defer(() => order.push(name)).result()).toBeGreaterThan(0)
    }
    expect(order).toEqual(['before', 'first', 'after', 'twice', 'forgotten'])
  })

  it('reports an error of what a subscriber put around the handler, which goes on', async () => {
    const scheduler = makeScheduler()
    // The test runner would take it for a fault of its own.
    const runners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    onTestFinished(() => {
      for (const listener of runners) process.on('uncaughtException', listener)
    })
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    listen<AttemptTrace>('sidework:attempt', (message) => {
      message.around = () => {
        throw new Error('broken tracer')
      }
    })
    expect(await scheduler.defer(() => 'done').result()).toBe('done')
    expect(await uncaught).toMatchObject({ message: 'broken tracer' })
  })
})
