import { describe, expect, it } from 'vitest'
import type { RunMessage } from '../../src/threads/protocol.js'
import { failsWith, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

/** One thread that knows `short` as a task of very short jobs; a payload says how long a job takes instead. */
function warmSim(scheduler: object = {}): Sim {
  const sim = makeSim({ scheduler })
  const task = sim.task(
    'short',
    ({ payload }: Run) => ({ takesMs: (payload as { takes?: number } | null)?.takes ?? 0 }),
    { attempts: 2 },
  )
  for (let n = 0; n < 40; n++) {
    sim.scheduler.defer(task, null)
    sim.advance(0)
  }
  sim.began.length = 0
  return sim
}

const batchesOf = (sim: Sim): number[] =>
  sim.threads[0]?.inbox
    .filter((message): message is RunMessage => message.kind === 'run')
    .map(({ seqs }) => seqs.length) ?? []

describe('prefetch', () => {
  it('hands short jobs over many at a time, long ones one by one', () => {
    const sim = warmSim()
    const before = batchesOf(sim).length
    for (let n = 0; n < 100; n++) sim.scheduler.defer('short', null)
    sim.advance(10)
    const batches = batchesOf(sim).slice(before)
    expect(batches.length).toBeLessThan(10)
    expect(sim.scheduler.stats().completed).toBe(140)
  })

  it('learns of all tasks of a message that they are short, not only of its last', () => {
    const sim = makeSim()
    const names = Array.from({ length: 10 }, (_, n) => `short-${n}`)
    const tasks = names.map((name) => sim.task(name, { takesMs: 0 }))
    const deferAll = (): void => tasks.forEach((task) => void sim.scheduler.defer(task, null))
    for (let n = 0; n < 40; n++) {
      deferAll()
      sim.advance(0)
    }
    const before = batchesOf(sim).length
    for (let n = 0; n < 10; n++) deferAll()
    sim.advance(10)
    expect(batchesOf(sim).slice(before).length).toBeLessThan(10)
    expect(sim.scheduler.stats().completed).toBe(500)
  })

  it('sends a payload of more than 1 MiB by itself: a thread that has no memory for it ends because of that job', () => {
    const sim = warmSim({ maxPayloadBytes: 2 ** 22 })
    const before = batchesOf(sim).length
    for (const payload of [null, null, { text: 'x'.repeat(2 ** 20) }, null, null])
      sim.scheduler.defer('short', payload)
    sim.advance(10)
    expect(batchesOf(sim).slice(before)).toEqual([2, 1, 2])
    expect(sim.scheduler.stats().completed).toBe(45)
  })

  it('sends nothing ahead behind a job that must run alone', () => {
    const sim = warmSim()
    const alone = sim.scheduler.defer('short', { takes: 3 })
    sim.advance(1)
    sim.thread(1).say({ kind: 'culprit', token: 0 }) // of an earlier job
    sim.thread(1).crash()
    const behind = Array.from({ length: 5 }, () => sim.scheduler.defer('short', null))
    sim.advance(1)
    expect([alone.state, sim.scheduler.stats().lanes.cpu.outstanding]).toEqual(['running', 1])
    sim.advance(10)
    expect([alone, ...behind].filter(({ state }) => state !== 'completed')).toEqual([])
  })

  it('keeps a job that was sent ahead `ready` until its thread takes it', () => {
    const sim = warmSim()
    const long = sim.scheduler.defer('short', { takes: 3 })
    const behind = Array.from({ length: 5 }, () => sim.scheduler.defer('short', null))
    sim.advance(1)
    expect([long.state, ...behind.map(({ state }) => state)]).toEqual([
      'running',
      ...behind.map(() => 'ready'),
    ])
    expect(sim.scheduler.stats()).toMatchObject({ running: 1, ready: 5 })
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(6)
  })

  it('calls back what is stuck behind a long job, so that another thread takes it', () => {
    const sim = warmSim({ threads: { cpu: 2 } })
    sim.scheduler.defer('short', { takes: 60_000 })
    const behind = Array.from({ length: 5 }, () => sim.scheduler.defer('short', null))
    sim.advance(15)
    expect(behind.map(({ state }) => state)).toEqual(behind.map(() => 'completed'))
    expect(sim.began.filter(({ payload }) => payload === null)).toHaveLength(5)
  })

  it('leaves with a thread what it has not begun, as the system did not run it, unless another could go on', () => {
    const resent = (threads: number): number => {
      const sim = warmSim({ threads: { cpu: threads } })
      let sent = 0
      for (const thread of sim.threads) {
        const post = thread.post.bind(thread)
        thread.post = (message) => {
          sent++
          sim.world.plan('late', 50, () => post(message))
        }
      }
      for (let n = 0; n < 6; n++) sim.scheduler.defer('short', null)
      sim.advance(40)
      const sentMeanwhile = sent
      sim.advance(200)
      expect(sim.scheduler.stats().ready).toBe(0)
      return sentMeanwhile
    }
    expect(resent(1)).toBe(1)
    expect(resent(2)).toBeGreaterThan(1)
  })

  it('sends one job of a few milliseconds ahead, so that its thread need not wait for the next', () => {
    const sim = makeSim()
    const task = sim.task('thumbnail', { takesMs: 3 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task)
    sim.advance(10)
    expect(sim.scheduler.stats()).toMatchObject({ running: 1 })
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(2)
    const slow = sim.task('video', { takesMs: 8 })
    sim.advance(1000)
    for (let n = 0; n < 20; n++) sim.scheduler.defer(slow)
    sim.advance(100)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(1)
  })

  it('sends nothing ahead behind a job of a task that takes long, nor behind one that was told to stop', () => {
    const sim = warmSim()
    const slow = sim.task('video', { takesMs: 50 })
    sim.scheduler.defer(slow)
    sim.advance(100)
    sim.scheduler.defer(slow)
    sim.advance(0)
    sim.scheduler.defer('short', null)
    sim.advance(1)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(1)
    sim.advance(100)
    const stubborn = sim.task('stubborn', ({ payload }: Run) =>
      payload === null ? {} : { takesMs: 50, ignoresAbort: true },
    )
    for (let n = 0; n < 40; n++) sim.scheduler.defer(stubborn, null)
    sim.advance(10)
    const stopped = sim.scheduler.defer(stubborn, 'on')
    sim.advance(1)
    stopped.cancel()
    sim.scheduler.defer('short', null)
    sim.advance(1)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(1)
  })

  it('takes a job of a few milliseconds back when a more urgent one comes, also one that is never sent ahead', () => {
    const sim = makeSim()
    const task = sim.task('thumbnail', { takesMs: 4 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task)
    sim.advance(200)
    sim.began.length = 0
    const [first, second] = ['first', 'second'].map((name) => sim.scheduler.defer(task, name))
    sim.advance(1)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(2)
    sim.scheduler.defer(task, 'urgent', { priority: 9 })
    sim.advance(1)
    sim.scheduler.defer(task, 'most urgent', {
      priority: 9,
      expiresIn: '1h',
      runAt: sim.world.clock.wall() - 1,
    })
    sim.scheduler.defer(task, 'late', { priority: 0 })
    sim.advance(100)
    expect(sim.payloads).toEqual(['first', 'urgent', 'most urgent', 'second', 'late'])
    expect([first?.state, second?.state]).toEqual(['completed', 'completed'])
  })

  it('also when every place is taken and many wait', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const task = sim.task('thumbnail', { takesMs: 4 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task)
    sim.advance(200)
    sim.began.length = 0
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task, n)
    sim.advance(1)
    sim.scheduler.defer(task, 'urgent', { priority: 9 })
    sim.advance(4)
    expect(sim.payloads).toContain('urgent')
    expect(sim.payloads).toHaveLength(4)
    sim.advance(200)
    expect(sim.payloads.filter((n) => n !== 'urgent')).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('a thread that has nothing to do gets what another was sent ahead', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const task = sim.task('thumbnail', ({ payload }: Run) => ({ takesMs: payload as number }))
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task, 4)
    sim.advance(100)
    sim.began.length = 0
    for (const takesMs of [4, 2, 4.5]) sim.scheduler.defer(task, takesMs)
    sim.advance(1)
    expect(sim.scheduler.stats()).toMatchObject({ running: 2, ready: 1 })
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(3)
    sim.advance(2)
    expect(sim.scheduler.stats()).toMatchObject({ running: 2, ready: 0 })
    expect(sim.payloads).toEqual([4, 2, 4.5])
  })

  it('that one may be of a limited task, and others may be of short ones', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const long = sim.task('thumbnail', ({ payload }: Run) => ({ takesMs: payload as number }))
    const short = sim.task('short', {})
    const paused = sim.task('paused', {})
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(long, 4)
      sim.scheduler.defer(short)
    }
    sim.advance(1000)
    sim.scheduler.pause(paused)
    sim.scheduler.defer(paused)
    for (const takesMs of [4, 2, 4.5]) sim.scheduler.defer(long, takesMs)
    sim.scheduler.defer(short)
    sim.advance(3)
    expect(sim.scheduler.stats()).toMatchObject({ running: 2, ready: 1 })
  })

  it('tells the end of a short job before a longer one behind it has ended', () => {
    const sim = makeSim()
    const long = sim.task('thumbnail', { takesMs: 4 })
    const short = sim.task('short', {})
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(long)
      sim.scheduler.defer(short)
    }
    sim.advance(1000)
    const first = sim.scheduler.defer(short)
    sim.scheduler.defer(long)
    sim.advance(1)
    expect(first.state).toBe('completed')
  })

  it('a cancelled job stays cancelled that another thread was given while its own was listened to', () => {
    const sim = warmSim({ threads: { cpu: 2 } })
    const keyed = sim.task('keyed', ({ payload }: Run) => {
      if (payload === 'cancels') sim.scheduler.cancel(jobs[4]?.id ?? '')
      return { takesMs: typeof payload === 'number' ? payload : 0 }
    })
    for (let n = 0; n < 40; n++) sim.scheduler.defer(keyed, 0)
    sim.advance(1000)
    const jobs = [4, 'cancels', 4, 4, 4, 4, 0, 0, 0, 0, 0, 0].map((payload, n) =>
      sim.scheduler.defer(keyed, payload, { orderingKey: `k${n}` }),
    )
    const behind = sim.scheduler.defer(keyed, 'behind', { orderingKey: 'k4' })
    sim.advance(1000)
    expect(jobs.map(({ state }) => state)).toEqual(jobs.map((_, n) => (n === 4 ? 'cancelled' : 'completed')))
    expect(behind.state).toBe('completed')
    expect(sim.began.filter(({ id }) => id === jobs[4]?.id)).toEqual([])
  })

  it('what a backoff function calls back in the midst of a report runs once and settles', () => {
    const sim = makeSim()
    const task = sim.task(
      'thumbnail',
      ({ payload }: Run) => (payload === 'fails' ? { ...failsWith('no'), takesMs: 2 } : { takesMs: 3 }),
      {
        attempts: 2,
        backoff: () => {
          sim.scheduler.pause()
          sim.scheduler.resume()
          return 10
        },
      },
    )
    for (let n = 0; n < 40; n++) sim.scheduler.defer(task, null)
    sim.advance(1000)
    sim.began.length = 0
    const failing = sim.scheduler.defer(task, 'fails')
    sim.advance(1)
    const post = sim.threads[0]?.post.bind(sim.threads[0])
    if (sim.threads[0]) sim.threads[0].post = (message) => void sim.world.plan('late', 5, () => post?.(message)) // prettier-ignore
    const next = sim.scheduler.defer(task, 'next')
    sim.advance(1000)
    expect([failing.state, next.state]).toEqual(['failed', 'completed'])
    expect(sim.payloads).toEqual(['fails', 'next', 'fails'])
  })

  it('a task that is defined anew is told again, and costs its threads nothing for ever', () => {
    const sim = makeSim()
    const told: number[] = []
    const behave = ({ maxAttempts }: Run) => (told.push(maxAttempts), {})
    for (let n = 1; n <= 100; n++) {
      const options = { attempts: n, lane: 'main' } as const
      const task = n === 1 ? sim.task('again', behave, options) : sim.taskAgain('again', options)
      for (let m = 0; m < 2; m++) sim.scheduler.defer(task)
      if (n % 2 === 0) sim.advance(10)
    }
    expect(told.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, m) => 1 + (m >> 1)))
    expect(sim.threads[0]?.introduced.size).toBe(1)
  })

  it('I18: a task that is paused while threads report has no job ahead of any of them', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    let ahead: string[] = []
    const task = sim.task('short', ({ payload }: Run) => {
      if (payload === 'pauses') {
        sim.scheduler.pause('short')
        ahead = sim.threads.flatMap((thread) => thread.sentAhead)
      }
      return { takesMs: payload === 'long' ? 3 : 0 }
    })
    for (let n = 0; n < 6; n++) sim.scheduler.defer(task, 'long')
    sim.advance(100)
    for (let n = 0; n < 60; n++) sim.scheduler.defer(task, null)
    sim.advance(100)
    for (let n = 0; n < 2000; n++) sim.scheduler.defer(task, n === 700 ? 'pauses' : null)
    sim.advance(100)
    expect(sim.scheduler.stats().ready).toBeGreaterThan(500)
    expect(ahead).toEqual([])
  })

  it('a job goes to the thread that has nothing to do, not ahead of its turn to another', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 2 } } })
    const task = sim.task('thumbnail', { takesMs: 4 })
    for (let n = 0; n < 20; n++) sim.scheduler.defer(task)
    sim.advance(100)
    sim.scheduler.defer(task)
    sim.advance(1)
    const next = sim.scheduler.defer(task)
    sim.advance(1)
    expect(next.state).toBe('running')
  })

  it('begins again once the long job has ended', () => {
    const sim = warmSim()
    sim.scheduler.defer('short', { takes: 100 })
    sim.scheduler.defer('short', null)
    sim.advance(200)
    for (let n = 0; n < 20; n++) {
      sim.scheduler.defer('short', null)
      sim.advance(0)
    }
    const before = batchesOf(sim).length
    for (let n = 0; n < 100; n++) sim.scheduler.defer('short', null)
    sim.advance(10)
    expect(batchesOf(sim).length - before).toBeLessThan(20)
  })

  it('sends nothing with an expiry ahead', () => {
    const sim = warmSim()
    sim.scheduler.defer('short', { takes: 3 })
    sim.scheduler.defer('short', null, { expiresIn: 1000 })
    sim.advance(0)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBe(1)
  })

  it('sends the first of each ordering key ahead, and nobody behind it', () => {
    const sim = warmSim({ threads: { cpu: 2 } })
    const before = batchesOf(sim).length
    for (let n = 0; n < 100; n++) sim.scheduler.defer('short', n, { orderingKey: `k${n % 25}` })
    sim.advance(0)
    expect(sim.scheduler.stats().lanes.cpu.outstanding).toBeLessThanOrEqual(25)
    sim.advance(10)
    expect(batchesOf(sim).slice(before).length).toBeLessThan(20)
    const ranOf = (key: number): unknown[] => sim.payloads.filter((n) => (n as number) % 25 === key)
    for (let key = 0; key < 25; key++) expect(ranOf(key)).toEqual([key, key + 25, key + 50, key + 75])
  })

  it('takes the first of a key back when it is cancelled; the next of its key goes on', () => {
    const sim = warmSim()
    sim.scheduler.defer('short', { takes: 3 })
    const [first, second] = ['first', 'second'].map((n) =>
      sim.scheduler.defer('short', n, { orderingKey: 'k' }),
    )
    sim.advance(1)
    expect([sim.scheduler.stats().lanes.cpu.outstanding, second?.state]).toEqual([2, 'blocked'])
    expect(first?.cancel()).toBe(true)
    sim.advance(10)
    expect([first?.state, second?.state]).toEqual(['cancelled', 'completed'])
    expect(sim.payloads).not.toContain('first')
  })

  it('lets a more urgent job pass all but what was sent ahead: about a millisecond of work', () => {
    const sim = warmSim()
    for (let n = 0; n < 5000; n++) sim.scheduler.defer('short', { takes: 1 })
    sim.advance(2)
    sim.scheduler.defer('short', 'urgent', { priority: 9 })
    sim.advance(10_000)
    const place = sim.payloads.indexOf('urgent')
    expect(place).toBeGreaterThan(0)
    expect(place).toBeLessThanOrEqual(2 * 512)
  })

  it.each(['pause', 'cancel'])('gives back what was not taken: %s', (what) => {
    const sim = warmSim()
    sim.scheduler.defer('short', { takes: 20 })
    const behind = Array.from({ length: 5 }, () => sim.scheduler.defer('short', null))
    sim.advance(1)
    if (what === 'pause') {
      sim.scheduler.pause()
      sim.advance(1000)
      expect(behind.map(({ state }) => state)).toEqual(behind.map(() => 'ready'))
      expect(sim.began).toHaveLength(1)
      sim.scheduler.resume()
      sim.advance(1000)
      expect(sim.began).toHaveLength(6)
    } else {
      expect(behind.map((job) => job.cancel())).toEqual(behind.map(() => true))
      sim.advance(1000)
      expect(sim.began).toHaveLength(1)
      expect(behind.map(({ state }) => state)).toEqual(behind.map(() => 'cancelled'))
    }
  })

  it('a job that was given its place but not taken yet is cancelled without running', () => {
    const sim = warmSim()
    const job = sim.scheduler.defer('short', 'never')
    // Dispatch happens in the same call's aftermath; the thread reads its messages later.
    sim.world.soon(() => job.cancel())
    sim.advance(100)
    expect(job.state).toBe('cancelled')
    expect(sim.payloads).not.toContain('never')
  })

  it('C11: 1,000 pauses and resumes lose and double nothing', () => {
    const sim = makeSim({ seed: 3, shuffle: true, scheduler: { threads: 2 } })
    const task = sim.task('short', ({ payload }: Run) => ({ takesMs: (payload as number) % 5 === 0 ? 1 : 0 }))
    const random = sim.world.random
    let pausedAt = Infinity
    let wasWrong = false
    for (let n = 0; n < 1000; n++) {
      sim.scheduler.defer(task, n)
      sim.advance(random() < 0.3 ? 1 : 0)
      if (random() < 0.5) sim.scheduler.pause()
      else sim.scheduler.resume()
      pausedAt = sim.began.length
      if (random() < 0.1) {
        sim.scheduler.pause()
        // What had been handed over may still begin; after that nothing does.
        sim.advance(2)
        pausedAt = sim.began.length
        sim.advance(50)
        wasWrong ||= sim.began.length !== pausedAt
      }
    }
    sim.scheduler.resume()
    sim.advance(10_000)
    expect(wasWrong).toBe(false)
    expect(sim.scheduler.stats()).toMatchObject({ completed: 1000, ready: 0, running: 0 })
    expect(new Set(sim.began.map(({ id }) => id)).size).toBe(1000)
    expect(sim.began).toHaveLength(1000)
  })
})

describe('a job that spins right after others of its batch', () => {
  it('is the one that times out: those before it are not charged', () => {
    const sim = makeSim()
    const task = sim.task(
      'regex',
      ({ payload }: Run) => (payload === 'evil' ? { takesMs: Infinity, spins: true } : {}),
      { attempts: 1, timeout: 100, killAfter: 50 },
    )
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(task, 'good')
      sim.advance(0)
    }
    const [good, evil, behind] = ['good', 'evil', 'good'].map((payload) => sim.scheduler.defer(task, payload))
    sim.advance(5000)
    expect(evil?.snapshot()).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    expect([good?.state, behind?.state]).toEqual(['completed', 'completed'])
    expect(sim.watch.names(good?.id)).not.toContain('retrying')
  })

  it('is judged by its own timeout, not by that of the job before it', () => {
    const sim = makeSim()
    const quick = sim.task('quick', {}, { timeout: 50 })
    const slow = sim.task(
      'slow',
      ({ payload }: Run) => (payload === 'long' ? { takesMs: 900, spins: true } : {}),
      { timeout: 1000 },
    )
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(quick)
      sim.scheduler.defer(slow)
      sim.advance(0)
    }
    const jobs = [sim.scheduler.defer(quick), sim.scheduler.defer(slow, 'long')]
    sim.advance(2000)
    expect(jobs.map(({ id }) => sim.watch.names(id))).toEqual(
      jobs.map(() => ['accepted', 'started', 'completed']),
    )
  })
})

it.each(['cpu', 'io'] as const)(
  'large payloads of lane %s go in several messages, of 1 MiB at most',
  (lane) => {
    const sim = warmSim({ maxPayloadBytes: 2 ** 20 })
    const task = sim.task('large', ({ payload }: Run) => ({ ends: String((payload as { n: number }).n) }), {
      lane,
    })
    for (let n = 0; n < 40; n++) {
      sim.scheduler.defer(task, { n: -1 })
      sim.advance(0)
    }
    const before = sim.threads.map(({ inbox }) => inbox.length)
    const text = 'x'.repeat(400_000)
    const jobs = [0, 1, 2, 3, 4].map((n) => sim.scheduler.defer(task, { n, text }))
    sim.advance(10)
    expect(jobs.map((job) => job.snapshot().result)).toEqual([0, 1, 2, 3, 4])
    const runs = sim.threads.flatMap(({ inbox }, index) => inbox.slice(before[index])).filter(({ kind }) => kind === 'run') as RunMessage[] // prettier-ignore
    expect(Math.max(...runs.map(({ payloads }) => payloads.length))).toBeLessThan(2 ** 20)
    expect(runs.length).toBeLessThan(5)
  },
)
