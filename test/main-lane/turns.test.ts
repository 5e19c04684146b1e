import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  createScheduler,
  defineTask,
  OptionError,
  PayloadError,
  QueueFullError,
  UnknownTaskError,
} from '../../src/index.js'
import type { TaskContext } from '../../src/task/context.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const mainSim = (main: object = {}): Sim => makeSim({ main: 'real', scheduler: { main } })

/** Something that one side awaits and the other gives. */
function promised<T>() {
  let give: (value: T) => void = () => undefined
  const given = new Promise<T>((resolve) => (give = resolve))
  return { given, give }
}

/** Other work holds every turn up by so many ms, until it is told to stop. */
function keepBusy(sim: Sim, ms: number): () => void {
  let isOver = false
  const turn = (): void => {
    if (isOver) return
    sim.world.block(ms)
    sim.world.nextTurn(turn)
  }
  sim.world.nextTurn(turn)
  return () => (isOver = true)
}

describe('while turns of the event loop take longer than main.maxDelay', () => {
  it('nothing starts, but one job a second; afterwards all do', async () => {
    const sim = mainSim({ maxDelay: 20 })
    const startedAt: number[] = []
    const task = sim.mainTask('t', () => void startedAt.push(sim.now))
    const stop = keepBusy(sim, 30)
    for (let n = 0; n < 6; n++) sim.scheduler.defer(task)
    sim.advance(3500)
    expect(startedAt).toHaveLength(3)
    for (const [index, at] of startedAt.entries()) expect(at - 1000 * (index + 1)).toBeLessThan(200)
    stop()
    await sim.flow(40)
    expect(startedAt).toHaveLength(6)
  })

  it('a turn of just maxDelay is none', async () => {
    const sim = mainSim({ maxDelay: 20 })
    const startedAt: number[] = []
    const stop = keepBusy(sim, 20)
    sim.scheduler.defer(sim.mainTask('t', () => void startedAt.push(sim.now)))
    sim.advance(100)
    expect(startedAt).toHaveLength(1)
    stop()
  })
})

describe('a handler that yielded', () => {
  it('goes on before jobs of its priority that have not started, and after more urgent ones', async () => {
    const sim = mainSim()
    const steps: string[] = []
    const other = sim.mainTask('other', (name: string) => void steps.push(name))
    const task = sim.mainTask('t', async (_: unknown, { yieldNow }: TaskContext) => {
      steps.push('begins')
      sim.scheduler.defer(other, 'equal')
      sim.scheduler.defer(other, 'urgent', { priority: 'high' })
      await yieldNow()
      steps.push('goes on')
    })
    sim.scheduler.defer(task)
    await sim.flow()
    expect(steps).toEqual(['begins', 'urgent', 'goes on', 'equal'])
  })

  it('has what it does then counted against the budget of the turn', async () => {
    const sim = mainSim({ budget: 5 })
    const turns: number[] = []
    let turn = 0
    const task = sim.mainTask('t', async (_: unknown, { yieldNow }: TaskContext) => {
      await yieldNow()
      sim.world.block(3)
      turns.push(turn)
    })
    const nextTurn = sim.world.nextTurn.bind(sim.world)
    sim.world.nextTurn = (run) =>
      nextTurn(() => {
        turn++
        run()
      })
    for (let n = 0; n < 6; n++) sim.scheduler.defer(task)
    for (let round = 0; round < 10; round++) await sim.flow(10)
    expect(turns).toHaveLength(6)
    const perTurn = [...new Set(turns)].map((one) => turns.filter((other) => other === one).length)
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(2)
  })

  it('does not keep a less urgent job from starting for more than a second', async () => {
    const sim = mainSim()
    let startedAt = Infinity
    const greedy = sim.mainTask('greedy', async (_: unknown, { yieldNow }: TaskContext) => {
      for (let n = 0; n < 300; n++) {
        sim.world.block(10)
        await yieldNow()
      }
    })
    sim.scheduler.defer(greedy, undefined, { priority: 9 })
    await sim.flow()
    sim.scheduler.defer(
      sim.mainTask('low', () => void (startedAt = sim.now)),
      undefined,
      { priority: 0 },
    )
    const start = sim.now
    for (let round = 0; round < 60; round++) await sim.flow(10)
    expect(startedAt - start).toBeLessThanOrEqual(1100)
  })
})

it('every attempt of a main-lane job has the AsyncLocalStorage context of its defer', async () => {
  const scheduler = createScheduler({ logger: false, defaults: { backoff: { type: 'fixed', delay: 0 } } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const context = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const closure = async ({ attempt }: TaskContext): Promise<unknown> => {
    seen.push(context.getStore())
    await Promise.resolve()
    if (attempt === 1) throw new Error('once more')
    return context.getStore() ?? null
  }
  const job = context.run('a request', () => scheduler.defer(closure))
  const other = context.run('another', () => scheduler.defer(closure))
  expect(await Promise.all([job.result(), other.result()])).toEqual(['a request', 'another'])
  expect(seen).toEqual(['a request', 'another', 'a request', 'another'])
  expect(await scheduler.defer(closure).result()).toBeNull()
})

it('what a handler does when its signal aborts has its own context too, not that of whoever cancels', async () => {
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const context = new AsyncLocalStorage<string>()
  const begun = promised<void>()
  const seen: unknown[] = []
  const closure = ({ signal }: TaskContext): Promise<void> => {
    begun.give()
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        seen.push(context.getStore())
        resolve()
      })
    })
  }
  const job = context.run('a request', () => scheduler.defer(closure))
  await begun.given
  context.run('another', () => job.cancel())
  expect(seen).toEqual(['a request'])
})

it('context.defer of a handler that goes on after close() rejects', async () => {
  const scheduler = createScheduler({ logger: false })
  const [begun, closed, answer] = [promised<void>(), promised<void>(), promised<unknown>()]
  scheduler.defer(async ({ defer }) => {
    begun.give()
    await closed.given
    answer.give(await defer('anything').catch((error: { code: string }) => error.code))
  })
  await begun.given
  await scheduler.close({ timeout: 0 })
  closed.give()
  expect(await answer.given).toBe('ERR_SIDEWORK_CLOSED')
})

describe('context.defer of what is refused rejects with the error that defer throws', () => {
  const full = { status: 503, retryAfterMs: 1000, headers: { 'Retry-After': '1' } }
  const strict = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: () => ({ issues: [{ message: 'too short', path: ['name'] }] }),
    },
  }
  const issues = [{ message: 'too short', path: expect.stringContaining('name') as string }]
  it.each<[string, unknown, (context: TaskContext) => Promise<unknown>, object]>([
    [
      'an unknown task',
      UnknownTaskError,
      ({ defer }) => defer('nobody'),
      { code: 'ERR_SIDEWORK_UNKNOWN_TASK' },
    ],
    [
      'a flow of one',
      UnknownTaskError,
      ({ defer }) => defer.chain([{ task: 'nobody' }]),
      { code: 'ERR_SIDEWORK_UNKNOWN_TASK' },
    ],
    [
      'a schema',
      PayloadError,
      ({ defer }) => defer('turns.strict', { name: '' }),
      { status: 422, issues, code: 'ERR_SIDEWORK_PAYLOAD' },
    ],
    [
      'a bad option',
      OptionError,
      ({ defer }) => defer('turns.any', undefined, { priority: 10 }),
      { code: 'ERR_SIDEWORK_OPTION' },
    ],
    [
      'a bad key',
      OptionError,
      ({ defer }) => defer('turns.any', undefined, { orderingKey: '' }),
      { code: 'ERR_SIDEWORK_KEY' },
    ],
    [
      'no room',
      QueueFullError,
      ({ defer }) => defer('turns.any'),
      { ...full, code: 'ERR_SIDEWORK_QUEUE_FULL' },
    ],
  ])('%s', async (_name, kind, defer, facts) => {
    defineTask('turns.any', () => undefined, { lane: 'main' })
    defineTask('turns.strict', () => undefined, { lane: 'main', input: strict })
    const scheduler = createScheduler({ logger: false, maxQueued: kind === QueueFullError ? 1 : 10 })
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const answer = promised<unknown>()
    scheduler.defer((context) => defer(context).catch(answer.give))
    const error = await answer.given
    expect(error).toBeInstanceOf(kind)
    expect(error).toMatchObject(facts)
  })
})

it('yieldNow of a handler that goes on after close() rejects, so that it comes to its end', async () => {
  const scheduler = createScheduler({ logger: false })
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  onTestFinished(() => void process.off('unhandledRejection', unhandled))
  const [begun, cleanedUp, later] = [promised<void>(), promised<void>(), promised<unknown>()]
  scheduler.defer(async ({ yieldNow }) => {
    begun.give()
    try {
      for (;;) await yieldNow()
    } finally {
      cleanedUp.give()
      later.give(await yieldNow().catch((error: { code: string }) => error.code))
    }
  })
  scheduler.defer(({ yieldNow }) => {
    void yieldNow() // not awaited: nobody hears of it
    return new Promise(() => undefined)
  })
  await begun.given
  await scheduler.close({ timeout: 0 })
  await cleanedUp.given
  expect(await later.given).toBe('ERR_SIDEWORK_CLOSED')
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled).not.toHaveBeenCalled()
})

it('places that come free within the budget are filled again in the same turn', async () => {
  const scheduler = createScheduler({ logger: false, main: { concurrency: 2, budget: 1000, maxDelay: 1000 } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  let turn = 0
  const count = (): void => {
    turn++
    if (!isOver) setImmediate(count)
  }
  let isOver = false
  const turns: number[] = []
  const jobs = Array.from({ length: 20 }, () => scheduler.defer(async () => void turns.push(turn)))
  setImmediate(count)
  await Promise.all(jobs.map((job) => job.result()))
  isOver = true
  expect(turns).toHaveLength(20)
  expect(new Set(turns).size).toBe(1)
})

it('goes on when an app’s test has put fakes in the place of the global timers', async () => {
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  for (let n = 0; n < 3; n++) expect(await scheduler.defer(() => n).result()).toBe(n)
})
