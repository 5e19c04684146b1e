import { describe, expect, it } from 'vitest'
import type { TaskContext } from '../../src/task/context.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const mainSim = (scheduler: object = {}): Sim => makeSim({ main: 'real', scheduler })
const never = (): Promise<void> => new Promise(() => undefined)

describe('the main lane', () => {
  it('runs tasks and closures on the main thread, results and failures included', async () => {
    const sim = mainSim()
    const good = sim.scheduler.defer(
      sim.mainTask('good', async (payload: number) => Promise.resolve(payload + 1)),
      41,
    )
    const inline = sim.scheduler.defer(({ id, attempt }) => ({ id, attempt }))
    const bad = sim.scheduler.defer(
      sim.mainTask('bad', () => {
        throw new Error('no')
      }),
      undefined,
      { attempts: 1 },
    )
    const failed = bad.result().catch((error: { code: string }) => error.code)
    await sim.flow()
    expect(await good.result()).toBe(42)
    expect(await inline.result()).toEqual({ id: inline.id, attempt: 1 })
    expect(inline.task).toBe('(inline)')
    expect(await failed).toBe('ERR_SIDEWORK_FAILED')
  })

  it('works at most its budget per turn of the loop', async () => {
    const sim = mainSim({ main: { budget: 5, concurrency: 100 } })
    const turns: number[] = []
    let turn = 0
    const task = sim.mainTask('t', () => {
      sim.world.block(2)
      turns.push(turn)
    })
    for (let n = 0; n < 12; n++) sim.scheduler.defer(task)
    const count = (): void => {
      turn++
      if (turn < 20) sim.world.nextTurn(count)
    }
    sim.world.nextTurn(count)
    await sim.flow(100)
    const perTurn = [...new Set(turns)].map((one) => turns.filter((other) => other === one).length)
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(3)
    expect(turns).toHaveLength(12)
  })

  it('goes on with a handler that yielded', async () => {
    const sim = mainSim()
    const steps: string[] = []
    const task = sim.mainTask('t', async (name: string, { yieldNow }: TaskContext) => {
      steps.push(`${name}1`)
      await yieldNow()
      steps.push(`${name}2`)
    })
    sim.scheduler.defer(task, 'a')
    sim.scheduler.defer(task, 'b')
    await sim.flow(10)
    expect(steps).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  it('gives a handler up that goes on after its timeout and killAfter; its place is free', async () => {
    const sim = mainSim({ main: { concurrency: 1 } })
    const stuck = sim.mainTask('stuck', never, { timeout: 100, killAfter: 50, attempts: 1 })
    const job = sim.scheduler.defer(stuck)
    const next = sim.scheduler.defer(sim.mainTask('next', () => 'ran'))
    await sim.flow(149)
    expect([job.state, next.state]).toEqual(['failed', 'ready'])
    await sim.flow(1)
    expect(next.state).toBe('completed')
    expect(sim.scheduler.stats().abandoned).toBe(1)
  })

  it('never starts a handler whose job was cancelled before', async () => {
    const sim = mainSim()
    let count = 0
    const task = sim.mainTask('t', () => void count++)
    const job = sim.scheduler.defer(task)
    // It has its place, and its handler is to start in the next turn.
    sim.world.soon(() => sim.world.soon(() => sim.world.soon(() => sim.world.soon(() => job.cancel()))))
    await sim.flow(10)
    expect(job.state).toBe('cancelled')
    expect(count).toBe(0)
    const other = sim.scheduler.defer(task)
    await sim.flow(10)
    expect([other.state, count]).toEqual(['completed', 1])
  })

  it('aborts the signal of a running handler', async () => {
    const sim = mainSim()
    const codes: unknown[] = []
    const task = sim.mainTask('t', (_: unknown, { signal }: TaskContext) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          codes.push((signal.reason as { code: string }).code)
          reject(signal.reason as Error)
        })
      })
    })
    const job = sim.scheduler.defer(task)
    await sim.flow(1)
    job.cancel()
    await sim.flow(1)
    expect(codes).toEqual(['ERR_SIDEWORK_CANCELLED'])
    expect(sim.scheduler.stats().lanes.main.outstanding).toBe(0)
  })
})

it('closures can be looked for, paused and cancelled by their name before the first is deferred', async () => {
  const sim = mainSim()
  expect(sim.scheduler.jobs({ task: '(inline)' })).toEqual([])
  expect(sim.scheduler.cancelAll({ task: '(inline)' })).toBe(0)
  expect(sim.scheduler.retryAll({ task: '(inline)' })).toBe(0)
  sim.scheduler.pause('(inline)')
  const job = sim.scheduler.defer(() => 'ran')
  await sim.flow(100)
  expect(job.state).toBe('ready')
  sim.scheduler.resume('(inline)')
  await sim.flow(100)
  expect(await job.result()).toBe('ran')
})
