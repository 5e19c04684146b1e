/** Cases of group A (README.md), and other bad input: refused at the call, with a code and what is wrong; nothing is stored. */
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { defineTask, type Scheduler } from '../../src/index.js'
import { makeScheduler } from './harness.js'

const task = defineTask<never>('faults.noop', () => undefined, { lane: 'main' })
const never = defineTask<never>('faults.ran', () => expect.unreachable('a refused job ran'), { lane: 'main' })

/** The refusal of a call that must change nothing. */
function refusal(
  scheduler: Scheduler,
  call: () => unknown,
): { code: string; message: string; path?: string } {
  const before = scheduler.stats()
  try {
    call()
  } catch (error) {
    const { accepted, queuedBytes, scheduled, ready } = scheduler.stats()
    expect({ ...before, accepted, queuedBytes, scheduled, ready }).toEqual(before)
    expect(scheduler.jobs()).toEqual([])
    return error as ReturnType<typeof refusal>
  }
  return expect.unreachable('nothing was refused')
}

const deferWith = (scheduler: Scheduler, options: object) => () =>
  scheduler.defer(never, undefined as never, options)

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'faults.unknown'])(
  'A1: the task name %j is unknown',
  (name) => {
    const scheduler = makeScheduler()
    const calls = [
      () => scheduler.defer(name),
      () => scheduler.deferMany([{ task: name }]),
      () => scheduler.pause(name),
      () => scheduler.cancelAll({ task: name }),
      () => scheduler.jobs({ task: name }),
    ]
    for (const call of calls)
      expect(refusal(scheduler, call)).toMatchObject({ code: 'ERR_SIDEWORK_UNKNOWN_TASK' })
  },
)

it.each([null, 5, {}, [], Symbol('s'), { name: 'x' }])('A1: %o is no task', (value) => {
  const scheduler = makeScheduler()
  const call = (): unknown => scheduler.defer(value as never)
  expect(refusal(scheduler, call)).toMatchObject({ code: 'ERR_SIDEWORK_OPTION' })
})

function argumentsOf(..._given: unknown[]): unknown {
  return arguments // eslint-disable-line prefer-rest-params -- that is the fault
}

class Point {
  readonly x = 1
}
const circular: Record<string, unknown> = {}
circular['self'] = circular
const throwsAlways = new Proxy(
  {},
  {
    ownKeys() {
      throw new Error('a trap')
    },
  },
)
const notJson: readonly (readonly [string, unknown])[] = [
  ['A2: a function', () => 1],
  ['A2: a symbol', Symbol('s')],
  ['A2: a promise', Promise.resolve(1)],
  ['A2: the arguments of a function', argumentsOf(1)],
  ['A2: a Proxy whose traps throw', throwsAlways],
  ['A3: a circle', circular],
  ['A4: a bigint', 1n],
  ['A5: a Date', new Date(0)],
  ['A5: a Map', new Map([[1, 2]])],
  ['A5: a Set', new Set([1])],
  ['A5: NaN', NaN],
  ['A5: Infinity', Infinity],
  // eslint-disable-next-line no-sparse-arrays -- that is the fault
  ['A5: a sparse array', [1, , 3]],
  ['A5: undefined in an array', [undefined]],
  ['A5: a class instance', new Point()],
  ['A5: a URL', new URL('http://localhost/')],
  ['A5: Headers', new Headers()],
  ['A7: an own __proto__', JSON.parse('{"__proto__":{"admin":true}}')],
]

it.each(notJson)('%s is a PayloadError with its path, at depths 0, 1 and 5', (_name, value) => {
  const scheduler = makeScheduler()
  const payloads = [
    [value, 'payload'],
    [{ a: value }, 'payload.a'],
    [{ a: [{ b: [0, { c: value }] }] }, 'payload.a[0].b[1].c'],
  ] as const
  for (const [payload, path] of payloads) {
    const error = refusal(scheduler, () => scheduler.defer(never, payload as never))
    expect(error).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD', status: 422 })
    expect(error.path?.startsWith(path), `${error.path} begins with ${path}`).toBe(true)
    expect(error.message).toContain(path)
  }
  expect(({} as { admin?: boolean }).admin).toBeUndefined()
})

it('A1: the name under which closures run cannot be deferred, before one has run nor after', async () => {
  const scheduler = makeScheduler()
  const message = expect.stringContaining('Give defer the function itself') as string
  const refuses = () => {
    const { accepted } = scheduler.stats()
    const calls = [() => scheduler.defer('(inline)'), () => scheduler.deferMany([{ task: '(inline)' }])]
    for (const call of calls)
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_UNKNOWN_TASK', message }))
    expect(scheduler.stats().accepted).toBe(accepted)
  }
  refuses()
  await scheduler.defer(() => undefined).result()
  refuses()
})

it('A5: property: whatever is accepted is seen equal by attempts 1 and 2', async () => {
  const scheduler = makeScheduler({ defaults: { attempts: 2 } })
  const seen: string[] = []
  const twice = defineTask<never>('faults.twice', (payload: unknown, { attempt }) => {
    seen.push(JSON.stringify(payload))
    if (typeof payload === 'object' && payload !== null)
      Object.assign(payload, { changed: 'by the first attempt' })
    if (attempt === 1) throw new Error('once more')
  })
  const anything = fc.anything({ withDate: true, withMap: true, withBigInt: true, withSparseArray: true })
  await fc.assert(
    fc.asyncProperty(anything, async (payload) => {
      seen.length = 0
      try {
        await scheduler.defer(twice, payload as never).result()
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD' })
        expect(seen).toEqual([])
        return
      }
      expect(seen).toHaveLength(2)
      expect(seen[1]).toBe(seen[0])
    }),
    { numRuns: 200 },
  )
})

it('A10: what the caller does to the payload after defer is not seen', async () => {
  const scheduler = makeScheduler()
  const echo = defineTask<{ list: number[]; bytes: Uint8Array }>('faults.echo', (payload) => ({
    list: payload.list,
    bytes: [...payload.bytes],
  }))
  const payload = { list: [1], bytes: new Uint8Array([1]) }
  const job = scheduler.defer(echo, payload)
  payload.list.push(2)
  payload.bytes[0] = 2
  expect(await job.result()).toEqual({ list: [1], bytes: [1] })
})

const durations = [NaN, -1, Infinity, -Infinity, '5', '', 'soon', '-5s', '1e99d', {}, [], null, true, 1e18]

it.each(durations)('A12: delay %j is refused and starts nothing', (delay) => {
  const scheduler = makeScheduler()
  const error = refusal(scheduler, deferWith(scheduler, { delay }))
  expect(error).toMatchObject({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('delay') })
})

it.each([NaN, Infinity, 'tomorrow', {}, null, new Date(NaN), 1e18, new Date(8.64e15)])(
  'A12: runAt %j is refused',
  (runAt) => {
    const scheduler = makeScheduler()
    const error = refusal(scheduler, deferWith(scheduler, { runAt }))
    expect(error).toMatchObject({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('runAt') })
  },
)

it('A13: delays beyond 2^31 ms neither fire early nor overflow a timer', async () => {
  const warnings: string[] = []
  const listen = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  const scheduler = makeScheduler()
  const delays = [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, '25d', '3652d'] as const
  const jobs = delays.map((delay) => scheduler.defer(never, undefined as never, { delay }))
  await scheduler.defer(task, undefined as never, { delay: 20 }).result()
  expect(jobs.map(({ state }) => state)).toEqual(delays.map(() => 'scheduled'))
  expect(warnings).toEqual([])
  scheduler.cancelAll()
})

const priorities = [NaN, Infinity, -Infinity, 1e308, 'urgent', '5', 'HIGH', 1.5, -1, 10, null, {}, true]

it.each(priorities)('A15: priority %j is refused, at defer and by setPriority', (priority) => {
  const scheduler = makeScheduler()
  const option = { code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('priority') as string }
  expect(refusal(scheduler, deferWith(scheduler, { priority }))).toMatchObject(option)
  const job = scheduler.defer(task, undefined as never, { delay: 1000 })
  expect(() => scheduler.setPriority(job.id, priority as never)).toThrow(expect.objectContaining(option))
  expect(job.snapshot().priority).toBe(5)
  job.cancel()
})

it('A15: 1,000 jobs of mixed priorities start in order', async () => {
  const scheduler = makeScheduler({ aging: false, main: { concurrency: 1 } })
  const order: [number, number][] = []
  const note = defineTask<[number, number]>('faults.note', (item) => void order.push(item))
  scheduler.pause()
  for (let n = 0; n < 1000; n++) {
    const priority = (n * 7919) % 10
    scheduler.defer(note, [priority, n], { priority })
  }
  scheduler.resume()
  await scheduler.idle()
  expect(order).toEqual([...order].sort((a, b) => b[0] - a[0] || a[1] - b[1]))
  expect(order).toHaveLength(1000)
})

it.each([0, -1, 1.5, 101, 1e9, Infinity, NaN, '3', null])('A16: attempts %j is refused', (attempts) => {
  const scheduler = makeScheduler()
  const option = { code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('attempts') as string }
  expect(refusal(scheduler, deferWith(scheduler, { attempts }))).toMatchObject(option)
  const define = () => defineTask('faults.attempts', () => undefined, { attempts } as never)
  expect(define).toThrow(expect.objectContaining(option))
})

it.each([0, ...durations])('A17: a timeout or expiry of %j is refused', (value) => {
  const scheduler = makeScheduler()
  for (const name of ['timeout', 'expiresIn']) {
    const error = refusal(scheduler, deferWith(scheduler, { [name]: value }))
    expect(error).toMatchObject({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining(name) })
  }
})

it('A17: a timeout and an expiry of 2^31 ms and more do not end anything early', async () => {
  const scheduler = makeScheduler()
  for (const long of [2 ** 31 - 1, 2 ** 31, '3652d'] as const) {
    const options = { timeout: long, expiresIn: long, delay: 5, attempts: 1 }
    await scheduler.defer(({ yieldNow }) => yieldNow(), options).result()
  }
})

const badKeys = ['', 0, null, false, {}, 'x'.repeat(257), 'é'.repeat(129), 'x'.repeat(2 ** 20), 'a\0b', 'a\r\nb', '\ud800', '\x7f'] // prettier-ignore
it.each(badKeys)('A18: %j is neither id nor key', (value) => {
  const scheduler = makeScheduler()
  const calls: [string, () => unknown][] = ['id', 'dedupe', 'orderingKey'].map((name) => [
    name,
    deferWith(scheduler, { [name]: value }),
  ])
  calls.push(['key', deferWith(scheduler, { dedupe: { key: value } })])
  const keyed = defineTask<never>('faults.keyed', () => undefined, {
    orderingKey: (() => value) as never,
  })
  calls.push(['orderingKey', () => scheduler.defer(keyed, undefined as never)])
  for (const [name, call] of calls)
    expect(refusal(scheduler, call).code, name).toMatch(/^ERR_SIDEWORK_(KEY|OPTION)$/)
})

it.each(['__proto__', 'constructor', '../', 'x'.repeat(256), 'é'.repeat(128), '%00', ' '])(
  'A18: %j is an id and a key like any other',
  async (name) => {
    const scheduler = makeScheduler()
    const options = { id: name, orderingKey: name, dedupe: name, delay: 10 }
    const job = scheduler.defer(task, undefined as never, options)
    expect([job.id, scheduler.job(name)?.orderingKey]).toEqual([name, name])
    expect(scheduler.defer(task, undefined as never, { dedupe: name }).id).toBe(name)
    expect(scheduler.jobs({ key: name })).toHaveLength(1)
    await job.result()
    expect(scheduler.haltedKeys()).toEqual([])
    expect(Object.keys(Object.prototype)).toEqual([])
  },
)

it.each([0, -1, 1.5, NaN, Infinity, '2', null])('C10: concurrency %j is refused', (concurrency) => {
  const option = { code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining('concurrency') as string }
  for (const [at, value] of [concurrency, { limit: concurrency }].entries()) {
    const define = () =>
      defineTask(`faults.concurrency-${at}`, () => undefined, { concurrency: value } as never)
    expect(define).toThrow(expect.objectContaining(option))
  }
  expect(() => makeScheduler({ limits: { all: { concurrency } } } as never)).toThrow(expect.objectContaining(option)) // prettier-ignore
})
