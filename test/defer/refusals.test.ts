/** What a refusal tells whoever made the call: the line, the task, and the mistake that is likely. */
import { expect, it, onTestFinished } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { createScheduler, defineTask, type Scheduler, type SchedulerOptions } from '../../src/index.js'

function makeScheduler(options: SchedulerOptions = {}): Scheduler {
  const scheduler = createScheduler({ logger: false, defaults: { lane: 'main' }, ...options })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

const build = defineTask('refusals.build', (_order: unknown) => undefined, { lane: 'main' })
/** Refused deep in the walk of the payload. */
const deep = { a: { b: { c: { d: { e: { f: { g: { at: new Date(0) } } } } } } } }
const never = () => undefined as never

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
    'An item of deferMany is 5. Give { task, payload, options }.',
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
