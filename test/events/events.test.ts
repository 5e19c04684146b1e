import { describe, expect, it } from 'vitest'
import { snoozes } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

describe('events', () => {
  it('come after the call that caused them, in order, frozen, each with id, task, attempt and time', () => {
    const sim = makeSim()
    const seen: unknown[] = []
    sim.scheduler.on('accepted', (event) => void seen.push(event))
    const job = sim.scheduler.defer(sim.task('t'))
    expect(seen).toEqual([])
    sim.advance(0)
    expect(seen).toEqual([{ id: job.id, task: 't', attempt: 0, at: sim.world.clock.wall() }])
    expect(Object.isFrozen(seen[0])).toBe(true)
  })

  it('tell how long an attempt ran and when the next is due', () => {
    const sim = makeSim()
    const seen: unknown[] = []
    const start = sim.world.clock.wall()
    sim.scheduler.on('completed', ({ durationMs }) => void seen.push(durationMs))
    sim.scheduler.on('snoozed', ({ runAt }) => void seen.push(runAt - start))
    sim.scheduler.defer(sim.task('t', () => (sim.began.length === 0 ? snoozes(700) : { takesMs: 30 })))
    sim.advance(1000)
    expect(seen).toEqual([700, 30])
  })

  it('reach every listener though one of them throws, which is logged', () => {
    const sim = makeSim()
    let count = 0
    sim.scheduler.on('completed', () => {
      throw new Error('my listener')
    })
    sim.scheduler.on('completed', () => void count++)
    for (let n = 0; n < 3; n++) sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    expect(count).toBe(3)
    const errors = sim.logged.filter(({ level }) => level === 'error')
    expect(errors.map(({ fields }) => [fields['event'], (fields['err'] as Error).message])).toEqual(
      Array(3).fill(['completed', 'my listener']),
    )
  })

  it('reach every listener though one of them rejects, which is logged', async () => {
    const sim = makeSim()
    let count = 0
    sim.scheduler.on('completed', () => Promise.reject(new Error('my listener')) as unknown as void)
    sim.scheduler.on('completed', () => void count++)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    await new Promise((resolve) => setImmediate(resolve))
    expect(count).toBe(1)
    const errors = sim.logged.filter(({ level }) => level === 'error')
    expect(errors.map(({ fields }) => [fields['event'], (fields['err'] as Error).message])).toEqual([
      ['completed', 'my listener'],
    ])
  })

  it('reach a once-listener once, and none that was taken off', () => {
    const sim = makeSim()
    const seen: string[] = []
    const off = (): void => void seen.push('off')
    sim.scheduler
      .once('completed', () => void seen.push('once'))
      .on('completed', off)
      .off('completed', off)
    for (let n = 0; n < 3; n++) sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    expect(seen).toEqual(['once'])
  })

  it('may defer and cancel in their listeners', () => {
    const sim = makeSim()
    const task = sim.task('t')
    let left = 20
    sim.scheduler.on('completed', () => {
      if (left-- > 0) sim.scheduler.defer(task).cancel()
      if (left > 0) sim.scheduler.defer(task)
    })
    sim.scheduler.defer(task)
    sim.advance(100)
    expect(sim.scheduler.stats()).toMatchObject({ completed: 20, ready: 0 })
  })
})

describe('idle() and the process', () => {
  it('idle() waits for what is blocked, ready or running, not for what is scheduled', async () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('slow', { takesMs: 100 }), undefined, { orderingKey: 'k' })
    sim.scheduler.defer(sim.task('t'), undefined, { orderingKey: 'k' })
    sim.scheduler.defer(sim.task('later'), undefined, { delay: 10_000 })
    let idleAt = -1
    void sim.scheduler.idle().then(() => (idleAt = sim.now))
    await sim.flow(99)
    expect(idleAt).toBe(-1)
    await sim.flow(1)
    expect(idleAt).toBe(100)
  })

  it('is kept alive exactly while a job is unsettled', () => {
    const sim = makeSim()
    expect(sim.world.isKeptAlive).toBe(false)
    const job = sim.scheduler.defer(sim.task('t'), undefined, { delay: 100 })
    expect(sim.world.isKeptAlive).toBe(true)
    sim.advance(100)
    expect([job.state, sim.world.isKeptAlive]).toEqual(['completed', false])
    sim.scheduler.defer(sim.task('t'), undefined, { delay: 100 }).cancel()
    sim.advance(0)
    expect(sim.world.isKeptAlive).toBe(false)
  })
})
