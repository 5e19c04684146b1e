import { describe, expect, it } from 'vitest'
import { neverEnds } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

const importError = { name: 'Error', message: "Cannot find module './db.js'", code: 'ERR_MODULE_NOT_FOUND' }

describe('threads', () => {
  it('start on demand, up to the most of their lane', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 3 } } })
    expect(sim.threads).toHaveLength(0)
    for (let n = 0; n < 10; n++) sim.scheduler.defer(sim.task('t', { takesMs: 10 }))
    sim.advance(0)
    expect(sim.scheduler.stats()).toMatchObject({ threads: 3, running: 3, ready: 7 })
  })

  it('that are idle end after idleTimeout, down to minIdle', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 3, minIdle: 1, idleTimeout: 1000 } } })
    for (let n = 0; n < 3; n++) sim.scheduler.defer(sim.task('t', { takesMs: 10 }))
    sim.advance(1009)
    expect(sim.scheduler.stats().threads).toBe(3)
    sim.advance(1)
    expect(sim.scheduler.stats().threads).toBe(1)
    sim.advance(100_000)
    expect(sim.scheduler.stats().threads).toBe(1)
  })

  it('that get work again before idleTimeout stay', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 1, idleTimeout: 1000 } } })
    for (let n = 0; n < 5; n++) {
      sim.scheduler.defer(sim.task('t'))
      sim.advance(900)
    }
    expect(sim.spawnedAt).toHaveLength(1)
    sim.advance(1000)
    expect(sim.scheduler.stats().threads).toBe(0)
  })

  it.each(['cpu', 'io'] as const)(
    'of lane %s whose only job was cancelled before they took it end too',
    (lane) => {
      const sim = makeSim({ scheduler: { threads: { cpu: 1, idleTimeout: 1000 } } })
      const task = sim.task('t', {}, { lane })
      sim.scheduler.defer(task)
      sim.advance(500)
      const job = sim.scheduler.defer(task)
      sim.world.soon(() => job.cancel())
      sim.advance(999)
      expect([job.state, sim.began.length, sim.scheduler.stats().threads]).toEqual(['cancelled', 1, 1])
      sim.advance(2)
      expect(sim.scheduler.stats().threads).toBe(0)
    },
  )

  it('say in events when they start and exit, and why', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 1, idleTimeout: 1000 } } })
    const events: unknown[] = []
    sim.scheduler.on('thread:started', ({ lane, thread }) => void events.push(['started', lane, thread]))
    sim.scheduler.on('thread:exited', ({ thread, reason }) => void events.push(['exited', thread, reason]))
    sim.scheduler.defer(sim.task('t'))
    sim.advance(5000)
    expect(events).toEqual([['started', 'cpu', 1], ['exited', 1, 'idle']]) // prettier-ignore
  })
})

describe('threads.minIdle', () => {
  const threads = { cpu: 2, io: 1, minIdle: 1 } as const
  const once = { attempts: 1 } as const

  it.each(['cpu', 'io'] as const)(
    'has a %s thread at hand at once after one crashed, though nothing is ready',
    (lane) => {
      const sim = makeSim({ scheduler: { threads } })
      sim.scheduler.defer(sim.task('bad', { takesMs: 5, crashes: { exitCode: 7 } }, { ...once, lane }))
      sim.advance(5)
      expect(sim.spawnedAt).toEqual([0, 5])
      expect(sim.scheduler.stats().lanes[lane].threads).toBe(1)
    },
  )

  it.each(['cpu', 'io'] as const)(
    'and after one was stopped by force, however long it takes to exit: %s',
    (lane) => {
      const sim = makeSim({ scheduler: { threads }, threads: () => ({ exitsInMs: 1000 }) })
      sim.scheduler.defer(sim.task('rude', neverEnds, { ...once, lane, timeout: 100, killAfter: 50 }))
      sim.advance(150)
      expect(sim.spawnedAt).toEqual([0, 150])
      sim.advance(5000)
      expect(sim.spawnedAt).toEqual([0, 150])
    },
  )

  it('and after one was recycled', () => {
    const sim = makeSim({ scheduler: { threads } })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    sim.thread(1).say({ kind: 'leak', task: 't', count: 40, resources: ['Timeout'] })
    sim.advance(0)
    expect(sim.thread(1).isGone).toBe(true)
    expect(sim.scheduler.stats().lanes.cpu.threads).toBe(1)
  })

  it('is kept also when the replacement fails to start: another is tried after the pause', () => {
    const sim = makeSim({
      scheduler: { threads: { cpu: 1, minIdle: 1 } },
      threads: (number) => (number === 2 ? { startFails: importError } : {}),
    })
    sim.scheduler.defer(sim.task('bad', { takesMs: 5, crashes: {} }, once))
    sim.advance(60_000)
    expect(sim.spawnedAt).toEqual([0, 5, 505])
    expect(sim.scheduler.stats().threads).toBe(1)
  })

  it('is kept when several are lost while none can be started', () => {
    const sim = makeSim({
      scheduler: { threads: { cpu: 3, minIdle: 2 } },
      threads: (number) => (number === 3 || number === 4 ? { startFails: importError } : {}),
    })
    const task = sim.task('t', { takesMs: 5 })
    sim.scheduler.deferMany([{ task }, { task }])
    sim.advance(10)
    for (const thread of sim.threads) thread.crash()
    sim.advance(60_000)
    expect(sim.spawnedAt).toEqual([0, 0, 10, 10, 1010, 1010])
    expect(sim.scheduler.stats().threads).toBe(2)
  })

  it('is no loop: a thread that exits by itself before it has ended a job is replaced when a job comes', () => {
    const sim = makeSim({ scheduler: { threads } })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    sim.thread(1).crash()
    sim.advance(0)
    sim.thread(2).crash()
    sim.advance(60_000)
    expect(sim.spawnedAt).toEqual([0, 10])
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(0)
    expect(job.state).toBe('completed')
  })

  it('starts nothing while the scheduler closes', async () => {
    const sim = makeSim({ scheduler: { threads } })
    sim.scheduler.defer(sim.task('bad', { takesMs: 50, crashes: {} }, once))
    sim.advance(10)
    await sim.close({}, 1000)
    expect(sim.spawnedAt).toEqual([0])
  })

  it('is kept also when another has nothing to do', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2, minIdle: 2 } } })
    sim.scheduler.defer(sim.task('bad', { takesMs: 5, crashes: {} }, once))
    sim.scheduler.defer(sim.task('t', { takesMs: 2 }))
    sim.advance(1000)
    expect(sim.spawnedAt).toEqual([0, 0, 5])
  })
})

describe('a thread that is lost, without threads.minIdle,', () => {
  const once = { attempts: 1 } as const
  const bad = { takesMs: 5, crashes: {} }

  it.each(['cpu', 'io'] as const)('is replaced at once, though nothing is ready: %s', (lane) => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('bad', bad, { ...once, lane }))
    sim.advance(5)
    expect(sim.spawnedAt).toEqual([0, 5])
    sim.advance(29_999)
    expect(sim.scheduler.stats().threads).toBe(1)
    sim.advance(1)
    expect(sim.scheduler.stats().threads).toBe(0)
  })

  it.each(['cpu', 'io'] as const)('also when it was stopped by force, and that once: %s', (lane) => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2, io: 2 } }, threads: () => ({ exitsInMs: 1000 }) })
    sim.scheduler.defer(sim.task('rude', neverEnds, { ...once, lane, timeout: 100, killAfter: 50 }))
    sim.advance(5000)
    expect(sim.spawnedAt).toEqual([0, 150])
  })

  it('is replaced while others are at work, and not when one of them is not', () => {
    for (const [takesMs, spawns] of [
      [60_000, 3],
      [2, 2],
    ] as const) {
      const sim = makeSim({ scheduler: { threads: { cpu: 3 } } })
      sim.scheduler.defer(sim.task('bad', bad, once))
      sim.scheduler.defer(sim.task('good', { takesMs }))
      sim.advance(1000)
      expect(sim.spawnedAt).toHaveLength(spawns)
    }
  })

  it('is replaced after the pause when the first replacement fails to start', () => {
    const sim = makeSim({ threads: (number) => (number === 2 ? { startFails: importError } : {}) })
    sim.scheduler.defer(sim.task('bad', bad, once))
    sim.advance(1000)
    expect(sim.spawnedAt).toEqual([0, 5, 505])
  })
})

describe('B19: task modules that cannot be imported', () => {
  it('lead to at most 5 spawns in 10 s; the jobs wait and show the real error', () => {
    const sim = makeSim({ threads: () => ({ startFails: importError }) })
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(10_000)
    expect(sim.spawnedAt.length).toBeLessThanOrEqual(5)
    expect(sim.spawnedAt.length).toBeGreaterThanOrEqual(3)
    expect(job.snapshot()).toMatchObject({ state: 'ready', attempt: 0, error: importError })
    expect(
      sim.logged.some(
        ({ level, fields }) => level === 'error' && (fields['err'] as Error).message === importError.message,
      ),
    ).toBe(true)
    sim.advance(600_000)
    expect(sim.spawnedAt.length).toBeLessThanOrEqual(5 + 21)
  })

  it('also when many jobs wait for many threads', () => {
    const sim = makeSim({
      scheduler: { threads: 16 },
      threads: () => ({ startFails: importError, startsInMs: 40 }),
    })
    for (let n = 0; n < 100; n++) sim.scheduler.defer(sim.task('t'))
    sim.advance(10_000)
    // The first burst may be as wide as the lane; after it, one at a time with growing pauses.
    expect(sim.spawnedAt.filter((at) => at > 0).length).toBeLessThanOrEqual(4)
  })

  it('make ready() reject with the real error', async () => {
    const sim = makeSim({ threads: () => ({ startFails: importError }) })
    const ready = sim.scheduler.ready().catch((error: Error) => error)
    sim.advance(10)
    expect(await ready).toMatchObject({
      code: 'ERR_SIDEWORK_THREAD_START',
      message: importError.message,
      cause: importError,
    })
  })

  it('are not tried more often, and not logged without end, when ready() is called in a loop', async () => {
    const sim = makeSim({ threads: () => ({ startFails: importError }) })
    let calls = 0
    let isOver = false
    const loop = async (): Promise<void> => {
      while (!isOver) {
        calls++
        await expect(sim.scheduler.ready()).rejects.toThrow(importError.message)
        await new Promise<void>((resolve) => void sim.world.plan('user', 20, resolve))
      }
    }
    const looping = loop()
    for (let step = 0; step < 2000; step++) await sim.flow(5)
    isOver = true
    expect(calls).toBeGreaterThanOrEqual(5)
    // Per lane.
    expect(sim.spawnedAt.length).toBeLessThanOrEqual(2 * 5)
    await sim.flow(30_000)
    await sim.flow(100)
    await looping
  })

  it('are tried again for a ready() that is called later, with no job waiting, and it resolves once they can', async () => {
    const sim = makeSim({ threads: (number) => (number <= 2 ? { startFails: importError } : {}) })
    sim.task('t')
    const first = sim.scheduler.ready().catch((error: Error) => error.message)
    sim.advance(10)
    expect(await first).toBe(importError.message)
    let isReady = false
    const second = sim.scheduler.ready().then(() => (isReady = true))
    await sim.flow(400)
    expect([isReady, sim.spawnedAt.length]).toEqual([false, 2])
    await sim.flow(200)
    expect([await second, sim.spawnedAt.length]).toEqual([true, 4])
  })

  it('that fail again and again are logged 20 times in 10 s and lane at most', () => {
    const sim = makeSim({
      scheduler: { threads: 30 },
      threads: (number) => (number === 1 ? {} : { startFails: importError }),
    })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    for (let n = 0; n < 40; n++) sim.scheduler.defer(sim.task('long', { takesMs: 60_000 }))
    sim.advance(9_000)
    const told = sim.logged.filter(({ message }) => message.startsWith('a thread could not be started'))
    expect(sim.spawnedAt.length).toBeGreaterThan(25)
    expect(told).toHaveLength(20)
  })

  it('and once they can, the waiting jobs run', () => {
    const sim = makeSim({ threads: (number) => (number < 4 ? { startFails: importError } : {}) })
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(10_000)
    expect(job.snapshot()).toMatchObject({ state: 'completed' })
    expect(job.snapshot().error).toBeUndefined()
  })

  it('that crash before their first job are started ever more rarely; it waits, and shows why', () => {
    const sim = makeSim({ scheduler: { threads: 4 } })
    const crash = ({ thread }: { thread: number }): void =>
      sim.thread(thread).crash({ error: new Error('no database') })
    sim.scheduler.on('thread:started', crash)
    const job = sim.scheduler.defer(sim.task('t', {}, { attempts: 1 }))
    sim.advance(10_000)
    expect(sim.spawnedAt.length).toBeLessThanOrEqual(5)
    expect(sim.spawnedAt.length).toBeGreaterThanOrEqual(3)
    expect(job.snapshot()).toMatchObject({
      state: 'ready',
      error: { message: 'The thread exited with an error before it had begun a job: no database' },
    }) // prettier-ignore
    sim.scheduler.off('thread:started', crash)
    sim.advance(30_000)
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
  })

  it('whose thread crashes when it had work before are replaced at once', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    const job = sim.scheduler.defer(sim.task('t'))
    sim.world.soon(() => sim.thread(1).crash())
    sim.advance(10)
    expect([job.state, sim.spawnedAt]).toEqual(['completed', [0, 10]])
  })

  it.each([
    ['that exit before they are ready', { exitsAtStart: 13 }, 'code 13'],
    [
      'B21: that cannot be spawned',
      { throwsAtStart: new Error('ERR_WORKER_INIT_FAILED') },
      'ERR_WORKER_INIT_FAILED',
    ],
    ['B20: that never begin', { startsInMs: Infinity }, 'has not begun to import'],
  ])('threads %s are treated alike', async (_name, script, message) => {
    const sim = makeSim({ threads: () => script })
    const ready = sim.scheduler.ready().catch((error: Error) => error)
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(10_000)
    expect((await ready) as Error).toMatchObject({
      code: 'ERR_SIDEWORK_THREAD_START',
      message: expect.stringContaining(message),
    })
    expect(sim.spawnedAt.length).toBeLessThanOrEqual(6 * 2)
    expect(job.state).toBe('ready')
  })
})

it.each([
  [
    'import',
    'A thread has not imported /app/tasks.js within the 9000 ms of threads.startTimeout. Look for a top-level await',
  ],
  ['setup', 'setup() of /app/tasks.js has not ended within the 9000 ms of threads.startTimeout.'],
] as const)('B20: an endless %s is told with its file', async (step, message) => {
  const sim = makeSim({ threads: () => ({ startsInMs: Infinity }) })
  const ready = sim.scheduler.ready().catch((error: Error) => error)
  sim.advance(0)
  for (const thread of sim.threads) {
    thread.say({ kind: 'starting', step: 'import', file: '/app/earlier.js' })
    thread.say({ kind: 'starting', step, file: '/app/tasks.js' })
  }
  sim.advance(9001)
  expect((await ready) as Error).toMatchObject({ message: expect.stringContaining(message) as string })
})

it('threads.startTimeout says how long a start may take', async () => {
  const sim = makeSim({
    threads: () => ({ startsInMs: 20_000 }),
    scheduler: { threads: { startTimeout: '20.001s' } },
  })
  const job = sim.scheduler.defer(sim.task('t'))
  sim.advance(20_000)
  expect(job.state).toBe('completed')
  const impatient = makeSim({
    threads: () => ({ startsInMs: 200 }),
    scheduler: { threads: { startTimeout: 100 } },
  })
  const ready = impatient.scheduler.ready().catch((error: Error) => error.message)
  impatient.advance(100)
  expect(await ready).toContain('within the 100 ms of threads.startTimeout')
})

it('a thread that is ready is not given up for it while the main thread was blocked', () => {
  for (let seed = 0; seed < 20; seed++) {
    const sim = makeSim({ seed, shuffle: true, threads: () => ({ startsInMs: Infinity }) })
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(8000)
    sim.thread(1).say({ kind: 'ready', tasks: ['t'] })
    sim.world.block(5000)
    sim.advance(1000)
    expect([job.state, sim.spawnedAt.length]).toEqual(['completed', 1])
  }
})

describe('ready()', () => {
  it('starts one thread per lane of threads, and resolves when they are open', async () => {
    const sim = makeSim({ threads: () => ({ startsInMs: 40 }) })
    sim.task('t')
    let isReady = false
    const ready = sim.scheduler.ready().then(() => (isReady = true))
    sim.advance(39)
    await Promise.resolve()
    expect([isReady, sim.world.isKeptAlive]).toEqual([false, true])
    await sim.flow(1)
    await ready
    expect(sim.threads.map(({ lane }) => lane).sort()).toEqual(['cpu', 'io'])
    expect(sim.world.isKeptAlive).toBe(false)
  })

  it('rejects naming a task that the modules do not define', async () => {
    const sim = makeSim({ threads: () => ({ tasks: ['other'] }) })
    sim.scheduler.defer(sim.task('missing'), undefined, { delay: 1000 })
    const ready = sim.scheduler.ready().catch((error: Error) => error.message)
    sim.advance(10)
    expect(await ready).toContain("'missing'")
  })

  it('rejects when the scheduler is closed meanwhile', async () => {
    const sim = makeSim({ threads: () => ({ startsInMs: 500 }) })
    const ready = sim.scheduler.ready().catch((error: { code: string }) => error.code)
    await sim.close({}, 1000)
    expect(await ready).toBe('ERR_SIDEWORK_CLOSED')
  })
})
