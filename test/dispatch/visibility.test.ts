import { describe, expect, it } from 'vitest'
import type { TaskContext } from '../../src/task/context.js'
import type { FromThread } from '../../src/threads/protocol.js'
import { neverEnds, type Behaviour } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const once = { attempts: 1 } as const
const beatsAt = (...times: number[]): Behaviour => ({
  takesMs: Infinity,
  ignoresAbort: true,
  says: times.map((afterMs) => ({
    afterMs,
    message: (token: number): FromThread => ({ kind: 'heartbeat', token }),
  })),
})

describe('an attempt that is silent for longer than its visibilityTimeout', () => {
  it.each(['cpu', 'io'] as const)('is taken for lost (%s)', (lane) => {
    const sim = makeSim()
    const options = { ...once, lane, visibilityTimeout: 100 }
    const job = sim.scheduler.defer(sim.task('silent', neverEnds, options))
    sim.advance(99)
    expect(job.state).toBe('running')
    sim.advance(1)
    expect(job.snapshot()).toMatchObject({
      state: 'failed',
      error: { name: 'VisibilityTimeoutError', code: 'ERR_SIDEWORK_VISIBILITY_TIMEOUT' },
    })
    expect(sim.thread(1).inbox.at(-1)).toMatchObject({ code: 'ERR_SIDEWORK_VISIBILITY_TIMEOUT' })
  })

  it('is alive as long as it says so, by heartbeat or by progress', () => {
    const sim = makeSim()
    const says = [
      ...(beatsAt(90, 180).says ?? []),
      { afterMs: 270, message: (token: number) => ({ kind: 'progress', token, value: '0.5' }) as const },
    ]
    const job = sim.scheduler.defer(
      sim.task('lively', { ...neverEnds, says }, { ...once, visibilityTimeout: 100 }),
    )
    sim.advance(369)
    expect(job.state).toBe('running')
    sim.advance(1)
    expect(job.snapshot().error?.code).toBe('ERR_SIDEWORK_VISIBILITY_TIMEOUT')
  })

  it('is not kept alive by what another attempt of its thread says, nor by what it logs', () => {
    const sim = makeSim()
    const options = { ...once, lane: 'io', visibilityTimeout: 100 } as const
    const silent = sim.task(
      'silent',
      {
        ...neverEnds,
        says: [{ afterMs: 50, message: (token) => ({ kind: 'log', token, level: 'info', message: 'x' }) }],
      },
      options,
    )
    const job = sim.scheduler.defer(silent)
    const other = sim.scheduler.defer(sim.task('lively', beatsAt(50, 99, 150), options))
    sim.advance(100)
    expect([job.state, other.state]).toEqual(['failed', 'running'])
  })

  it('runs into its timeout however lively it is', () => {
    const sim = makeSim()
    const options = { ...once, visibilityTimeout: 100, timeout: 250 }
    const job = sim.scheduler.defer(sim.task('lively', beatsAt(90, 180, 240), options))
    sim.advance(250)
    expect(job.snapshot().error?.code).toBe('ERR_SIDEWORK_TIMEOUT')
  })

  it('B27: is run again under another token, and what the old one says counts no more', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const zombie: Behaviour = {
      takesMs: 200,
      ignoresAbort: true,
      ends: '"zombie"',
      says: [{ afterMs: 150, message: (token) => ({ kind: 'heartbeat', token }) }],
    }
    const task = sim.task(
      't',
      ({ attempt }) => (attempt === 1 ? zombie : { takesMs: 10, ends: '"second"' }),
      {
        visibilityTimeout: 100,
        backoff: { type: 'fixed', delay: 10 },
      },
    )
    const job = sim.scheduler.defer(task)
    sim.advance(199)
    expect(job.snapshot()).toMatchObject({ state: 'retrying', attempt: 1 })
    sim.advance(100)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 2, result: 'second' })
  })

  it('is not taken for lost while the main thread was blocked and its heartbeats waited', () => {
    for (let seed = 0; seed < 20; seed++) {
      const sim = makeSim({ seed, shuffle: true })
      const options = { ...once, visibilityTimeout: 100 }
      const job = sim.scheduler.defer(sim.task('t', { takesMs: 10_000 }, options))
      sim.advance(90)
      sim.thread(1).say({ kind: 'heartbeat', token: 1 })
      sim.world.block(5000)
      sim.advance(99)
      expect(job.state).toBe('running')
      sim.advance(1)
      expect(job.state).toBe('failed')
    }
  })

  it('is not sent ahead of its place, where its silence would count', () => {
    const sim = makeSim()
    const short = sim.task('short')
    for (let n = 0; n < 30; n++) {
      sim.scheduler.defer(short)
      sim.advance(0)
    }
    sim.scheduler.defer(sim.task('long', { takesMs: 1000 }))
    sim.scheduler.defer(short)
    const watched = sim.scheduler.defer(sim.task('watched', {}, { ...once, visibilityTimeout: 10 }))
    sim.advance(1000)
    expect(watched.state).toBe('completed')
  })
})

describe('on the main lane', () => {
  it('silence is judged after callbacks that waited while the thread was blocked', async () => {
    const sim = makeSim({ main: 'real' })
    let beat = (): void => undefined
    const task = sim.mainTask(
      't',
      (_: unknown, { heartbeat }: TaskContext) => {
        beat = heartbeat
        return new Promise(() => undefined)
      },
      { ...once, visibilityTimeout: 100, killAfter: 0 },
    )
    const job = sim.scheduler.defer(task)
    await sim.flow(50)
    sim.world.block(5000)
    // A callback of the loop that was due meanwhile: it comes after the timers, in the same turn.
    sim.world.plan('turn', 0, () => beat())
    await sim.flow(99)
    expect(job.state).toBe('running')
    await sim.flow(1)
    expect(job.snapshot().error?.code).toBe('ERR_SIDEWORK_VISIBILITY_TIMEOUT')
  })
})
