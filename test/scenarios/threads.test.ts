import { execFile } from 'node:child_process'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../fixtures/loader/project.js'
import '../fixtures/tasks/rough.mjs'
import { median } from '../faults/measuring.js'
import { standingMs } from '../fixtures/turns.mjs'
import { end, next, rough, withThreads } from './with-threads.js'

const run = promisify(execFile)

/** Runs a program in a process of its own, which must exit by itself. */
async function inChild(source: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', source], {
    cwd: packageRoot,
    timeout: 15_000,
  })
  return stdout.trim()
}

describe('a real thread', () => {
  it('B8: that exits mid-job loses nothing: the job is retried on a new one', async () => {
    const scheduler = withThreads()
    const exited = next(scheduler, 'thread:exited')
    const jobs = [
      scheduler.defer('exits-once'),
      ...Array.from({ length: 20 }, (_, n) => scheduler.defer('value', n)),
    ]
    expect(await Promise.all(jobs.map(end))).toEqual([2, ...Array.from({ length: 20 }, (_, n) => n)])
    expect(await exited).toMatchObject({ reason: 'crashed', exitCode: 7 })
    expect(jobs[0]?.snapshot().errors[0]?.error).toMatchObject({ code: 'ERR_SIDEWORK_THREAD_EXITED' })
  })

  it.each(['spins', 'atomics-wait'])(
    'B10: that is stuck (%s) is gone within timeout + killAfter + 50 ms, and replaced',
    async (task) => {
      const scheduler = withThreads({ threads: { cpu: 1, nice: 0 } })
      const heldMs: number[] = []
      for (let round = 0; round < 9; round++) {
        await scheduler.ready()
        const started = next(scheduler, 'started').then(() => performance.now())
        const exited = next(scheduler, 'thread:exited')
        const job = scheduler.defer(task)
        const canary = scheduler.defer('value', 'alive')
        const ended = end(job)
        const startedAt = await started
        const stoodMs = standingMs()
        expect(await exited).toMatchObject({ reason: 'timeout' })
        heldMs.push(performance.now() - startedAt - (standingMs() - stoodMs))
        expect(await ended).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_TIMEOUT'])
        expect(await end(canary)).toBe('alive')
      }
      // Not the worst: a busy machine lets a thread that was terminated wait for a core.
      expect(median(heldMs)).toBeLessThan(100 + 50 + 50)
    },
  )

  it.each([
    ['timer-throw', 'in a timer'],
    ['rejects', 'nobody cares'],
  ])('B4: with an error nobody caught (%s) fails that attempt and is replaced', async (task, message) => {
    const scheduler = withThreads()
    const job = scheduler.defer(task)
    expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_THREAD_EXITED'])
    expect(job.snapshot().error?.message).toMatch(/an error nobody caught during this attempt: ./)
    expect(job.snapshot().error?.message).toContain(message)
    expect(job.snapshot().error?.cause?.message).toContain(message)
    expect(await end(scheduler.defer('value', 1))).toBe(1)
  })

  it.each(['circular-throw', 'io-circular-rejection'])(
    'B3: with an error nobody caught that is its own cause (%s) ends, and not the process',
    async (task) => {
      const scheduler = withThreads()
      const job = scheduler.defer(task)
      expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_THREAD_EXITED'])
      expect(job.snapshot().error?.cause).toMatchObject({ name: 'TypeError', message: 'circular' })
      expect(job.snapshot().error?.cause?.cause).toBeUndefined()
    },
  )

  it('goes on when its task catches by itself what nobody else does', async () => {
    expect(await end(withThreads().defer('catches-by-itself'))).toBe('caught')
  })

  it.each([
    ['timer that throws', 'leaves-a-bomb'],
    ['promise that rejects', 'cpu-forgets-to-await'],
  ])('B4: whose earlier job left a %s does not charge the job at work', async (_, task) => {
    const scheduler = withThreads()
    await scheduler.ready()
    const interrupted = next(scheduler, 'interrupted')
    expect(await end(scheduler.defer(task, 50))).toBeUndefined()
    const job = scheduler.defer('naps', 300)
    expect(await end(job)).toBe('slept')
    expect((await interrupted).id).toBe(job.id)
    expect(job.snapshot()).toMatchObject({ attempt: 1, maxAttempts: 1 })
  })

  it.each(['cpu', 'io'])(
    'of lane %s tells the error that a handler did not await, and its task, when its jobs have ended',
    async (lane) => {
      const lines: Record<string, unknown>[] = []
      const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
      const scheduler = withThreads({ logger: pino({ level: 'warn' }, { write }) })
      await scheduler.ready()
      const exited = next(scheduler, 'thread:exited')
      const job = scheduler.defer(`${lane}-forgets-to-await`, 20)
      expect(await end(job)).toBeUndefined()
      expect(await exited).toMatchObject({ lane, reason: 'crashed', error: { message: 'not awaited' } })
      expect(lines).toMatchObject([
        {
          msg: expect.stringMatching(/^thread exited: nobody caught .* does not await$/) as string,
          task: `${lane}-forgets-to-await`,
          err: { message: 'not awaited', stack: expect.stringContaining('rough.mjs') as string },
        },
      ])
    },
  )

  it.each(['cpu', 'io'])(
    'of lane %s logs what a job left behind prints under no other job, and what the job at work prints under its own',
    async (lane) => {
      const lines: Record<string, unknown>[] = []
      const printed = new Promise<void>((resolve) => {
        const write = (line: string): void => {
          lines.push(JSON.parse(line) as Record<string, unknown>)
          if (lines.length === 2) resolve()
        }
        const scheduler = withThreads({ logger: pino({ level: 'info' }, { write }) })
        scheduler.defer(`${lane}-prints-later`, 20)
        scheduler.defer(`${lane}-prints`, 200)
      })
      await printed
      expect(lines.map(({ msg, task }) => [msg, task])).toEqual([
        ['late', undefined],
        ['mine', `${lane}-prints`],
      ])
    },
  )

  it('B12: that runs out of memory fails the job after one retry; the next job runs', async () => {
    const scheduler = withThreads({ threads: { cpu: 1, resourceLimits: { maxOldGenerationSizeMb: 16 } } })
    const job = scheduler.defer('heap')
    expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_OUT_OF_MEMORY'])
    expect(job.snapshot().attempt).toBe(2)
    expect(await end(scheduler.defer('value', 1))).toBe(1)
  })

  it('B12: that has no memory for a payload fails its job after one retry; the next job runs', async () => {
    const threads = { cpu: 1, resourceLimits: { maxOldGenerationSizeMb: 16 } }
    const scheduler = withThreads({ threads, maxPayloadBytes: 2 ** 23 })
    const payload = Array.from({ length: 1_000_000 }, () => ({}))
    const job = scheduler.defer('value', payload, { backoff: { type: 'fixed', delay: 5 } })
    const other = scheduler.defer('value', 1)
    expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_OUT_OF_MEMORY'])
    expect(job.snapshot().attempt).toBe(2)
    expect(await end(other)).toBe(1)
  })

  it('B6: whose result is not JSON completes the job, and result() says why there is none', async () => {
    const scheduler = withThreads()
    const job = scheduler.defer('not-json')
    expect((await end(job)) as string[]).toEqual(['ERR_SIDEWORK_RESULT', undefined])
    expect(job.state).toBe('completed')
    expect(job.snapshot().attempt).toBe(1)
  })

  it('I28: gives every attempt the payload that was accepted, bytes included', async () => {
    const scheduler = withThreads()
    const payload = { list: [1, 2], bytes: new Uint8Array([1, 2, 3]) }
    const job = scheduler.defer('mutates', payload)
    payload.list.push(7)
    payload.bytes[1] = 7
    const seen = '[[1,2],[1,2,3]]'
    expect(await end(job)).toEqual({ seen, bytes: new Uint8Array([99, 2, 3]) })
    expect(job.snapshot().errors.map(({ error }) => error.message)).toEqual([seen, seen])
    const bytes = Buffer.from('bytes all the way')
    expect(await end(scheduler.defer('value', bytes))).toEqual(new Uint8Array(bytes))
    expect(await end(scheduler.defer('io-value', { bytes }))).toEqual({ bytes: new Uint8Array(bytes) })
  })

  it('tells progress, logs and defers children', async () => {
    const lines: unknown[] = []
    const line = (level: string) => (fields: object, message: string) =>
      void lines.push([level, message, fields])
    const logger = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error'), isLevelEnabled: () => true, child: () => logger } // prettier-ignore
    const scheduler = withThreads({ logger: logger as never })
    const values: unknown[] = []
    scheduler.on('progress', ({ value }) => void values.push(value))
    const job = scheduler.defer('talks')
    const child = (await end(job)) as { id: string; deduplicated: boolean }
    expect(values).toEqual([0.5, { ratio: 1, message: 'done' }])
    expect(lines).toContainEqual(['info', 'half way', { n: 1, job: job.id, task: 'talks', attempt: 1 }])
    await scheduler.idle()
    expect(scheduler.job(child.id)).toMatchObject({ state: 'completed', result: 'from the child' })
  })

  it.each(['waits', 'io-waits'])('B25: hears of a cancel through its signal (%s)', async (task) => {
    const scheduler = withThreads()
    const job = scheduler.defer(task)
    await next(scheduler, 'progress', ({ id }) => id === job.id)
    const ended = end(job)
    expect(job.cancel('enough')).toBe(true)
    expect(await ended).toEqual(['ERR_SIDEWORK_CANCELLED', 'ERR_SIDEWORK_CANCELLED'])
    expect(await end(scheduler.defer(task === 'waits' ? 'value' : 'io-value', 1))).toBe(1)
    expect(scheduler.stats().lanes[task === 'waits' ? 'cpu' : 'io'].threads).toBe(1)
  })
})

describe('a real shared thread', () => {
  it.each(['exit', 'exit-later', 'timer', 'rejection'])(
    'B4, B8: that ends because of one of its jobs (%s) charges that one alone',
    async (crash) => {
      const scheduler = withThreads()
      await scheduler.ready()
      const interrupted: string[] = []
      scheduler.on('interrupted', ({ id }) => void interrupted.push(id))
      const before = [1, 2].map(() => scheduler.defer('io-sleeps', 100))
      const bad = scheduler.defer(`io-${crash}`)
      const after = [1, 2].map(() => scheduler.defer('io-sleeps', 100))
      expect(await end(bad)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_THREAD_EXITED'])
      const good = [...before, ...after]
      expect(await Promise.all(good.map(end))).toEqual(good.map(() => 'slept'))
      expect(good.map((job) => job.snapshot().attempt)).toEqual([1, 1, 1, 1])
      expect(interrupted.sort()).toEqual(good.map(({ id }) => id).sort())
    },
  )

  it('B10: that spins makes nobody else late', async () => {
    const scheduler = withThreads()
    await scheduler.ready()
    const good = [1, 2].map(() => scheduler.defer('io-sleeps', 100, { timeout: 300 }))
    const bad = scheduler.defer('io-spins')
    expect(await end(bad)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_TIMEOUT'])
    expect(await Promise.all(good.map(end))).toEqual(['slept', 'slept'])
    expect(good.map((job) => job.snapshot().attempt)).toEqual([1, 1])
  })

  it('B10: whose handler spins as soon as its signal is aborted lets its neighbours run elsewhere at once', async () => {
    const scheduler = withThreads()
    await scheduler.ready()
    const exited = next(scheduler, 'thread:exited')
    const bad = scheduler.defer('io-spins-when-aborted')
    const good = scheduler.defer('io-sleeps', 500)
    await next(scheduler, 'progress', ({ id }) => id === bad.id)
    expect(bad.cancel()).toBe(true)
    expect(await exited).toMatchObject({ lane: 'io', reason: 'stuck' })
    expect(await end(good)).toBe('slept')
    expect(good.snapshot().attempt).toBe(1)
  })

  it('B25: does not begin a job that was cancelled while its loop was busy', async () => {
    const scheduler = withThreads()
    await scheduler.ready()
    const busy = scheduler.defer('io-blocks', 200)
    await next(scheduler, 'started', ({ id }) => id === busy.id)
    const job = scheduler.defer('io-counts', 1)
    await next(scheduler, 'started', ({ id }) => id === job.id)
    expect(job.cancel()).toBe(true)
    await end(busy)
    expect(await end(scheduler.defer('io-counts', 0))).toBe(0)
  })
})

describe('visibilityTimeout on a real thread', () => {
  it('ends a silent attempt and leaves a lively one alone, also while the main thread is blocked', async () => {
    const scheduler = withThreads({ threads: { cpu: 2 } })
    await scheduler.ready()
    const silent = scheduler.defer('is-silent')
    expect(await end(silent)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_VISIBILITY_TIMEOUT'])
    const lively = scheduler.defer('beats')
    await next(scheduler, 'started', ({ id }) => id === lively.id)
    for (const until = performance.now() + 400; performance.now() < until;);
    expect(await end(lively)).toBeUndefined()
    expect(lively.snapshot().attempt).toBe(1)
  })

  it('leaves an attempt alone that computes without a pause and calls heartbeat()', async () => {
    const scheduler = withThreads()
    const job = scheduler.defer('beats-without-a-pause')
    expect(await end(job)).toBeUndefined()
    expect(job.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
  })
})

describe('under load', () => {
  it('10,000 jobs in one burst all run, and the event loop stays free', async () => {
    const scheduler = withThreads({ threads: { cpu: 2 } })
    await scheduler.ready()
    const p99Ms: number[] = []
    // A busy machine may let this process wait in any one round; who holds the loop holds it in all of them.
    for (let round = 1; round <= 3; round++) {
      // The turn that defers them holds the loop itself; what counts is the time until they have run.
      for (let n = 0; n < 10_000; n++) scheduler.defer('noop')
      await nextTurn()
      const delay = monitorEventLoopDelay({ resolution: 5 })
      delay.enable()
      await scheduler.idle()
      delay.disable()
      expect(delay.count).toBeGreaterThan(0)
      p99Ms.push(delay.percentile(99) / 1e6)
      expect(scheduler.stats()).toMatchObject({ completed: round * 10_000, failed: 0 })
    }
    expect(Math.min(...p99Ms)).toBeLessThan(50)
  })

  it('I1: every job settles exactly once while threads keep dying', async () => {
    const scheduler = withThreads({ threads: { cpu: 3 } })
    const settled = new Map<string, number>()
    for (const name of ['completed', 'failed'] as const) {
      scheduler.on(name, ({ id }) => void settled.set(id, (settled.get(id) ?? 0) + 1))
    }
    let deaths = 0
    scheduler.on('thread:exited', () => void deaths++)
    const jobs = Array.from({ length: 300 }, () => scheduler.defer('random-death'))
    await Promise.all(jobs.map(end))
    await scheduler.idle()
    expect(deaths).toBeGreaterThanOrEqual(20)
    expect([...settled.values()].filter((count) => count !== 1)).toEqual([])
    expect(settled.size).toBe(300)
    expect(scheduler.stats()).toMatchObject({ completed: 300, failed: 0 })
  })

  it('E11: two schedulers in one process do not know of each other', async () => {
    const [first, second] = [withThreads(), withThreads()]
    const [a, b] = [first.defer('value', 'a'), second.defer('value', 'b')]
    expect([first.job(b.id), second.job(a.id)]).toEqual([undefined, undefined])
    const results = Promise.all([end(a), end(b)])
    expect(await results).toEqual(['a', 'b'])
    await first.close()
    expect(await end(second.defer('value', 'c'))).toBe('c')
  })
})

describe('close()', () => {
  it.each(['gives-way', 'io-gives-way'])(
    'does not use up its grace when %s ends at the deadline',
    async (task) => {
      const scheduler = withThreads()
      const begun = next(scheduler, 'progress')
      const { id } = scheduler.defer(task)
      await begun
      const gaveWay = next(scheduler, 'interrupted')
      const ended = next(scheduler, 'cancelled')
      const { lost } = await scheduler.close({ timeout: 20 })
      expect(lost).toMatchObject([{ id, state: 'ready', attempt: 1, errors: [] }])
      const graceMs = (await ended).at - (await gaveWay).at
      expect(graceMs).toBeLessThan(400) // of 800
    },
  )
})

describe('in a thread, the package', () => {
  it.each(['defers-dated', 'io-defers-dated'])(
    'asks the schema of what its handler defers, which may take a Date (%s)',
    async (task) => {
      const scheduler = withThreads()
      const [child, step, refused] = (await end(scheduler.defer(task))) as [string, string, string]
      await scheduler.idle()
      expect([child, step].map((id) => scheduler.job(id)?.result)).toEqual([
        '1970-01-01T00:00:00.000Z',
        '1970-01-01T00:00:00.001Z',
      ])
      expect(refused).toBe('ERR_SIDEWORK_PAYLOAD')
    },
  )

  it('is imported without the rooms of the scheduler', async () => {
    expect(await end(withThreads().defer('imports'))).toMatch(/\/dist\/index-in-threads\.js$/)
  })

  it('makes schedulers in a process that a handler forks, which inherits the flags of the thread', async () => {
    const source = `
      import { createScheduler } from 'sidework'
      const scheduler = createScheduler({ logger: false })
      console.log(await scheduler.defer(() => 'done').result())
      await scheduler.close()`
    expect(await end(withThreads().defer('forks', source))).toBe('done\n')
  })
})

it('an app may put another Promise in the place of the global one', async () => {
  const foreign = 'globalThis.Promise = class Foreign extends Promise {};'
  const tasks = `data:text/javascript,${foreign}`
  const source = `
    ${foreign}
    import { createScheduler } from 'sidework'
    import ${JSON.stringify(rough.href)}
    const scheduler = createScheduler({
      tasks: ${JSON.stringify(rough.href)},
      threads: { cpu: 1, io: 1, execArgv: ['--import', ${JSON.stringify(tasks)}] },
      logger: false,
    })
    const jobs = [scheduler.defer('naps', 1), scheduler.defer('io-sleeps', 1), scheduler.defer(async () => 'woke')]
    console.log(...(await Promise.all(jobs.map((job) => job.result()))))
    await scheduler.close()`
  expect(await inChild(source)).toBe('slept slept woke')
})

describe('the process', () => {
  it('E8: exits at once after importing the package: no timer, thread or handler', async () => {
    const source = `
      const handlers = process.eventNames().length
      await import('sidework')
      await import('sidework/express')
      // Not ours: the files of the modules being closed, the pipes of this child.
      const left = process.getActiveResourcesInfo().filter((name) => !/CloseReq|Pipe/.test(name))
      console.log(left.length, process.eventNames().length - handlers)`
    const [resources, handlers] = (await inChild(source)).split(' ').map(Number)
    expect(handlers).toBe(0)
    expect(resources).toBe(0)
  })

  it('exits by itself after close(), and with work done but not closed', async () => {
    const source = (close: string) => `
      import { createScheduler } from 'sidework'
      import ${JSON.stringify(rough.href)}
      const scheduler = createScheduler({ tasks: ${JSON.stringify(rough.href)}, threads: 2, logger: false })
      await scheduler.ready()
      console.log(await scheduler.defer('value', 'done').result())
      scheduler.defer('value').result()
      scheduler.defer('io-value').result()
      ${close}`
    expect(await inChild(source('await scheduler.close()'))).toBe('done')
    expect(await inChild(source(''))).toBe('done')
  })

  it('is kept alive exactly while a job is unsettled', async () => {
    const source = `
      import { createScheduler } from 'sidework'
      import ${JSON.stringify(rough.href)}
      const scheduler = createScheduler({ tasks: ${JSON.stringify(rough.href)}, threads: 1, logger: false })
      scheduler.on('completed', () => console.log('completed'))
      scheduler.defer('noop', undefined, { delay: 300 })`
    expect(await inChild(source)).toBe('completed')
  })

  it('E5: that makes and closes many schedulers keeps no handle', async () => {
    const source = `
      import { createScheduler } from 'sidework'
      import ${JSON.stringify(rough.href)}
      const count = () => process.getActiveResourcesInfo().length
      let before
      for (let n = 0; n < 15; n++) {
        const scheduler = createScheduler({ tasks: ${JSON.stringify(rough.href)}, threads: 1, logger: false })
        await scheduler.defer('noop').result()
        await scheduler.close()
        if (n === 4) before = count()
      }
      console.log(count() - before)`
    expect(Number(await inChild(source))).toBeLessThanOrEqual(0)
  })
})
