/** `context.defer`: children of a running job. */
import { tracingChannel } from 'node:diagnostics_channel'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { TaskContext } from '../../src/task/context.js'
import type { Task, TaskDefinition } from '../../src/task/define-task.js'
import type { DeferTrace } from '../../src/task/trace-channels.js'
import { registeredTasks } from '../../src/task/registry.js'
import { makeSim } from '../simulation/sim.js'

const long = 'x'.repeat(300_000)

it('takes payloads up to the maxPayloadBytes of the scheduler, as scheduler.defer does', async () => {
  const sim = makeSim({ main: 'real', scheduler: { maxPayloadBytes: 400_000 } })
  const child = sim.mainTask('child', (payload: string) => payload.length)
  const run = async (_payload: never, { defer }: TaskContext) => {
    const { id } = await defer(child, long)
    const flow = await defer.flow({ a: { task: child, payload: long } })
    let refused: unknown
    try {
      await defer(child, long + long)
    } catch (error) {
      refused = (error as { code: string }).code
    }
    return [id, flow.jobs.a, refused]
  }
  sim.scheduler.resume(child) // makes it known
  const parent = sim.scheduler.defer(sim.mainTask('parent', run))
  for (let round = 0; round < 5; round++) await sim.flow(10)
  const [id, step, refused] = (await parent.result()) as string[]
  expect([sim.scheduler.job(id ?? '')?.result, sim.scheduler.job(step ?? '')?.result]).toEqual([
    300_000, 300_000,
  ])
  expect(refused).toBe('ERR_SIDEWORK_PAYLOAD_TOO_LARGE')
})

it('is refused from an attempt that was cancelled, so that nobody waits for it for ever', async () => {
  const sim = makeSim({ main: 'real' })
  const child = sim.mainTask('child', () => undefined)
  const seen: unknown[] = []
  const run = async (_payload: never, { defer, signal }: TaskContext) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    const codeOf = ({ code }: { code: string }) => code
    seen.push(await defer(child).catch(codeOf), await defer.chain([{ task: child }]).catch(codeOf))
  }
  const job = sim.scheduler.defer(sim.mainTask('parent', run))
  await sim.flow(1)
  job.cancel('no longer wanted')
  await sim.flow(1)
  await sim.flow(1)
  expect(seen).toEqual(['ERR_SIDEWORK_CANCELLED', 'ERR_SIDEWORK_CANCELLED'])
  expect(sim.scheduler.stats()).toMatchObject({ accepted: 1, abandoned: 0 })
})

it('is refused from an attempt that has ended', async () => {
  const sim = makeSim({ main: 'real' })
  const child = sim.mainTask('child', () => undefined)
  let later: TaskContext['defer'] | undefined
  const run = (_payload: never, { defer }: TaskContext): void => {
    later = defer
  }
  sim.scheduler.defer(sim.mainTask('parent', run))
  await sim.flow(1)
  await expect(later?.(child)).rejects.toMatchObject({
    code: 'ERR_SIDEWORK_CANCELLED',
    message: expect.stringContaining('has ended') as string,
  })
  expect(sim.scheduler.stats()).toMatchObject({ accepted: 1 })
})

describe('the stack of a refused context.defer begins at the line that called it', () => {
  type Defer = TaskContext['defer']
  it.each<[string, (defer: Defer) => Promise<unknown>]>([
    ['for a bad payload', (defer) => defer('child', { at: new Date(0) })],
    ['for what is no task', (defer) => defer(5 as never)],
    ['in a flow', (defer) => defer.flow({ a: { task: 'child', after: ['b'] as never } })],
    ['in a chain', (defer) => defer.chain([5 as never])],
    ['in a batch', (defer) => defer.batch('child', 5 as never)],
    ['by the scheduler', (defer) => defer('nobody')],
    ['by the scheduler, in a flow', (defer) => defer.flow({ a: { task: 'nobody' } })],
  ])('%s', async (_what, call) => {
    const sim = makeSim({ main: 'real' })
    let caught: Error | undefined
    const run = async (_payload: never, { defer }: TaskContext) => {
      try {
        await call(defer)
      } catch (error) {
        caught = error as Error
      }
    }
    sim.scheduler.defer(sim.mainTask('parent', run))
    for (let round = 0; round < 3; round++) await sim.flow(10)
    const frames = caught?.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []
    expect(frames[0]).toContain('children.test.ts')
    expect(caught?.stack).toContain(caught?.message)
  })
})

describe('a refused context.defer rejects, so that its .catch() hears of it', () => {
  type Defer = TaskContext['defer']
  const refusals: [what: string, task: string, count: number, call: (defer: Defer) => Promise<unknown>][] = [
    ['for a bad payload', 'child', 1, (defer) => defer('child', 1n)],
    [
      'for an option that cannot reach across threads',
      'child',
      1,
      (defer) => defer('child', 1, { backoff: () => 1 } as never),
    ],
    ['for what is no task', 'number', 1, (defer) => defer(5 as never)],
    ['in a flow', '(flow)', 0, (defer) => defer.flow({ a: { task: 'child', after: ['b'] as never } })],
    [
      'in a flow, for a bad payload',
      '(flow)',
      1,
      (defer) => defer.flow({ a: { task: 'child', payload: 1n } }),
    ],
    ['in a chain', '(chain)', 0, (defer) => defer.chain([5 as never])],
    ['in a batch', '(batch)', 0, (defer) => defer.batch('child', 5 as never)],
    [
      'for an option that is no data',
      'child',
      1,
      (defer) => defer('child', 1, { orderingKey: () => 'k' } as never),
    ],
  ]
  it.each(refusals)('%s', async (_what, _task, _count, call) => {
    const sim = makeSim({ main: 'real' })
    const caught: unknown[] = []
    const run = async (_payload: never, { defer }: TaskContext) => {
      await call(defer).catch((error: unknown) => caught.push(error))
      return 'its work is done'
    }
    const job = sim.scheduler.defer(sim.mainTask('parent', run, { attempts: 1 }))
    await sim.flow(10)
    expect(caught).toEqual([
      expect.objectContaining({ code: expect.stringMatching(/^ERR_SIDEWORK_/) as string }),
    ])
    expect(await job.result()).toBe('its work is done')
  })

  it('for what has a name that throws, with just that', async () => {
    const sim = makeSim({ main: 'real' })
    const broken = { get name(): never { throw new Error('no name') } } // prettier-ignore
    const run = (_payload: never, { defer }: TaskContext) =>
      defer(broken as never).catch(({ message }: Error) => message)
    const job = sim.scheduler.defer(sim.mainTask('parent', run, { attempts: 1 }))
    await sim.flow(10)
    expect(await job.result()).toBe('no name')
  })

  it.each(refusals)(
    '%s, is told like any other refusal: by an event, a count and on the tracing channel',
    async (_what, task, count, call) => {
      const sim = makeSim({ main: 'real' })
      const told: unknown[] = []
      const traced: unknown[] = []
      sim.scheduler.on('refused', ({ task: name, code }) => told.push([name, code]))
      const channel = tracingChannel<DeferTrace, DeferTrace>('sidework:defer')
      const listeners = { start() {}, end() {}, asyncStart() {}, error: (trace: DeferTrace) => void traced.push([trace.task, trace.count, (trace.error as { code: string }).code]), asyncEnd: (trace: DeferTrace) => void traced.push(trace.task) } // prettier-ignore
      channel.subscribe(listeners)
      onTestFinished(() => void channel.unsubscribe(listeners))
      const run = (_payload: never, { defer }: TaskContext) =>
        call(defer).catch(({ code }: { code: string }) => code)
      const job = sim.scheduler.defer(sim.mainTask('parent', run))
      traced.length = 0
      await sim.flow(10)
      const code = await job.result()
      expect(told).toEqual([[task, code]])
      expect(traced).toEqual([[task, count, code], task])
    },
  )
})

describe('the schema of a child, whose input is no JSON,', () => {
  /** `{ at: Date }` comes out as `{ at: string }`. */
  function makeDated(answer?: () => unknown) {
    const asked: unknown[] = []
    const validate = (value: unknown): unknown => {
      asked.push(value)
      const { at } = (value ?? {}) as { at?: unknown }
      if (answer !== undefined) return answer()
      return at instanceof Date ? { value: { at: at.toISOString() } } : { issues: [{ message: 'no date' }] }
    }
    return { input: { '~standard': { version: 1, vendor: 'test', validate } } as never, asked }
  }

  const payload = { at: new Date(0) }
  const told = { at: '1970-01-01T00:00:00.000Z' }
  type Call = (defer: TaskContext['defer'], task: Task) => Promise<unknown>
  const calls: [string, Call][] = [
    ['defer', (defer, task) => defer(task as never, payload as never)],
    ['defer by name', (defer) => defer('dated', payload)],
    ['a flow', (defer, task) => defer.flow({ a: { task, payload: payload as never } })],
    ['a flow by name', (defer) => defer.flow({ a: { task: 'dated', payload } })],
    ['a chain', (defer, task) => defer.chain([{ task, payload: payload as never }])],
    ['a batch', (defer, task) => defer.batch(task, [payload as never])],
    [
      'a callback',
      (defer, task) => defer.batch('dated', [], { callback: { task, payload: payload as never } }),
    ],
  ]

  /** Calls it in a handler, and answers what became of it. */
  async function deferring(call: Call, { input, asked }: ReturnType<typeof makeDated>) {
    const sim = makeSim({ main: 'real' })
    const seen: unknown[] = []
    const options = { input, orderingKey: ({ at }: { at: string }) => at }
    const dated = sim.mainTask('dated', (given) => void seen.push(given), options as never)
    registeredTasks().set('dated', dated as TaskDefinition)
    const run = (_payload: never, { defer }: TaskContext) =>
      call(defer, dated).then(
        () => 'accepted',
        ({ code, message }: { code: string; message: string }) => [code, message],
      )
    const job = sim.scheduler.defer(sim.mainTask('parent', run))
    for (let round = 0; round < 3; round++) await sim.flow(10)
    return {
      answer: await job.result(),
      seen,
      asked,
      keys: sim.scheduler.jobs({ task: dated }).map((one) => one.orderingKey),
    }
  }

  it.each(calls)('is asked once in the handler, by %s: its output is what travels', async (_what, call) => {
    expect(await deferring(call, makeDated())).toEqual({
      answer: 'accepted',
      seen: [told],
      asked: [payload],
      keys: [told.at],
    })
  })

  it.each(calls)('refuses %s in the handler', async (_what, call) => {
    const { answer, seen } = await deferring(
      call,
      makeDated(() => ({ issues: [{ message: 'not today' }] })),
    )
    expect(answer).toEqual(['ERR_SIDEWORK_PAYLOAD', expect.stringContaining('not today')])
    expect(seen).toEqual([])
  })

  it.each(calls)('may not answer %s with a promise', async (_what, call) => {
    const { answer } = await deferring(
      call,
      makeDated(() => Promise.reject(new Error('no database'))),
    )
    expect(answer).toEqual(['ERR_SIDEWORK_SCHEMA_ASYNC', expect.stringContaining("'dated'")])
  })
})
