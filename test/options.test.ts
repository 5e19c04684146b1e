/**
 * Every public option: what it may be, and how it is refused. A refusal has a code, names the option, shows the value
 * it had and says what is allowed, and leaves nothing behind.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createScheduler, defineTask, type DeferOptions, type Scheduler } from '../src/index.js'
import { readSettings } from '../src/read-settings.js'
import { readTaskPolicy } from '../src/task/task-policy.js'
import { knownOptions } from './fixtures/known-options.js'
import { failsForGood, neverEnds } from './simulation/script.js'
import { makeSim } from './simulation/sim.js'

interface Rule {
  /** Values that are taken: the bounds. */
  readonly good: readonly unknown[]
  readonly bad: readonly unknown[]
  /** What the refusal says is allowed. */
  readonly allowed: RegExp
  readonly code?: string
}

const integerFrom = (min: number, max = Number.MAX_SAFE_INTEGER): Rule => ({
  good: [min, max],
  bad: [min - 1, ...(max < Number.MAX_SAFE_INTEGER ? [max + 1] : []), min + 0.5, NaN, Infinity, String(min), null, {}, true], // prettier-ignore
  allowed:
    max < Number.MAX_SAFE_INTEGER ? new RegExp(`integer from ${min} to ${max}`) : /integer of at least/,
})
const tenYears = 3652.5 * 86_400_000
const badDurations = [-1, NaN, Infinity, tenYears + 1, '5', '', 'soon', '-1s', '11y', null, {}, [], true]
const duration: Rule = {
  good: [1, 0.5, '90s', '1.5h', '10y', tenYears],
  bad: [0, '0s', ...badDurations],
  allowed: /'90s'|above 0/,
}
const durationOr0: Rule = { good: [0, '0s', ...duration.good], bad: badDurations, allowed: /'90s'/ }
const orFalse = (rule: Rule): Rule => ({ ...rule, good: [...rule.good, false] })
const oneOf = (...names: string[]): Rule => ({
  good: names,
  bad: ['other', '', names[0]?.toUpperCase(), 1, null, {}, true],
  allowed: new RegExp(names.map((name) => `'${name}'`).join(', ')),
})
const keyFunction: Rule = {
  good: [() => 'k'],
  bad: ['k', 1, null, {}, true],
  allowed: /function \(payload\)/,
}
const anObject: Rule = { good: [{}], bad: [null, 1, 'x', [], { unknown: 1 }, true], allowed: /Give an object|Known are/ } // prettier-ignore
const priority: Rule = {
  good: ['low', 'normal', 'high', 0, 9],
  bad: [-1, 10, 1.5, NaN, Infinity, '5', 'urgent', null, {}, true],
  allowed: /'low', 'normal', 'high' or an integer from 0 to 9/,
}
const backoff: Rule = {
  good: [() => 1, { type: 'fixed', delay: 0 }, { type: 'exponential' }, { type: 'exponential', delay: '1s', factor: 1, max: '1s', jitter: 1 }], // prettier-ignore
  bad: [5, 'fixed', null, {}, { type: 'linear' }, { type: 'fixed' }, { type: 'fixed', delay: -1 }, { type: 'fixed', delay: 1, max: 2 }, { type: 'exponential', factor: 0.5 }, { type: 'exponential', jitter: 2 }, { type: 'exponential', delay: '2h', max: '1h' }], // prettier-ignore
  allowed: /Give|Known are|Raise/,
}
const key: Rule = {
  good: ['k', 'x'.repeat(256), '../'],
  bad: ['', 0, null, 'x'.repeat(257), 'a\0', '\ud800', true],
  allowed: /1 to 256 bytes/,
  code: 'ERR_SIDEWORK_KEY',
}
const dedupe: Rule = {
  good: [{ key: () => 'k' }, { key: () => 'k', mode: 'last', ttl: '1s' }, () => 'k'],
  bad: ['k', 1, null, {}, { key: 'k' }, { key: () => 'k', mode: 'both' }, { key: () => 'k', ttl: 0 }, { key: () => 'k', other: 1 }], // prettier-ignore
  allowed: /Give|Known are/,
}
const taskFilter: Rule = {
  good: [{ name: 'known', run: () => undefined, options: {} }],
  bad: ['unknown', 1, null, {}, true],
  allowed: /Give a task made by defineTask|Import the module/,
}
const rates = [1, null, {}, { limit: 1 }, { per: 1 }, { limit: 0, per: 1 }, { limit: 1_000_001, per: 1 }, { limit: 1, per: 0 }, { limit: 1, per: '1s', each: 1 }] // prettier-ignore

const schedulerOptions: Readonly<Record<string, Rule>> = {
  tasks: { good: ['./tasks.js', new URL('file:///t.js'), [], ['./a.js', new URL('file:///b.js')]], bad: [1, null, {}, [1], true], allowed: /new URL\('.\/tasks.js', import.meta.url\)/ }, // prettier-ignore
  threads: { ...anObject, good: [1, 256, {}], bad: [0, 257, 1.5, NaN, null, 'x', [], { unknown: 1 }], allowed: /Give|Known are/ }, // prettier-ignore
  'threads.cpu': integerFrom(1, 256),
  'threads.io': integerFrom(1, 256),
  'threads.ioConcurrency': integerFrom(1, 10_000),
  'threads.minIdle': integerFrom(0, 256),
  'threads.idleTimeout': duration,
  'threads.startTimeout': duration,
  'threads.nice': integerFrom(0, 19),
  'threads.maxRssBytes': integerFrom(1),
  'threads.entry': {
    good: [new URL('file:///entry.js')],
    bad: ['./entry.js', 1, null],
    allowed: /Give a URL/,
  },
  'threads.resourceLimits': { good: [{ maxOldGenerationSizeMb: 64 }], bad: [1, null, 'x', [], { maxHeap: 64 }, { maxOldGenerationSizeMb: 'x' }], allowed: /Give|Known are/ }, // prettier-ignore
  'threads.execArgv': { good: [[], ['--no-warnings']], bad: [1, null, '--no-warnings', [1], {}], allowed: /Give an array/ }, // prettier-ignore
  main: anObject,
  'main.concurrency': integerFrom(1, 10_000),
  'main.budget': duration,
  'main.maxDelay': duration,
  'main.blockedAfter': orFalse(duration),
  maxQueued: integerFrom(1, 5_000_000),
  maxQueuedBytes: integerFrom(1),
  maxPayloadBytes: integerFrom(1, 2 ** 29),
  aging: orFalse(duration),
  keep: anObject,
  'keep.completed': integerFrom(0, 5_000_000),
  'keep.failed': integerFrom(0, 5_000_000),
  'keep.bytes': integerFrom(0),
  'keep.for': duration,
  limits: { good: [{}, { smtp: {} }], bad: [null, 1, [], 'smtp', { smtp: 1 }, { smtp: { rate: 1 } }], allowed: /Give|Known are/ }, // prettier-ignore
  'limits.smtp': { ...anObject, bad: [null, 1, 'x', [], { unknown: 1 }] },
  'limits.smtp.concurrency': integerFrom(1),
  'limits.smtp.rateLimit': { good: [{ limit: 1, per: 1 }, { limit: 1_000_000, per: '10y' }], bad: [...rates, { limit: 1, per: 1, key: () => 'k' }], allowed: /Give|Known are/ }, // prettier-ignore
  defaults: { ...anObject, bad: [...anObject.bad, { orderingKey: () => 'k' }, { dedupe: () => 'k' }, { concurrency: 1 }, { rateLimit: { limit: 1, per: 1 } }, { limits: 'x' }, { attempts: 0 }] , allowed: /Give|Known are/ }, // prettier-ignore
  logger: { good: [false], bad: [true, null, 1, 'info', {}], allowed: /pino logger, or false/ },
}

const taskOptions: Readonly<Record<string, Rule>> = {
  lane: oneOf('cpu', 'io', 'main'),
  attempts: integerFrom(1, 100),
  backoff,
  timeout: orFalse(duration),
  killAfter: durationOr0,
  visibilityTimeout: duration,
  priority,
  concurrency: { good: [1, { limit: 1 }, { limit: 1, key: () => 'k' }], bad: [0, -1, 1.5, NaN, '1', null, {}, { limit: 0 }, { limit: 1, key: 'k' }, { limit: 1, per: 1 }], allowed: /Give|Known are/ }, // prettier-ignore
  rateLimit: { good: [{ limit: 1, per: 1 }, { limit: 1, per: 1, key: () => 'k' }], bad: [...rates, { limit: 1, per: 1, key: 'k' }], allowed: /Give|Known are/ }, // prettier-ignore
  limits: { good: ['smtp', ['smtp', 'disk']], bad: [1, [], null, {}, [1], ['smtp', null]], allowed: /names, of limits/ }, // prettier-ignore
  orderingKey: keyFunction,
  onExhausted: oneOf('skip', 'halt'),
  dedupe,
  expiresIn: duration,
  sensitive: { good: [true, false], bad: [1, 'yes', null, {}], allowed: /true or false/ },
  input: { good: [{ '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } }], bad: [1, null, {}, 'zod'], allowed: /Standard Schema/ }, // prettier-ignore
}

const deferOptions: Readonly<Record<keyof DeferOptions, Rule>> = {
  priority,
  delay: durationOr0,
  runAt: { good: [0, new Date(), -5], bad: [NaN, Infinity, 'now', null, {}, new Date(NaN), Date.now() + 2 * tenYears], allowed: /Date or milliseconds/ }, // prettier-ignore
  orderingKey: key,
  dedupe: { good: ['k', { key: 'k', mode: 'first', ttl: 1 }], bad: ['', 0, null, {}, { key: '' }, { key: 'k', mode: 'both' }, { key: 'k', ttl: 0 }, { key: 'k', other: 1 }, () => 'k'], allowed: /Give|Known are/ }, // prettier-ignore
  attempts: integerFrom(1, 100),
  backoff,
  timeout: orFalse(duration),
  expiresIn: duration,
  signal: { good: [new AbortController().signal], bad: [true, null, {}, 'x', new AbortController()], allowed: /AbortSignal/ }, // prettier-ignore
  id: key,
}

const cases = (rules: Readonly<Record<string, Rule>>) => Object.entries(rules)

/** `a.b.c` with a value as `{ a: { b: { c: value } } }`. */
function nested(path: string, value: unknown): Record<string, unknown> {
  return path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Record<
    string,
    unknown
  >
}

/** Each bad value gives the coded error that names option, value and what is allowed. */
function refuses(name: string, rule: Rule, give: (value: unknown) => unknown): void {
  for (const value of rule.bad) {
    let error: { code?: string; message?: string } | undefined
    try {
      give(value)
    } catch (thrown) {
      error = thrown as typeof error
    }
    const what = `${name}: ${typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)}`
    expect(error?.code, what).toMatch(/^ERR_SIDEWORK_(OPTION|KEY|UNKNOWN_TASK)$/)
    if (rule.code !== undefined) expect(error?.code, what).toBe(rule.code)
    expect(error?.message, what).toContain(name.split('.').at(-1))
    expect(error?.message, what).toMatch(rule.allowed)
    if (typeof value === 'number') expect(error?.message, what).toMatch(new RegExp(`(is|are) ${value}|unknown|limit`)) // prettier-ignore
  }
}

describe('an option of createScheduler', () => {
  it.each(cases(schedulerOptions))('%s', (name, rule) => {
    for (const value of rule.good) readSettings({ logger: false, ...nested(name, value) })
    if (name !== 'limits.smtp') readSettings({ logger: false, ...nested(name, undefined) })
    refuses(name, rule, (value) => createScheduler({ logger: false, ...nested(name, value) }))
  })

  it.each([null, 1, 'x', [], { unknown: 1 }])('refused in the place of all: %j', (options) => {
    expect(() => createScheduler(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }),
    )
  })

  it('is in the table above, whichever there is', () => {
    const groups = ['threads', 'main', 'keep', 'limits.smtp']
    const unknown = (path: string) => knownOptions(() => readSettings(nested(path, 1)))
    const inner = groups.flatMap((group) => unknown(`${group}.unknown`).map((name) => `${group}.${name}`))
    const expected = [...unknown('unknown'), ...inner, 'limits.smtp']
    expect(Object.keys(schedulerOptions).sort()).toEqual(expected.sort())
  })

  it('that is inherited is not read', () => {
    expect(readSettings(Object.create({ maxQueued: 5, unknown: 1 })).maxQueued).toBe(100_000)
  })
})

describe('an option of defineTask', () => {
  it.each(cases(taskOptions))('%s', (name, rule) => {
    for (const value of [...rule.good, undefined]) readTaskPolicy('t', { [name]: value }, {})
    const scheduler = makeScheduler()
    refuses(name, rule, (value) =>
      scheduler.defer({ name: 't', run: () => undefined, options: { lane: 'main', [name]: value } } as never),
    )
    expect(scheduler.stats().accepted).toBe(0)
  })

  it('is in the table above, whichever there is', () => {
    const known = knownOptions(() => readTaskPolicy('t', { unknown: 1 }, {}))
    expect(Object.keys(taskOptions).sort()).toEqual(known.sort())
  })

  it('has a default', () => {
    expect(readTaskPolicy('t', {}, {})).toEqual({
      lane: 'cpu', maxAttempts: 5, backoff: { type: 'exponential', delayMs: 60_000, factor: 2, maxMs: 3_600_000, jitter: 0.1 },
      timeoutMs: 300_000, killAfterMs: 5000, visibilityTimeoutMs: Infinity, priority: 5, orderingKey: undefined, limits: undefined,
      dedupe: undefined, onExhausted: 'skip', expiresInMs: Infinity, describesJobs: false, sensitive: false, input: undefined,
    }) // prettier-ignore
  })

  it('that is not its own is refused or, inherited, not read', () => {
    expect(() => readTaskPolicy('t', { retries: 1 }, {})).toThrow(/'retries'[^]*Known are: lane/)
    expect(readTaskPolicy('t', Object.create({ attempts: 1 }), {}).maxAttempts).toBe(5)
  })

  it.each(['', 'a b', 'é', 'x'.repeat(129), '(inline)', null, 1])('the name %j is refused', (name) => {
    expect(() => defineTask(name as never, () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_TASK_NAME', message: expect.stringContaining('A-Z') }),
    )
  })

  it.each([null, 'run', {}, undefined])('the handler %j is refused', (run) => {
    expect(() => defineTask('options.run', run as never)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }),
    )
  })
})

describe('an option of defer', () => {
  it.each(cases(deferOptions))('%s', (name, rule) => {
    const scheduler = makeScheduler()
    refuses(name, rule, (value) => scheduler.defer(() => undefined, { [name]: value }))
    expect(scheduler.stats().accepted).toBe(0)
    scheduler.pause()
    for (const value of [...rule.good, undefined]) scheduler.defer(() => undefined, { [name]: value })
    expect(scheduler.stats().accepted).toBeGreaterThan(0)
  })

  it('is in the table above, whichever there is', () => {
    const known = knownOptions(() => makeScheduler().defer(() => undefined, { unknown: 1 } as object))
    expect(Object.keys(deferOptions).sort()).toEqual(known.sort())
  })

  it("has the task's value when it is not given", () => {
    const scheduler = makeScheduler({ defaults: { attempts: 7, priority: 'high' } })
    const { id, deduplicated } = scheduler.defer(() => undefined)
    expect(deduplicated).toBe(false)
    expect(id).toHaveLength(26)
    const { acceptedAt, ...snapshot } = scheduler.job(id) ?? {}
    expect(snapshot).toMatchObject({ state: 'ready', maxAttempts: 7, priority: 8, runAt: acceptedAt })
    expect(snapshot).not.toHaveProperty('orderingKey')
    expect(snapshot).not.toHaveProperty('dedupeKey')
  })

  it('that contradicts another is refused', () => {
    expect(() => makeScheduler().defer(() => undefined, { delay: 1, runAt: 1 })).toThrow(
      /both delay and runAt/,
    )
  })
})

const calls: readonly (readonly [string, string, Rule, (scheduler: Scheduler, value: unknown) => unknown])[] = [
  ['close', 'timeout', { ...durationOr0, good: [] }, (s, timeout) => s.close({ timeout } as never)],
  ['close', 'drain', { good: [], bad: [1, 'yes', null], allowed: /true or false/ }, (s, drain) => s.close({ drain } as never)], // prettier-ignore
  ['close', 'close', { ...anObject, good: [] }, (s, options) => s.close(options as never)],
  ['result', 'timeout', duration, (s, timeout) => void later(s).result({ timeout } as never).catch(() => 1)], // prettier-ignore
  ['result', 'result', anObject, (s, options) => void later(s).result(options as never).catch(() => 1)], // prettier-ignore
  ['jobs', 'limit', integerFrom(1, 1000), (s, limit) => s.jobs({ limit } as never)],
  ['jobs', 'state', { good: ['ready', 'held'], bad: ['redy', null, 1, 'toString'], allowed: /held, scheduled/ }, (s, state) => s.jobs({ state } as never)], // prettier-ignore
  ['jobs', 'key', key, (s, value) => s.jobs({ key: value } as never)],
  ['jobs', 'task', taskFilter, (s, task) => s.jobs({ task } as never)],
  ['jobs', 'before', key, (s, before) => expect(s.jobs({ before } as never)).toEqual([])], // a job that is kept no longer
  ['jobs', 'jobs', anObject, (s, filter) => s.jobs(filter as never)],
  ['cancelAll', 'task', taskFilter, (s, task) => s.cancelAll({ task } as never)],
  ['cancelAll', 'cancelAll', anObject, (s, filter) => s.cancelAll(filter as never)],
  ['retryAll', 'task', taskFilter, (s, task) => s.retryAll({ task } as never)],
  ['retryAll', 'retryAll', anObject, (s, filter) => s.retryAll(filter as never)],
  ['releaseKey', 'releaseKey', anObject, (s, options) => s.releaseKey('k', options as never)],
  ['releaseKey', 'retry', { good: [true, false], bad: [1, 'yes', null], allowed: /true or false/ }, (s, retry) => s.releaseKey('k', { retry } as never)], // prettier-ignore
  ['pauseLimit', 'delay', durationOr0, (s, delay) => s.pauseLimit('smtp', delay as never)],
] // prettier-ignore

const later = (scheduler: Scheduler) => scheduler.defer(() => 1, { delay: '1h' })

describe('an option of', () => {
  it.each(calls)('%s: %s', (_call, name, rule, give) => {
    const scheduler = makeScheduler({ limits: { smtp: { concurrency: 1 } } })
    for (const value of rule.good) give(scheduler, value)
    refuses(name, rule, (value) => give(scheduler, value))
    // Nothing was closed by a refused call.
    expect(scheduler.defer(() => undefined).state).toBe('ready')
  })

  it.each(['close', 'result', 'jobs', 'cancelAll', 'retryAll', 'releaseKey'])(
    '%s is in the table above, whichever there is',
    (call) => {
      const whole = calls.find(([name, option]) => name === call && option === call)?.[3]
      const known = knownOptions(() => whole?.(makeScheduler(), { unknown: 1 }))
      const listed = calls.flatMap(([name, option]) => (name === call && option !== call ? [option] : []))
      expect(listed.sort()).toEqual(known.sort())
    },
  )

  it('close is 25 s and what is ready is run, when it is not given', async () => {
    const sim = makeSim()
    const endless = sim.scheduler.defer(sim.task('endless', neverEnds))
    sim.advance(1)
    const ready = sim.scheduler.defer(sim.task('ready', {}, { lane: 'io' }))
    let isClosed = false
    void sim.scheduler.close().then(() => (isClosed = true))
    sim.advance(24_999)
    expect([ready.state, endless.state]).toEqual(['completed', 'running'])
    sim.advance(1001)
    await Promise.resolve()
    expect([endless.state, isClosed]).toEqual(['cancelled', true])
  })

  it('jobs is 100 jobs, when it is not given', () => {
    const scheduler = makeScheduler()
    for (let n = 0; n < 101; n++) scheduler.defer(() => undefined)
    expect(scheduler.jobs()).toHaveLength(100)
  })

  it('releaseKey is no retry, when it is not given', () => {
    const sim = makeSim()
    const task = sim.task('bad', failsForGood('no'), { onExhausted: 'halt' })
    const job = sim.scheduler.defer(task, 1, { orderingKey: 'k' })
    sim.advance(10)
    expect(sim.scheduler.releaseKey('k')).toBe(true)
    sim.advance(10)
    expect(job.state).toBe('failed')
    expect(sim.began).toHaveLength(1)
  })
})

function makeScheduler(options: Parameters<typeof createScheduler>[0] = {}): Scheduler {
  const scheduler = createScheduler({ logger: false, ...options })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

describe('a refusal', () => {
  const task = { name: 'send-welcome', run: () => undefined, options: {} }

  it.each([
    [{ priority: 'urgent' }, "Task 't': priority is 'urgent'. Give 'low',"],
    [{ dedupe: true }, 'dedupe is true. Give a function (payload) => string, or { key: (payload) => string, mode, ttl }.'],
    [{ backoff: '5s' }, "backoff is '5s'. Give { type: 'exponential' | 'fixed', delay, … } or a function (attempt, error) => delay | false."],
    [{ concurrency: '2' }, "concurrency is '2'. Give a number from 1, or { limit, key: (payload) => string }."],
    [{ rateLimit: 5 }, 'rateLimit is 5. Give { limit, per, key?: (payload) => string }.'],
    [{ killAfter: -1 }, "killAfter is -1. Give milliseconds, or a number with a unit such as '90s' or '5m'; 0 or more, at most 10 years."],
    [{ timeout: -1 }, "timeout is -1. Give milliseconds, or a number with a unit such as '90s' or '5m'; above 0, at most 10 years."],
  ])('of task options %j says what is allowed', (options, message) => {
    expect(() => readTaskPolicy('t', options, {})).toThrow(message)
  }) // prettier-ignore

  it.each([
    [{ delay: -1 }, /^delay is -1\. .* 0 or more,/],
    [{ dedupe: true }, /^dedupe is true\. Give a key, or \{ key, mode, ttl \}\.$/],
  ])('of defer options %j says what is allowed', (options, message) => {
    expect(() => makeScheduler().defer(() => undefined, options as never)).toThrow(message)
  })

  it.each([
    [
      { tasks: ['./tasks.js', task] },
      "tasks[1] is the task 'send-welcome'. Give the module that defines them",
    ],
    [{ tasks: task }, "tasks is the task 'send-welcome'. Give the module that defines them"],
    [{ tasks: ['./tasks.js', 5] }, 'tasks[1] is 5. Give the module'],
    [{ logger: console }, 'logger is an object without isLevelEnabled(). Give a pino logger'],
    [
      { logger: { ...console, child: () => console } },
      'logger is an object without isLevelEnabled(). Give a pino logger',
    ],
    [{ logger: { child: () => ({}) } }, 'logger is an object without debug(). Give a pino logger'],
  ])('of scheduler options says which part is wrong: %#', (options, message) => {
    expect(() => readSettings(options)).toThrow(message)
  })
})
