import { describe, expect, it } from 'vitest'
import { neverEnds } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const reasons = (sim: Sim): string[] => {
  const seen: string[] = []
  sim.scheduler.on('thread:exited', ({ reason }) => void seen.push(reason))
  return seen
}
const closes = (sim: Sim): number => sim.thread(1).inbox.filter(({ kind }) => kind === 'close').length

describe('a thread whose modules have a teardown()', () => {
  it('is asked to close when it has been idle, and has 5 s', () => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: 4999 }), scheduler: { threads: { idleTimeout: 100 } } }) // prettier-ignore
    const seen = reasons(sim)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(100 + 4998)
    expect([closes(sim), seen]).toEqual([1, []])
    sim.advance(1)
    expect(seen).toEqual(['idle'])
  })

  it('is stopped by force when that takes longer', () => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: Infinity }), scheduler: { threads: { idleTimeout: 100 } } }) // prettier-ignore
    const seen = reasons(sim)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(5099)
    expect(seen).toEqual([])
    sim.advance(1)
    expect(seen).toEqual(['idle'])
  })

  it('makes room at once: a job that comes meanwhile gets another thread', () => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: 4000 }), scheduler: { threads: { cpu: 1, idleTimeout: 100 } } }) // prettier-ignore
    sim.scheduler.defer(sim.task('t'))
    sim.advance(101)
    sim.scheduler.defer(sim.task('t'))
    sim.advance(1)
    expect(sim.began.map(({ thread }) => thread)).toEqual([1, 2])
  })

  it('is not asked when it is stopped for a job that hangs', () => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: 10 }) })
    sim.scheduler.defer(sim.task('t', neverEnds, { attempts: 1, timeout: 100, killAfter: 50 }))
    sim.advance(150)
    expect(sim.thread(1).isGone).toBe(true)
    expect(closes(sim)).toBe(0)
  })

  it.each([
    ['quickly', 20, 20],
    ['never', Infinity, 5000],
  ])('closing waits for a teardown that ends %s', async (_, ms, closedAt) => {
    const sim = makeSim({ threads: () => ({ tearsDownInMs: ms }) })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(1)
    const start = sim.now
    let at = -1
    sim.scheduler.on('closed', () => (at = sim.now - start))
    await sim.close({ timeout: '10s' }, 11_000)
    expect(at).toBe(closedAt)
    expect(sim.thread(1).isGone).toBe(true)
  })

  it('closing with a grace that was used up leaves it what is left of timeout + 1 s', async () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } }, threads: () => ({ tearsDownInMs: Infinity }) })
    sim.scheduler.defer(sim.task('hangs', neverEnds))
    sim.scheduler.defer(sim.task('short', { takesMs: 5 }))
    sim.advance(10)
    const start = sim.now
    let at = -1
    sim.scheduler.on('closed', () => (at = sim.now - start))
    await sim.close({ timeout: 100 }, 2000)
    expect(at).toBeLessThanOrEqual(1100)
    expect(sim.threads.every((thread) => thread.isGone)).toBe(true)
  })
})

describe('a thread that is starting when the scheduler closes', () => {
  it.each([
    ['ends its start', '10s', { startsInMs: 50 }, 40],
    ['ends its start and runs its teardown()', '10s', { startsInMs: 50, tearsDownInMs: 20 }, 60],
    ['fails to start', '10s', { startsInMs: 50, startFails: { name: 'Error', message: 'no' } }, 40],
    ['exits by itself', '10s', { startsInMs: 50, exitsAtStart: 3 }, 40],
    ['has 5 s for it', '10s', { startsInMs: Infinity }, 5000],
    ['has what is left of timeout + 1 s', 0, { startsInMs: Infinity }, 800],
  ] as const)('%s', async (_, timeout, script, closedAt) => {
    const sim = makeSim({ threads: () => script })
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    const start = sim.now
    const seen = reasons(sim)
    let at = -1
    sim.scheduler.on('closed', () => (at = sim.now - start))
    await sim.close({ timeout, drain: false }, 11_000)
    expect(at).toBe(closedAt)
    expect(sim.thread(1).isGone).toBe(true)
    expect(seen).toEqual(['closing'])
    expect(sim.spawnedAt).toHaveLength(1)
  })
})

/** Whatever ran on the first thread was stopped; only the thread's exit does not come. */
function jsStopped(sim: Sim): void {
  for (const run of sim.thread(1).running) sim.watch.ended(run)
}

describe('a thread that was terminated and does not exit', () => {
  const neverExits = { threads: (number: number) => (number === 1 ? { exitsInMs: Infinity } : {}) }

  it('B30: is replaced at once, and given up after 5 min: what was on it is free again', () => {
    const sim = makeSim({ ...neverExits, scheduler: { threads: 1 } })
    const seen = reasons(sim)
    const options = {
      attempts: 2,
      timeout: 100,
      killAfter: 50,
      backoff: { type: 'fixed', delay: 10 },
    } as const
    const task = sim.task('t', ({ attempt }) => (attempt === 1 ? neverEnds : {}), options)
    const job = sim.scheduler.defer(task, undefined, { orderingKey: 'k' })
    const behind = sim.scheduler.defer(sim.task('behind'), undefined, { orderingKey: 'k' })
    const other = sim.scheduler.defer(sim.task('other'))
    sim.advance(150)
    expect([job.state, behind.state, other.state]).toEqual(['retrying', 'blocked', 'completed'])
    sim.advance(5 * 60_000 - 1)
    expect([job.state, seen]).toEqual(['retrying', ['idle']])
    jsStopped(sim)
    sim.advance(1)
    expect([job.state, behind.state]).toEqual(['completed', 'completed'])
    expect(seen).toEqual(['idle', 'lost'])
    expect(sim.scheduler.stats().abandoned).toBe(1)
    sim.thread(1).crash()
  })

  it('B30: settles nothing once it was given up, whatever it still says', () => {
    const sim = makeSim(neverExits)
    const retried = { timeout: 100, killAfter: 50, backoff: { type: 'fixed', delay: 10 } } as const
    const job = sim.scheduler.defer(sim.task('t', neverEnds, retried))
    sim.advance(150)
    jsStopped(sim)
    sim.advance(5 * 60_000 + 20)
    expect(sim.threads.at(-1)?.running).toMatchObject([{ id: job.id, token: 1, attempt: 2 }])
    sim.thread(1).say({ kind: 'progress', token: 1, value: '0.5' })
    sim.thread(1).say({ kind: 'ended', tokens: [1], endings: ['"zombie"'] })
    sim.advance(0)
    expect(job.snapshot()).toMatchObject({ state: 'running', attempt: 2 })
    expect(job.snapshot().progress).toBeUndefined()
    sim.thread(1).say(1)
    sim.advance(0)
    expect(job.state).toBe('running')
  })

  it('is heard before it is given up: the main thread may have been blocked', () => {
    for (let seed = 0; seed < 20; seed++) {
      const sim = makeSim({ ...neverExits, seed, shuffle: true })
      const job = sim.scheduler.defer(sim.task('t', neverEnds, { attempts: 1, timeout: 100, killAfter: 50 }))
      sim.advance(150)
      jsStopped(sim)
      sim.thread(1).say(1) // its report, posted just before it was stopped
      sim.world.block(6 * 60_000)
      sim.advance(0)
      expect([job.state, sim.scheduler.stats().abandoned]).toEqual(['failed', 0])
    }
  })

  it('B30: does not hold its neighbours for longer either, and may still exit later', () => {
    const sim = makeSim({ threads: (number) => (number === 1 ? { exitsInMs: 6 * 60_000 } : {}) })
    const io = { lane: 'io', attempts: 1 } as const
    const neighbour = sim.scheduler.defer(sim.task('neighbour', ({ thread }) => (thread.number === 1 ? neverEnds : {}), io)) // prettier-ignore
    sim.scheduler.defer(sim.task('spins', { takesMs: Infinity, spins: true }, { ...io, timeout: 100, killAfter: 50 })) // prettier-ignore
    sim.advance(150)
    jsStopped(sim)
    sim.advance(5 * 60_000)
    expect(neighbour.snapshot()).toMatchObject({ state: 'completed', attempt: 1 })
    sim.advance(60_000)
    expect(sim.thread(1).isGone).toBe(true)
  })
})
