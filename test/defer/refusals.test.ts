/** What a refusal tells whoever made the call: the line, the task, and the mistake that is likely. */
import { expect, it, onTestFinished } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import {
  createScheduler,
  defineTask,
  RetryLater,
  type Scheduler,
  type SchedulerOptions,
} from '../../src/index.js'

function makeScheduler(options: SchedulerOptions = {}): Scheduler {
  const scheduler = createScheduler({ logger: false, defaults: { lane: 'main' }, ...options })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

const build = defineTask('refusals.build', (_order: unknown) => undefined, { lane: 'main' })
/** Refused deep in the walk of the payload. */
const deep = { a: { b: { c: { d: { e: { f: { g: { at: new Date(0) } } } } } } } }
const never = () => undefined as never
const anyTask = defineTask('refusals.free', (_payload: unknown) => undefined, { lane: 'main' })

function thrownBy(call: () => unknown): Error {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('Nothing was thrown.')
}

const framesOf = ({ stack = '' }: Error): string[] =>
  stack.split('\n').filter((line) => line.startsWith('    at '))

it.each<[string, (s: Scheduler) => unknown]>([
  ['defer', (s) => s.defer(build, deep)],
  ['deferMany', (s) => s.deferMany([{ task: build, payload: deep }])],
  ['flow', (s) => s.flow({ a: { task: build, payload: deep } })],
  ['chain', (s) => s.chain([{ task: build, payload: deep }])],
  ['batch', (s) => s.batch(build, [deep])],
  ['cron.schedule', (s) => createCron(s).schedule('a', '@daily', build, deep)],
  ['cron.every', (s) => createCron(s).every('a', '1m', build, deep)],
  ['defer of an unknown task', (s) => s.defer('refusals.nobody')],
  ['defer with a bad option', (s) => s.defer(build, 1, { attempts: 0 })],
  ['defer after close', (s) => (void s.close(), s.defer(build, 1))],
  ['retry after close', (s) => s.retry(closedWithJob(s))],
  ['retryAll after close', (s) => (void s.close(), s.retryAll())],
  ['restore', (s) => s.restore([{ task: 'refusals.build', state: 'ready' } as never])],
  ['restore after close', (s) => (void s.close(), s.restore([]))],
  ['jobs with a bad filter', (s) => s.jobs({ limit: 0 })],
  ['cancel with a reason that is none', (s) => s.cancel(s.defer(build, 1).id, 5 as never)],
  ['cancelAll of an unknown task', (s) => s.cancelAll({ task: 'refusals.nobody' })],
  ['setPriority', (s) => s.setPriority(s.defer(build, 1).id, 10)],
  ['pause of an unknown task', (s) => s.pause('refusals.nobody')],
  ['resume of an unknown task', (s) => s.resume('refusals.nobody')],
  ['releaseKey with a bad option', (s) => s.releaseKey('k', { retry: 1 as never })],
  ['pauseLimit', (s) => s.pauseLimit('nobody', '1s')],
  ['createScheduler', () => createScheduler({ keep: { bytes: -1 } })],
  ['defineTask', () => defineTask('refusals.options', never, { attempts: 0 })],
])('the stack of a refused %s begins at the line that called it', (_name, call) => {
  const scheduler = makeScheduler()
  const error = thrownBy(() => call(scheduler))
  expect(framesOf(error)[0]).toContain('refusals.test.ts')
  expect(error.stack).toContain(`${error.name}: ${error.message}`)
})

/** The id of a job that was cancelled before the scheduler closed. */
function closedWithJob(scheduler: Scheduler): string {
  const job = scheduler.defer(build, 1)
  job.cancel()
  void scheduler.close()
  return job.id
}

it.each<[string, (s: Scheduler) => unknown]>([
  ['retry', (s) => s.retry(s.jobs({ state: 'cancelled' })[0]?.id ?? '')],
  ['defer', (s) => s.defer(build, 2)],
  ['deferMany', (s) => s.deferMany([{ task: build, payload: 2 }])],
  ['flow', (s) => s.flow({ a: { task: build, payload: 2 } })],
  ['batch', (s) => s.batch(build, [2])],
])('the stack of a full queue shows the line that called %s', (_name, call) => {
  const scheduler = makeScheduler({ maxQueued: 1 })
  scheduler.pause()
  scheduler.defer(build, 0).cancel()
  scheduler.defer(build, 1)
  const error = thrownBy(() => call(scheduler))
  expect(error).toMatchObject({ code: 'ERR_SIDEWORK_QUEUE_FULL' })
  expect(error.stack).toContain('refusals.test.ts')
})

it('what a key function throws keeps its own stack', () => {
  const fails = defineTask('refusals.key', never, { lane: 'main', orderingKey: () => brokenKey() })
  expect(framesOf(thrownBy(() => makeScheduler().defer(fails)))[0]).toContain('brokenKey')
})

function brokenKey(): string {
  throw new TypeError('no key')
}

const circle: { self?: unknown } = {}
circle.self = circle

it.each<[string, (s: Scheduler) => unknown, string]>([
  [
    'a payload',
    (s) => s.defer(build, { order: { at: new Date(0) } }),
    "Task 'refusals.build': payload.order.at is a Date. Pass date.toISOString() or date.getTime().",
  ],
  [
    'a circular payload',
    (s) => s.defer(build, circle),
    "Task 'refusals.build': payload.self is circular: it leads back to payload. Pass ids instead of references.",
  ],
  [
    'a payload in a flow',
    (s) => s.flow({ a: { task: build, payload: 1n } }),
    "Step 'a': Task 'refusals.build': payload is a bigint, which JSON does not have. Pass a string.",
  ],
  [
    'a long payload',
    (s) => s.defer(build, 'x'.repeat(300_000)),
    "Task 'refusals.build': the payload is at least",
  ],
  [
    'many bytes',
    (s) => s.defer(build, new Uint8Array(2_000)),
    "Task 'refusals.build': the Uint8Arrays of the payload hold at least 2000 bytes;",
  ],
  [
    'a payload for a function',
    (s) => s.defer(never, { rows: 1 } as never),
    "A function takes no payload: close over what it needs, or define a task. defer has an unknown option 'rows'. Known are: delay,",
  ],
  [
    'on',
    (s) => s.defer(build, 1, { on: 'success' } as never),
    "'on' is an option of req.defer. Call that, or leave it out.",
  ],
  [
    'a delay for the options',
    (s) => s.defer(build, 1, 5000 as never),
    'The options of defer are 5000. Give an object such as { delay: 5000 }.',
  ],
  [
    'a list for the options',
    (s) => s.defer(build, 1, [] as never),
    'The options of defer are an array. Give an object with options.',
  ],
  [
    'a timeout for the options of close',
    (s) => s.close('5s' as never),
    "The options of close are '5s'. Give an object such as { timeout: '5s' }.",
  ],
  [
    'a promise',
    (s) => s.defer(Promise.resolve() as never),
    'The task is a promise. Pass the function, not its call.',
  ],
  [
    'a forgotten tasks',
    (s) => s.defer(defineTask('refusals.cpu', never, { lane: 'cpu' })),
    "in CommonJS { tasks: path.join(__dirname, 'tasks.js') }, or give the task lane: 'main'.",
  ],
  [
    'an item that is none',
    (s) => s.deferMany([5 as never]),
    'deferMany, item 0: The item is 5. Give { task, payload, options }.',
  ],
  [
    'one item of many',
    (s) => s.deferMany([{ task: anyTask }, { task: anyTask, payload: { a: [1n] } as never }]),
    "deferMany, item 1: Task 'refusals.free': payload.a[0] is a bigint",
  ],
  [
    'options that have yet to come',
    (s) => s.defer(anyTask, undefined, Promise.resolve({ delay: '1h' }) as never),
    'The options of defer are a promise. Await it first.',
  ],
  [
    'options in a Map',
    (s) => s.defer(anyTask, undefined, new Map([['delay', '1h']]) as never),
    'The options of defer are a Map. Give an object with options.',
  ],
  [
    'settings that have yet to come',
    () => createScheduler(Promise.resolve({}) as never),
    'The options of createScheduler are a promise. Await it first.',
  ],
  [
    'limits in a Map',
    () => createScheduler({ limits: new Map() as never }),
    'limits is a Map. Give an object { name: { concurrency, rateLimit } }.',
  ],
  [
    'a key that is too long',
    (s) => s.defer(anyTask, undefined, { orderingKey: 'k'.repeat(257) }),
    `orderingKey is "${'k'.repeat(60)}…" (257 bytes). Give a well-formed string of 1 to 256 bytes`,
  ],
  [
    'a dedupe without a key',
    (s) => s.defer(anyTask, undefined, { dedupe: { mode: 'last' } as never }),
    'dedupe.key is undefined.',
  ],
  [
    'a dedupe function that answers no key',
    (s) => s.defer(defineTask('refusals.dedupe', never, { lane: 'main', dedupe: () => undefined as never })),
    "Task 'refusals.dedupe': the answer of dedupe is undefined.",
  ],
  [
    'a limit function that answers no key',
    (s) =>
      s.defer(
        defineTask('refusals.limit', never, {
          lane: 'main',
          concurrency: { limit: 1, key: () => undefined as never },
        }),
      ),
    "Task 'refusals.limit': the answer of concurrency.key is undefined.",
  ],
  [
    'no jitter',
    () =>
      defineTask('refusals.jitter', never, { backoff: { type: 'fixed', delay: 1, jitter: null as never } }),
    'backoff.jitter is null.',
  ],
  [
    'a reason of RetryLater that stands alone',
    () => new RetryLater('1m', 'quota used up' as never),
    "The options of RetryLater are 'quota used up'. Give an object such as { reason: 'quota used up' }.",
  ],
  [
    'an unknown option of RetryLater',
    () => new RetryLater('1m', { reasn: 'x' } as never),
    "RetryLater has an unknown option 'reasn'. Known are: reason, cause.",
  ],
  [
    'what the queue never has room for',
    (s) => s.deferMany([1, 2].map(() => ({ task: anyTask, payload: 'x'.repeat(600) }))),
    'Queue is full (0 of 1000 bytes, 1204 more wanted). It never holds as many. Raise maxQueuedBytes',
  ],
  [
    'a handler before the name',
    () => defineTask(never as never, 'x' as never),
    'The order is defineTask(name, handler, options).',
  ],
  [
    'options before the handler',
    () => defineTask('refusals.order', { attempts: 2 } as never, never as never),
    'The order is defineTask(name, handler, options).',
  ],
])('%s that is refused is told so that one sees what to do', (_name, call, message) => {
  const scheduler = makeScheduler({ maxQueuedBytes: 1_000 })
  expect(thrownBy(() => call(scheduler)).message).toContain(message)
  expect(scheduler.stats().accepted).toBe(0)
})

it('a refused handler or option of a task says nothing about the order', () => {
  expect(thrownBy(() => defineTask('', never)).message).not.toContain('order')
})
