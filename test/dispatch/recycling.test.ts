import { describe, expect, it } from 'vitest'
import { neverEnds } from '../simulation/script.js'
import { makeSim, type Sim, type SimOptions } from '../simulation/sim.js'

const leak = { kind: 'leak', task: 'leaky', count: 32, resources: ['Timeout'] } as const
const warnings = (sim: Sim) => sim.logged.filter(({ level }) => level === 'warn')

describe('a thread in which a task leaves timers open', () => {
  it.each(['cpu', 'io'] as const)('finishes its job (%s), and a new one takes over', (lane) => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 100 }, { lane })
    const [first, second] = [sim.scheduler.defer(task), sim.scheduler.defer(task, undefined, { delay: 50 })]
    sim.advance(10)
    sim.thread(1).say(leak)
    sim.advance(200)
    expect([first.state, second.state]).toEqual(['completed', 'completed'])
    expect(sim.began.map(({ thread }) => thread)).toEqual([1, 2])
    expect(sim.thread(1).isGone).toBe(true)
    expect(warnings(sim)[0]?.fields).toMatchObject({ task: 'leaky', count: 32, thread: 1 })
    expect(sim.watch.names(first.id)).toEqual(['accepted', 'started', 'completed'])
  })

  it('is not replaced while everything is paused', () => {
    const sim = makeSim()
    const task = sim.task('t', { takesMs: 100 })
    const jobs = [sim.scheduler.defer(task), sim.scheduler.defer(task)]
    sim.advance(10)
    sim.scheduler.pause()
    sim.thread(1).say(leak)
    sim.advance(200)
    expect([jobs[1]?.state, sim.spawnedAt.length]).toEqual(['ready', 1])
    sim.scheduler.resume()
    sim.advance(200)
    expect(jobs.map(({ state }) => state)).toEqual(['completed', 'completed'])
  })

  it('ends at once when it has nothing to do', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'))
    sim.advance(10)
    sim.thread(1).say(leak)
    sim.advance(1)
    expect(sim.thread(1).isGone).toBe(true)
  })
})

describe('a process that holds more memory than threads.maxRssBytes', () => {
  const bound = 1000
  function simWith(options: SimOptions, rss: (sim: Sim) => number, cpu = 2): Sim {
    const sim = makeSim({ ...options, scheduler: { threads: { cpu, io: 1, maxRssBytes: bound } } })
    Object.assign(sim.world, { rssBytes: () => rss(sim) })
    return sim
  }
  const untilGone =
    (number: number, before = 2000) =>
    (sim: Sim) =>
      sim.threads.find((thread) => thread.number === number)?.isGone === false ? before : 500
  const firstIsSilent: SimOptions = { threads: (number) => ({ memoryBytes: number === 1 ? 0 : 200 }) }

  it('B14: replaces the thread that holds most, and its job has run out of memory', () => {
    const sim = simWith({ threads: (number) => ({ memoryBytes: number === 2 ? 900 : 300 }) }, untilGone(2))
    const task = sim.task('t', { takesMs: 4000 }, { attempts: 1 })
    const jobs = [sim.scheduler.defer(task), sim.scheduler.defer(task)]
    sim.advance(5000)
    expect(jobs.map(({ state }) => state).sort()).toEqual(['completed', 'failed'])
    const failed = jobs.find(({ state }) => state === 'failed')?.snapshot()
    expect(failed?.error).toMatchObject({ name: 'OutOfMemoryError', code: 'ERR_SIDEWORK_OUT_OF_MEMORY' })
    expect(sim.thread(2).isGone).toBe(true)
    expect(warnings(sim).some(({ fields }) => fields['rssBytes'] === 2000)).toBe(true)
  })

  it('takes a thread that does not answer for the one, when the others hold little', () => {
    const sim = simWith({}, untilGone(1))
    const spins = sim.scheduler.defer(sim.task('t', { takesMs: Infinity, spins: true }, { attempts: 1 }))
    sim.advance(2000)
    expect(spins.snapshot().error?.code).toBe('ERR_SIDEWORK_OUT_OF_MEMORY')
  })

  it.each([1100, 2000])(
    'takes it for the one also when the others hold half of the bound together, but each little (RSS %i of 1000)',
    (rss) => {
      const sim = simWith(firstIsSilent, untilGone(1, rss), 4)
      const hog = sim.scheduler.defer(sim.task('hog', { takesMs: Infinity, spins: true }, { attempts: 1 }))
      const good = sim.task('good', { takesMs: 20_000 }, { attempts: 1 })
      const jobs = [1, 2, 3].map(() => sim.scheduler.defer(good))
      sim.advance(2000)
      expect(sim.began[0]).toMatchObject({ task: 'hog', thread: 1 })
      expect(hog.snapshot().error?.code).toBe('ERR_SIDEWORK_OUT_OF_MEMORY')
      sim.advance(20_000)
      expect(jobs.map(({ state }) => state)).toEqual(['completed', 'completed', 'completed'])
    },
  )

  it.each([
    ['after one without a job, where that may be enough', 1100, ['short', 'hog']],
    ['before one without a job, where all the others do not hold what is too much', 2000, ['hog']],
  ])('takes it %s', (_when, rss, gone) => {
    const sim = simWith(firstIsSilent, untilGone(1, rss), 4)
    sim.scheduler.defer(sim.task('hog', { takesMs: Infinity, spins: true }, { attempts: 1 }))
    const good = [1, 2].map(() => sim.scheduler.defer(sim.task('good', { takesMs: 20_000 })))
    sim.scheduler.defer(sim.task('short', { takesMs: 5 }))
    const seen: (string | undefined)[] = []
    sim.scheduler.on('thread:exited', ({ thread }) => {
      seen.push(sim.began.find((began) => began.thread === thread)?.task)
    })
    sim.advance(10_000)
    expect(seen).toEqual(gone)
    expect(good.map(({ state }) => state)).toEqual(['running', 'running'])
  })

  it('charges nobody of several on a shared thread: they run alone next', () => {
    const sim = simWith({ threads: (number) => ({ memoryBytes: number === 1 ? 900 : 0 }) }, untilGone(1))
    const task = sim.task('t', { takesMs: 1500 }, { lane: 'io', attempts: 1 })
    const jobs = [1, 2].map(() => sim.scheduler.defer(task))
    sim.advance(10_000)
    expect(jobs.map((job) => [job.state, job.snapshot().attempt])).toEqual([['completed', 1], ['completed', 1]]) // prettier-ignore
    expect(sim.began.slice(2).map(({ at }) => at)).toEqual([1250, 2750])
  })

  it('runs what was sent to the thread before its turn elsewhere, once', () => {
    const script = (number: number) => ({ memoryBytes: number === 1 ? 900 : 0, exitsInMs: 20 })
    const sim = simWith({ threads: script }, untilGone(1))
    const task = sim.task('t', { takesMs: 3 }, { attempts: 1 })
    const jobs = Array.from({ length: 1000 }, () => sim.scheduler.defer(task))
    sim.advance(1252)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBeGreaterThan(sim.scheduler.stats().running)
    expect([sim.thread(1).isDying, sim.thread(1).isGone, sim.thread(1).sentAhead]).toEqual([true, false, []])
    sim.advance(10_000)
    const ended = jobs.map((job) => [job.state, job.snapshot().attempt])
    expect(ended.filter(([state]) => state === 'failed')).toHaveLength(1)
    expect(ended.filter(([state, attempt]) => state === 'completed' && attempt === 1)).toHaveLength(999)
    expect(sim.began).toHaveLength(1000)
  })

  it('replaces an idle thread without harm to anybody', () => {
    const sim = simWith({ threads: () => ({ memoryBytes: 900 }) }, untilGone(1))
    const job = sim.scheduler.defer(sim.task('t'))
    sim.advance(2000)
    expect(job.state).toBe('completed')
    expect(sim.thread(1).isGone).toBe(true)
    expect(sim.spawnedAt).toHaveLength(1) // the next job has another start
  })

  it('replaces an idle one when none holds much of it, but all together do', () => {
    const sim = simWith({ threads: () => ({ memoryBytes: 200 }) }, untilGone(3))
    const long = sim.task('long', { takesMs: 4000 })
    const jobs = [sim.scheduler.defer(long), sim.scheduler.defer(sim.task('short', { takesMs: 5 }))]
    const io = sim.scheduler.defer(sim.task('io', { takesMs: 4000 }, { lane: 'io' }))
    sim.advance(2000)
    const gone = sim.threads.filter(({ isGone }) => isGone).map(({ number }) => number)
    expect(gone).toEqual(sim.began.filter(({ task }) => task === 'short').map(({ thread }) => thread))
    sim.advance(8000)
    expect([...jobs, io].map((job) => [job.state, job.snapshot().attempt])).toEqual(
      [1, 1, 1].map((attempt) => ['completed', attempt]),
    )
  })

  it('stops nobody when no thread holds much of it', () => {
    const sim = simWith({ threads: () => ({ memoryBytes: 10 }) }, () => 2000)
    const job = sim.scheduler.defer(sim.task('t', neverEnds, { timeout: false }))
    sim.advance(20_000)
    expect(job.state).toBe('running')
    expect(warnings(sim).length).toBeGreaterThan(0)
  })
})

it('what a thread prints is logged, with the job that printed it', () => {
  const sim = makeSim()
  const job = sim.scheduler.defer(sim.task('t', { takesMs: 10 }))
  sim.advance(5)
  sim.thread(1).say({ kind: 'console', level: 'info', text: 'hello', token: 1 })
  sim.thread(1).say({ kind: 'console', level: 'error', text: 'from nobody', token: 0 })
  sim.advance(1)
  expect(sim.logged.filter(({ message }) => /hello|nobody/.test(message))).toEqual([
    {
      level: 'info',
      message: 'hello',
      fields: { lane: 'cpu', thread: 1, job: job.id, task: 't', attempt: 1 },
    },
    { level: 'error', message: 'from nobody', fields: { lane: 'cpu', thread: 1 } },
  ])
})
