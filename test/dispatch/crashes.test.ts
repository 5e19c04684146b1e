import { describe, expect, it } from 'vitest'
import { neverEnds, type Run } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const outOfMemory = Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' })
const fixed = { type: 'fixed', delay: 10 } as const

describe('a cpu thread that exits', () => {
  it('B8: fails the running attempt with the exit code, is replaced, and the job is retried', () => {
    const sim = makeSim()
    const task = sim.task(
      't',
      ({ attempt }) => (attempt === 1 ? { takesMs: 5, crashes: { exitCode: 7 } } : {}),
      { backoff: fixed },
    )
    const job = sim.scheduler.defer(task)
    sim.advance(6)
    expect(job.snapshot()).toMatchObject({ state: 'retrying', error: { code: 'ERR_SIDEWORK_THREAD_EXITED' } })
    expect(job.snapshot().error?.message).toContain('code 7')
    sim.advance(100)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 2 })
  })

  it('B4: keeps what was thrown as the cause', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(
      sim.task('t', { takesMs: 5, crashes: { error: new TypeError('in a timer') } }),
    )
    sim.advance(10)
    expect(job.snapshot().error).toMatchObject({
      code: 'ERR_SIDEWORK_THREAD_EXITED',
      cause: { message: 'in a timer' },
    })
  })

  it('I26: does not charge the jobs that were sent ahead', () => {
    const sim = makeSim()
    const task = sim.task('t', ({ payload }) => (payload === 'bomb' ? { takesMs: 1, crashes: {} } : {}), {
      attempts: 1,
    })
    for (let n = 0; n < 30; n++) {
      sim.scheduler.defer(task, n)
      sim.advance(0)
    }
    const names = [
      ...Array.from({ length: 10 }, (_, n) => `a${n}`),
      'bomb',
      ...Array.from({ length: 10 }, (_, n) => `b${n}`),
    ]
    const jobs = names.map((name) => sim.scheduler.defer(task, name))
    sim.advance(100)
    expect(jobs.map(({ state }) => state)).toEqual(
      names.map((name) => (name === 'bomb' ? 'failed' : 'completed')),
    )
    expect(jobs.every((job) => job.snapshot().attempt === 1)).toBe(true)
  })

  it('charges the job it was at, not one before it whose end was not reported', () => {
    const sim = makeSim()
    const behave = ({ payload }: Run) =>
      payload === 'bomb' ? { takesMs: 1, spins: true, crashes: { error: outOfMemory } } : {}
    const task = sim.task('t', behave, { attempts: 1 })
    for (let n = 0; n < 30; n++) {
      sim.scheduler.defer(task, n)
      sim.advance(0)
    }
    const jobs = ['good', 'bomb', 'good'].map((payload) => sim.scheduler.defer(task, payload))
    sim.advance(100)
    expect(jobs.map(({ state }) => state)).toEqual(['completed', 'failed', 'completed'])
    expect(jobs[1]?.snapshot().error?.code).toBe('ERR_SIDEWORK_OUT_OF_MEMORY')
    expect(jobs.map((job) => job.snapshot().attempt)).toEqual([1, 1, 1])
  })

  it('B12: after running out of memory is retried once at most', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(
      sim.task('t', { takesMs: 5, crashes: { error: outOfMemory } }, { backoff: fixed }),
    )
    sim.advance(1000)
    expect(job.snapshot()).toMatchObject({
      state: 'failed',
      attempt: 2,
      error: { code: 'ERR_SIDEWORK_OUT_OF_MEMORY' },
    })
  })

  it('messages posted before it exits arrive first', () => {
    const sim = makeSim()
    const task = sim.task('t', ({ payload }) => (payload === 2 ? { takesMs: 0, crashes: {} } : {}), {
      attempts: 1,
    })
    for (let n = 0; n < 30; n++) {
      sim.scheduler.defer(task, -1)
      sim.advance(0)
    }
    const jobs = [0, 1, 2].map((n) => sim.scheduler.defer(task, n))
    sim.advance(100)
    expect(jobs.map(({ state }) => state)).toEqual(['completed', 'completed', 'failed'])
    expect(sim.began.filter(({ payload }) => payload === 0)).toHaveLength(1)
  })

  it('while nothing runs is replaced on demand', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    sim.thread(1).crash()
    sim.advance(10)
    expect(sim.scheduler.stats().threads).toBe(0)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    expect(sim.scheduler.stats().completed).toBe(2)
  })

  it('between its timeout and its end gives the place back once', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(
      sim.task('bad', neverEnds, { timeout: 100, killAfter: 1000, attempts: 1 }),
    )
    sim.advance(200)
    sim.thread(1).crash()
    const next = sim.scheduler.defer(sim.task('next'))
    sim.advance(0)
    expect([job.state, next.state]).toEqual(['failed', 'completed'])
  })
})

describe('a shared thread that exits', () => {
  const io = { lane: 'io', attempts: 1 } as const

  it('charges the only job it had', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', { takesMs: 5, crashes: {} }, io))
    sim.advance(10)
    expect(job.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_THREAD_EXITED' } })
  })

  it('charges nobody when it had several; each runs alone next, so the culprit is found', () => {
    const sim = makeSim()
    const bad = sim.scheduler.defer(sim.task('bad', { takesMs: 5, crashes: {} }, io))
    const good = ['a', 'b', 'c'].map((name) => sim.scheduler.defer(sim.task(name, { takesMs: 20 }, io)))
    sim.advance(6)
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, ready: 3, failed: 0 })
    sim.advance(1000)
    expect(bad.snapshot()).toMatchObject({ state: 'failed', attempt: 1 })
    expect(good.map((job) => [job.state, job.snapshot().attempt])).toEqual(good.map(() => ['completed', 1]))
    expect(sim.watch.names(good[0]?.id)).toEqual([
      'accepted',
      'started',
      'interrupted',
      'started',
      'completed',
    ])
    const afterCrash = sim.began.slice(4)
    // one at a time
    expect(afterCrash.map(({ at }) => at)).toEqual([5, 10, 30, 50])
  })

  it('whose jobs must run alone still lets later jobs in afterwards', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('a', { takesMs: 20 }, io))
    sim.scheduler.defer(sim.task('b', { takesMs: 20 }, io))
    sim.advance(5)
    sim.thread(1).crash()
    sim.advance(0)
    const later = Array.from({ length: 10 }, () =>
      sim.scheduler.defer(sim.task('later', { takesMs: 20 }, io)),
    )
    sim.advance(1000)
    expect(later.every(({ state }) => state === 'completed')).toBe(true)
    const at = sim.began.filter(({ task }) => task === 'later').map((began) => began.at)
    expect(new Set(at).size).toBe(1)
  })
})

describe('forged, late and repeated messages', () => {
  it('are ignored: nothing a thread posts settles another job', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2, io: 1 } } })
    const cpu = sim.scheduler.defer(sim.task('cpu', { takesMs: 50 }))
    const io = sim.scheduler.defer(sim.task('io', { takesMs: 50 }, { lane: 'io' }))
    sim.advance(1)
    const done = { kind: 'completed', result: '"forged"' } as const
    for (const thread of sim.threads) {
      for (const token of [0, -1, 2, 7, 31, 33, 1e9, NaN, 1.5]) {
        if (thread.lane === 'cpu' || token !== 33)
          thread.say({ kind: 'ended', tokens: [token], endings: [done] })
        if (token !== 33) thread.say({ kind: 'progress', token, value: '0.5' })
      }
    }
    sim.thread(sim.threads.find(({ lane }) => lane === 'io')?.number ?? 0).say(3)
    sim.advance(1)
    expect([cpu.state, io.state]).toEqual(['running', 'running'])
    expect([cpu.snapshot().progress, io.snapshot().progress]).toEqual([undefined, undefined])
    sim.advance(100)
    expect([cpu.snapshot().result, io.snapshot().result]).toEqual([undefined, undefined])
    expect([cpu.state, io.state]).toEqual(['completed', 'completed'])
  })

  it('a second report of the same executions changes nothing', () => {
    const sim = makeSim()
    const first = sim.scheduler.defer(sim.task('t', { takesMs: 5 }))
    sim.advance(10)
    sim.thread(1).say(1)
    sim.thread(1).say({ kind: 'ended', tokens: [1], endings: [null] })
    sim.advance(0)
    const second = sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    expect([first.state, second.state]).toEqual(['completed', 'completed'])
    expect(sim.scheduler.stats().completed).toBe(2)
  })
})
