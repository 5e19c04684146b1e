import { describe, expect, it } from 'vitest'
import { failsWith, returns } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

describe('a batch', () => {
  it('runs one task for each payload, then its callback with the counts', async () => {
    const sim = makeSim({ main: 'real' })
    const counts: unknown[] = []
    const remove = sim.mainTask(
      'remove',
      (n: number) => (n % 3 === 0 ? Promise.reject(new Error(`no ${n}`)) : n),
      { attempts: 1 },
    )
    const done = sim.mainTask('done', (payload, { results }: { results: { batch: unknown } }) => {
      counts.push(payload, results.batch)
    })
    const batch = sim.scheduler.batch(remove, [0, 1, 2, 3, 4], { callback: { task: done, payload: 'user' } })
    expect(batch.jobs.map(({ state }) => state)).toEqual(Array(5).fill('ready'))
    expect(batch.callback?.state).toBe('blocked')
    const result = batch.result()
    await sim.flow(10)
    expect(counts).toEqual(['user', { total: 5, completed: 3, failed: 2 }])
    await expect(result).resolves.toEqual({ total: 5, completed: 3, failed: 2 })
    expect(batch.state).toBe('completed')
    await expect(batch.jobs[4]?.result()).resolves.toBe(4)
  })

  it('of nothing runs its callback once; without one it has settled at once', async () => {
    const sim = makeSim()
    sim.task('t')
    let told: unknown
    sim.task('done', ({ handed }) => ((told = handed?.batch), {}))
    const batch = sim.scheduler.batch('t', [], { callback: { task: 'done' } })
    expect(batch.snapshot().progress).toEqual({ total: 0, completed: 0, failed: 0, ratio: 0 })
    sim.advance(10)
    expect(sim.order).toEqual(['done'])
    expect(told).toEqual({ total: 0, completed: 0, failed: 0 })
    await expect(batch.result()).resolves.toEqual({ total: 0, completed: 0, failed: 0 })
    const bare = sim.scheduler.batch('t', [])
    expect([bare.state, bare.snapshot().progress.ratio]).toEqual(['completed', 1])
    await expect(bare.result()).resolves.toEqual({ total: 0, completed: 0, failed: 0 })
  })

  it('of 50,000 runs its callback once, after all', async () => {
    const many = 50_000
    const sim = makeSim({ scheduler: { maxQueued: many + 1, threads: { cpu: 2 } } })
    sim.task('t')
    sim.task('done')
    const batch = sim.scheduler.batch(
      't',
      Array.from({ length: many }, (_, n) => n),
      { callback: { task: 'done' } },
    )
    sim.advance(1000)
    expect(sim.order.filter((task) => task === 'done')).toHaveLength(1)
    expect(sim.order.at(-1)).toBe('done')
    await expect(batch.result()).resolves.toEqual({ total: many, completed: many, failed: 0 })
  }, 60_000)

  it('does not run its callback when a job failed, if told to cancel, and says why', async () => {
    const sim = makeSim()
    sim.task('t', ({ payload }) => (payload === 1 ? failsWith('no') : {}), { attempts: 1 })
    sim.task('done')
    const batch = sim.scheduler.batch('t', [0, 1, 2], { callback: { task: 'done' }, onFailure: 'cancel' })
    const result = batch.result().catch((error: unknown) => error)
    sim.advance(10)
    expect(sim.order).toEqual(['t', 't', 't'])
    expect(batch.callback?.snapshot()).toMatchObject({
      state: 'cancelled',
      error: { message: "Step '1' before it failed." },
    })
    expect(batch.state).toBe('failed')
    expect(await result).toMatchObject({ code: 'ERR_SIDEWORK_FAILED', job: batch.jobs[1]?.id })
    expect(batch.snapshot().progress).toEqual({ total: 3, completed: 2, failed: 1, ratio: 1 })
  })

  it('whose callback fails has failed, though its result tells the counts', async () => {
    const sim = makeSim()
    sim.task('t')
    sim.task('done', failsWith('no'), { attempts: 1 })
    const batch = sim.scheduler.batch('t', [0], { callback: { task: 'done' } })
    sim.advance(10)
    expect(batch.state).toBe('failed')
    expect(batch.snapshot().error).toMatchObject({ message: 'no' })
    await expect(batch.result()).resolves.toEqual({ total: 1, completed: 1, failed: 0 })
  })

  it('tells its counts also where the callback failed because it used a scheduler that had closed', async () => {
    const sim = makeSim()
    sim.task('t')
    sim.task('done', failsWith('closed', 'ERR_SIDEWORK_CLOSED'), { attempts: 1 })
    const batch = sim.scheduler.batch('t', [0], { callback: { task: 'done' } })
    sim.advance(10)
    await expect(batch.result()).resolves.toEqual({ total: 1, completed: 1, failed: 0 })
  })

  it('retries a failed job without running its callback again', async () => {
    const sim = makeSim()
    let works = false
    sim.task('t', ({ payload }) => (payload === 1 && !works ? failsWith('no') : {}), { attempts: 1 })
    sim.task('done')
    const settled: unknown[] = []
    sim.scheduler.on('flow:settled', ({ completed, failed }) => settled.push([completed, failed]))
    const batch = sim.scheduler.batch('t', [0, 1], { callback: { task: 'done' } })
    sim.advance(10)
    works = true
    expect(sim.scheduler.retry(batch.jobs[1]?.id ?? '')).toBe(true)
    expect(batch.state).toBe('running')
    const again = batch.result()
    sim.advance(10)
    expect(sim.order).toEqual(['t', 't', 'done', 't'])
    await expect(again).resolves.toEqual({ total: 2, completed: 2, failed: 0 })
    expect(settled).toEqual([[1, 1], [2, 0]]) // prettier-ignore
  })

  it('lets its callback wait for a job that is retried before all have settled', () => {
    const sim = makeSim({ scheduler: { threads: 4 } })
    let works = false
    sim.task('t', ({ payload }) => (payload === 0 && !works ? failsWith('no') : { takesMs: 50 }), {
      attempts: 1,
    })
    sim.task('done')
    const batch = sim.scheduler.batch('t', [0, 1], { callback: { task: 'done' } })
    sim.advance(40)
    works = true
    sim.scheduler.retry(batch.jobs[0]?.id ?? '')
    sim.advance(20)
    expect([batch.jobs[1]?.state, batch.callback?.state]).toEqual(['completed', 'blocked'])
    sim.advance(40)
    expect([batch.jobs[0]?.state, batch.callback?.state]).toEqual(['completed', 'completed'])
  })

  it('does not keep the results of its jobs', () => {
    const sim = makeSim()
    sim.task('t', returns('x'.repeat(1000)))
    sim.task('slow', { takesMs: 1000 })
    sim.scheduler.batch('t', [1, 2, 3], { callback: { task: 'slow' } })
    sim.advance(100)
    expect(sim.scheduler.inspect()).toMatchObject({ flows: 1, flowResultBytes: 0 })
  })

  it('takes the gaps of an array for jobs without payload', () => {
    const sim = makeSim()
    sim.task('t')
    const batch = sim.scheduler.batch('t', new Array<undefined>(3))
    sim.advance(10)
    expect(sim.payloads).toEqual([undefined, undefined, undefined])
    expect(batch.state).toBe('completed')
  })
})
