import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { neverEnds, type Run } from '../simulation/script.js'
import { makeSim, type Sim, type SimOptions } from '../simulation/sim.js'

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

  it('B12: is known by the code of its error, in another realm of a test runner too', () => {
    const sim = makeSim()
    const foreign = { name: 'Error', message: 'heap', code: 'ERR_WORKER_OUT_OF_MEMORY' }
    const job = sim.scheduler.defer(sim.task('t', { takesMs: 5, crashes: { error: foreign } }))
    sim.advance(10)
    expect(job.snapshot().error?.code).toBe('ERR_SIDEWORK_OUT_OF_MEMORY')
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

  it('while nothing runs is replaced at once, so that the next job finds a thread', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    sim.thread(1).crash()
    sim.advance(10)
    expect(sim.scheduler.stats().threads).toBe(1)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    expect(sim.scheduler.stats().completed).toBe(2)
    expect(sim.spawnedAt).toEqual([0, 10])
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

describe('a cpu thread that crashes because of something older than its job', () => {
  const crash = (sim: Sim, number: number, error?: Error): void => {
    sim.thread(number).say({ kind: 'culprit', token: 0 })
    sim.thread(number).crash(error === undefined ? {} : { error })
  }
  const last = (sim: Sim) => sim.began.at(-1)
  /** Two threads on which jobs have ended. */
  function usedSim(options: SimOptions = {}, taskOptions = {}): Sim {
    const sim = makeSim({ scheduler: { threads: 2 }, ...options })
    const before = sim.task('before', { takesMs: 5 }, taskOptions)
    sim.scheduler.deferMany([{ task: before }, { task: before }])
    sim.advance(10)
    return sim
  }
  const once = { attempts: 1 } as const
  const failed = { state: 'failed', attempt: 1, error: { code: 'ERR_SIDEWORK_THREAD_EXITED' } }

  it('charges the job the second time only', () => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t', { takesMs: 20 }, once))
    sim.advance(5)
    crash(sim, 1)
    sim.advance(5)
    expect(job.snapshot()).toMatchObject({ state: 'running', attempt: 1 })
    crash(sim, 2)
    sim.advance(5)
    expect(job.snapshot()).toMatchObject(failed)
  })

  it('has it begin on a fresh one next, and only there be charged', () => {
    const sim = usedSim()
    const job = sim.scheduler.defer(sim.task('innocent', { takesMs: 100 }, once))
    sim.advance(5)
    expect(last(sim)).toMatchObject({ id: job.id, thread: 1 })
    crash(sim, 1)
    sim.advance(5)
    expect(last(sim)).toMatchObject({ id: job.id, thread: 3 })
    crash(sim, 3)
    sim.advance(5)
    expect(job.snapshot()).toMatchObject(failed)
  })

  it('has a used one make way, where no more may be, and the jobs behind it run on the fresh one too', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('innocent', { takesMs: 20 }, once))
    sim.advance(5)
    crash(sim, 1)
    sim.scheduler.defer(sim.task('urgent', { takesMs: 5 }), undefined, { priority: 9 })
    sim.scheduler.defer(sim.task('later', { takesMs: 5 }))
    sim.advance(100)
    const next = sim.began.slice(1).map(({ task, thread }) => [task, thread])
    expect(next).toEqual([['urgent', 2], ['innocent', 3], ['later', 3]]) // prettier-ignore
    expect(sim.scheduler.stats().completed).toBe(3)
  })

  it.each([
    ['fail to start', { startFails: { name: 'Error', message: 'no database' } }],
    ['cannot be spawned', { throwsAtStart: new Error('no thread') }],
  ])('has it begin on any that is empty while others %s, and charges nobody then', (_how, script) => {
    const sim = usedSim({ threads: (number) => (number === 3 ? script : {}) })
    const job = sim.scheduler.defer(sim.task('innocent', { takesMs: 1000 }, once))
    sim.advance(5)
    crash(sim, 1)
    sim.advance(550)
    expect(last(sim)).toMatchObject({ id: job.id, thread: 2 })
    crash(sim, 2)
    sim.advance(2000)
    expect(last(sim)).toMatchObject({ id: job.id, thread: 4 })
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
  })

  it('never tells of one job what a sensitive one left behind', () => {
    const startFails = { name: 'Error', message: 'no database' }
    const script = { threads: (number: number) => (number > 2 ? { startFails } : {}) }
    const sim = usedSim(script, { sensitive: true })
    const job = sim.scheduler.defer(sim.task('innocent', { takesMs: 1000 }, once))
    sim.advance(5)
    for (const number of [1, 2]) {
      expect(last(sim)).toMatchObject({ id: job.id, thread: number })
      crash(sim, number, new Error('secret'))
      sim.advance(5)
    }
    expect(inspect([sim.logged, job.snapshot()], { depth: null })).not.toContain('secret')
    expect(job.snapshot()).toMatchObject({ state: 'ready', attempt: 1 })
  })

  it('I1, I30: loses and starves nobody, however often that happens', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const sim = makeSim({ seed, shuffle: true, scheduler: { threads: 1 + (seed % 4) } })
      const { random } = sim.world
      const below = (most: number): number => Math.floor(random() * most)
      const task = sim.task('t', () => ({ takesMs: below(8) }), { attempts: 3, backoff: fixed })
      const jobs = Array.from({ length: 40 }, (_, n) => sim.scheduler.defer(task, n, { priority: n % 10 }))
      for (let round = 0; round < 30; round++) {
        sim.advance(below(6))
        const busy = sim.threads.filter(({ running, isDying }) => running.length > 0 && !isDying)
        const thread = busy[below(busy.length)]
        if (thread !== undefined) crash(sim, thread.number)
      }
      sim.advance(1000)
      expect(jobs.filter(({ state }) => state !== 'completed' && state !== 'failed')).toEqual([])
    }
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

describe('a shared thread that says because of whom it exits', () => {
  const io = { lane: 'io', attempts: 1 } as const

  it('I26: charges the culprit alone; the others are not charged and share a thread again', () => {
    const sim = makeSim()
    const good = ['a', 'b', 'c'].map((name) => sim.scheduler.defer(sim.task(name, { takesMs: 20 }, io)))
    const bad = sim.scheduler.defer(sim.task('bad', { takesMs: 5, crashes: { exitCode: 7 }, isBlamed: true }, io)) // prettier-ignore
    sim.advance(30)
    expect(bad.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_THREAD_EXITED' } })
    expect(good.map((job) => [job.state, job.snapshot().attempt])).toEqual(good.map(() => ['completed', 1]))
    expect(sim.began.slice(4).map(({ at }) => at)).toEqual([5, 5, 5])
  })

  it('charges nobody when the culprit has ended and only left a timer behind', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('leaves a timer', {}, io))
    const good = sim.scheduler.defer(sim.task('good', { takesMs: 20 }, io))
    sim.advance(5)
    sim.thread(1).say({ kind: 'culprit', token: 32 })
    sim.thread(1).crash()
    sim.advance(100)
    expect(good.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    expect(sim.watch.names(good.id)).toContain('interrupted')
  })

  it('a job runs alone only until there is a verdict on it', () => {
    const sim = makeSim()
    const flaky = sim.task(
      'flaky',
      ({ attempt }) => (attempt === 1 ? { ends: { kind: 'threw', permanent: false, error: { name: 'E', message: 'no' } }, takesMs: 20 } : { takesMs: 20 }),
      { lane: 'io', backoff: fixed },
    ) // prettier-ignore
    const jobs = [1, 2, 3].map(() => sim.scheduler.defer(flaky))
    sim.advance(5)
    sim.thread(1).crash()
    sim.advance(1000)
    expect(jobs.every(({ state }) => state === 'completed')).toBe(true)
    // Alone at 5, 25 and 45; each retried 10 ms after its end, the second and third side by side with others.
    const retries = sim.began.slice(6).map(({ at }) => at)
    expect(sim.began.slice(3, 6).map(({ at }) => at)).toEqual([5, 25, 45])
    expect(Math.max(...retries)).toBeLessThanOrEqual(75)
  })
})

describe('a handler that spins on a shared thread', () => {
  it('I26: does not make its neighbours late: all run alone next, and it alone times out', () => {
    const sim = makeSim()
    const io = { lane: 'io', attempts: 1, killAfter: 100 } as const
    const waits = sim.task('waits', { takesMs: 50 }, { ...io, timeout: 200 })
    const early = sim.scheduler.defer(waits)
    sim.advance(10)
    const spinning = sim.task('spins', { takesMs: Infinity, spins: true }, { ...io, timeout: 1000 })
    const bad = sim.scheduler.defer(spinning)
    // Its messages do not come while the loop does not turn.
    sim.thread(1).freeze()
    sim.advance(250)
    expect(early.state).toBe('running')
    sim.advance(3000)
    expect(early.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    expect(bad.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
  })
})

describe('a job of a shared lane that was cancelled while the loop of its thread was busy', () => {
  it('does not begin', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('busy', { takesMs: 100, spins: true }, { lane: 'io' }))
    sim.advance(1)
    const job = sim.scheduler.defer(sim.task('t', {}, { lane: 'io' }))
    sim.advance(1)
    job.cancel()
    sim.advance(200)
    expect(job.state).toBe('cancelled')
    expect(sim.order).toEqual(['busy'])
    expect(sim.scheduler.stats().lanes.io.outstanding).toBe(0)
  })
})
