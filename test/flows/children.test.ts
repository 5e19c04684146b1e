import { expect, it } from 'vitest'
import type { TaskContext } from '../../src/index.js'
import type { Task } from '../../src/index.js'
import { makeSim, type Sim } from '../simulation/sim.js'

/** Known by name from here on, as tasks of a module are. */
function know(sim: Sim, ...tasks: Task[]): void {
  for (const task of tasks) sim.scheduler.cancelAll({ task })
}

it('a handler fans out into a batch and ends; the callback goes on when all have settled', async () => {
  const sim = makeSim({ main: 'real' })
  const seen: unknown[] = []
  const part = sim.mainTask('part', (n: number) => void seen.push(n))
  const done = sim.mainTask('done', (_payload, { results, request }: TaskContext) => {
    seen.push(results.batch, request)
  })
  const parent = sim.mainTask('parent', (_payload, { defer }: TaskContext) =>
    defer.batch(part, [1, 2, 3], { callback: { task: done, payload: undefined } }),
  )
  know(sim, part, done)
  const job = sim.scheduler.deferWithRequest({ id: 'req' }, parent, 0)
  await sim.flow(10)
  const { id } = (await job.result()) as { id: string }
  await sim.flow(10)
  expect(seen).toEqual([1, 2, 3, { total: 3, completed: 3, failed: 0 }, { id: 'req' }])
  expect(sim.scheduler.flowOverview(id)).toMatchObject({
    kind: 'batch',
    state: 'completed',
    request: { id: 'req' },
  })
})

it('a handler defers a flow and a chain, and learns the ids of their jobs by ref', async () => {
  const sim = makeSim({ main: 'real' })
  const t = sim.mainTask('t', (payload: unknown) => payload)
  const last = sim.mainTask('last', (_payload, { result }: TaskContext) => result(t, 'a'))
  const parent = sim.mainTask('parent', async (_payload, { defer }: TaskContext) => [
    await defer.flow({
      z: { task: last, payload: 0, after: ['a'] },
      a: { task: t, payload: new Uint8Array([1, 2]) },
      v: { task: t, payload: undefined },
    }),
    await defer.chain([
      { task: t, payload: 1 },
      { task: t, payload: 2 },
    ] as const),
  ])
  know(sim, t, last)
  const job = sim.scheduler.defer(parent, 0)
  await sim.flow(10)
  const [flow, chain] = (await job.result()) as { id: string; jobs: Record<string, string> }[]
  await sim.flow(10)
  expect(sim.scheduler.job(flow?.jobs['z'] ?? '')?.result).toEqual(new Uint8Array([1, 2]))
  expect(Object.keys(flow?.jobs ?? {}).sort()).toEqual(['a', 'v', 'z'])
  expect(sim.scheduler.job(chain?.jobs['t#2'] ?? '')).toMatchObject({ payload: 2, state: 'completed' })
})

it('what a handler gets wrong is thrown in the handler, and nothing is accepted', async () => {
  const sim = makeSim({ main: 'real', scheduler: { maxQueued: 3 } })
  const t = sim.mainTask('t', () => undefined)
  const errors: unknown[] = []
  const parent = sim.mainTask('parent', async (_payload, { defer }: TaskContext) => {
    const calls: (() => Promise<unknown>)[] = [
      () => defer.flow({ a: { task: t, payload: 0, after: ['b' as 'a'] } }),
      () => defer.chain([{ task: 'nobody' }]),
      () => defer.batch(t, [1, 2, 3]),
      async () => defer.flow({ a: { task: t, payload: 0, options: { signal: AbortSignal.abort() } } }),
      async () => defer.flow({ a: { task: (() => 1) as never } as never }),
    ]
    for (const call of calls)
      await Promise.resolve()
        .then(call)
        .catch((error: Error) => errors.push(error.message))
  })
  know(sim, t)
  sim.scheduler.defer(parent, 0)
  await sim.flow(10)
  expect(errors).toEqual([
    expect.stringContaining("Step 'a' comes after 'b'"),
    expect.stringContaining("Step 'nobody': No task is named 'nobody'"),
    expect.stringContaining('Queue is full'),
    expect.stringContaining('a signal or a backoff function'),
    expect.stringContaining("Step 'a' has a function as task"),
  ])
  expect(sim.scheduler.stats().accepted).toBe(1)
})
