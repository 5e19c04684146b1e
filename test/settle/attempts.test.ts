import { describe, expect, it } from 'vitest'
import { asksForRetry, failsForGood, failsWith, snoozes } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

describe('a failed attempt', () => {
  it('B1: is retried after the backoff, and its error is kept', () => {
    const sim = makeSim()
    const task = sim.task('t', ({ attempt }) => (attempt < 3 ? failsWith(`no ${attempt}`, 'E_NO') : {}))
    const job = sim.scheduler.defer(task)
    sim.advance(10)
    expect(job.snapshot()).toMatchObject({
      state: 'retrying',
      attempt: 1,
      error: { message: 'no 1', code: 'E_NO' },
    })
    sim.advance(10 * 60_000)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 3 })
    expect(job.snapshot().errors.map(({ attempt, error }) => [attempt, error.message])).toEqual([
      [1, 'no 1'],
      [2, 'no 2'],
    ])
    const [first, second, third] = sim.began.map(({ at }) => at) as [number, number, number]
    // 1, 2 min ± 10 %
    expect(second - first).toBeGreaterThanOrEqual(54_000)
    expect(second - first).toBeLessThanOrEqual(66_000)
    expect(third - second).toBeGreaterThanOrEqual(108_000)
    expect(third - second).toBeLessThanOrEqual(132_000)
    expect(sim.watch.names(job.id)).toEqual([
      'accepted', 'started', 'retrying', 'started', 'retrying', 'started', 'completed',
    ]) // prettier-ignore
  })

  it('is final when it was the last', async () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', failsWith('never')), undefined, {
      attempts: 4,
      backoff: { type: 'fixed', delay: 7 },
    })
    const result = job.result()
    sim.advance(1000)
    await expect(result).rejects.toMatchObject({
      code: 'ERR_SIDEWORK_FAILED',
      job: job.id,
      cause: { message: 'never' },
    })
    expect(sim.began.map(({ at, attempt }) => [at, attempt])).toEqual([[0, 1], [7, 2], [14, 3], [21, 4]]) // prettier-ignore
  })

  it('is not retried after a PermanentError', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', failsForGood('broken')))
    sim.advance(1_000_000)
    expect(job.snapshot()).toMatchObject({ state: 'failed', attempt: 1, error: { message: 'broken' } })
  })

  it('is retried when RetryLater says, and counts', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', asksForRetry(1234)), undefined, { attempts: 2 })
    sim.advance(1233)
    expect(job.snapshot()).toMatchObject({ state: 'retrying', attempt: 1 })
    sim.advance(1)
    expect(job.snapshot()).toMatchObject({ state: 'failed', attempt: 2 })
  })

  it('is not retried when the backoff function answers false', () => {
    const sim = makeSim()
    const asked: unknown[] = []
    const backoff = (attempt: number, error: { message: string }): number | false => {
      asked.push([attempt, error.message])
      return attempt === 1 ? 50 : false
    }
    const job = sim.scheduler.defer(sim.task('t', failsWith('no'), { backoff }))
    sim.advance(50)
    expect(asked).toEqual([[1, 'no'], [2, 'no']]) // prettier-ignore
    expect(job.state).toBe('failed')
  })

  it('falls back to the default backoff, with an error in the log, when the backoff function throws', () => {
    const sim = makeSim()
    const backoff = (): never => {
      throw new Error('my mistake')
    }
    const job = sim.scheduler.defer(sim.task('t', failsWith('no'), { backoff }))
    sim.advance(1000)
    expect(job.state).toBe('retrying')
    expect(
      sim.logged.find(({ fields }) => (fields['err'] as Error | undefined)?.message === 'my mistake')?.level,
    ).toBe('error')
  })

  it('keeps the last 20 errors', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', failsWith('no')), undefined, {
      attempts: 30,
      backoff: { type: 'fixed', delay: 0 },
    })
    sim.advance(10)
    expect(job.snapshot().errors.map(({ attempt }) => attempt)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 11),
    )
  })
})

describe('a snooze', () => {
  it('keeps the attempt number, however often', () => {
    const sim = makeSim()
    const task = sim.task('t', () => (sim.began.length < 5 ? snoozes(100) : failsWith('at last')), {
      attempts: 1,
    })
    const job = sim.scheduler.defer(task)
    sim.advance(250)
    expect(job.snapshot()).toMatchObject({ state: 'scheduled', attempt: 1, errors: [] })
    sim.advance(1000)
    expect(sim.began.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1, 1])
    expect(job.state).toBe('failed')
  })

  it('after a failed attempt keeps the second number', () => {
    const sim = makeSim()
    const script = [failsWith('no'), snoozes(5), snoozes(5), failsWith('no'), {}]
    const task = sim.task('t', () => script[sim.began.length] ?? {}, { backoff: { type: 'fixed', delay: 1 } })
    sim.scheduler.defer(task)
    sim.advance(1000)
    expect(sim.began.map(({ attempt }) => attempt)).toEqual([1, 2, 2, 2, 3])
  })
})

describe('retry(id)', () => {
  it('begins a new generation: attempts reset, history kept, a settled result() stays settled', async () => {
    const sim = makeSim()
    const task = sim.task('t', () => (sim.began.length < 1 ? failsWith('no') : {}), { attempts: 1 })
    const job = sim.scheduler.defer(task)
    const first = job.result().catch((error: { code: string }) => error.code)
    sim.advance(0)
    expect(sim.scheduler.retry(job.id)).toBe(true)
    expect(job.snapshot()).toMatchObject({ state: 'ready', attempt: 0, generation: 2 })
    expect(job.snapshot().errors).toHaveLength(1)
    const second = job.result()
    sim.advance(0)
    await expect(second).resolves.toBeUndefined()
    expect(await first).toBe('ERR_SIDEWORK_FAILED')
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 2, failed: 1, completed: 1 })
    expect(sim.scheduler.retry(job.id)).toBe(false)
    expect(sim.scheduler.retry('nobody')).toBe(false)
  })

  it('of a job cancelled while it ran waits until that execution has ended', () => {
    const sim = makeSim({ scheduler: { threads: 2 } })
    const task = sim.task('t', () => (sim.began.length < 1 ? { takesMs: 100, ignoresAbort: true } : {}))
    const job = sim.scheduler.defer(task)
    sim.advance(10)
    job.cancel()
    sim.scheduler.retry(job.id)
    sim.advance(89)
    expect(sim.began).toHaveLength(1)
    sim.advance(1)
    expect(job.state).toBe('completed')
  })

  it('of an expired job gives it its time to start anew', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 100 }))
    const job = sim.scheduler.defer(sim.task('t'), undefined, { expiresIn: 50 })
    sim.advance(60)
    expect(job.state).toBe('expired')
    sim.scheduler.retry(job.id)
    sim.advance(40)
    expect(job.state).toBe('completed')
  })

  it('of an expired job lets it expire again', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('blocker', { takesMs: 1000 }))
    const job = sim.scheduler.defer(sim.task('t'), undefined, { expiresIn: 50 })
    sim.advance(60)
    sim.scheduler.retry(job.id)
    sim.advance(49)
    expect(job.state).toBe('ready')
    sim.advance(1)
    expect(job.state).toBe('expired')
  })

  it('of a job cancelled before it was due runs it at once', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t'), undefined, { delay: 10_000 })
    job.cancel()
    sim.scheduler.retry(job.id)
    sim.advance(0)
    expect(job.state).toBe('completed')
    expect(job.snapshot().runAt).toBeLessThanOrEqual(sim.world.clock.wall())
  })
})
