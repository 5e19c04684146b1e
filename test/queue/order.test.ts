import { describe, expect, it } from 'vitest'
import { neverEnds } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const slow = { timeout: false } as const

/** One busy thread, so that what is deferred meanwhile has to queue. */
function busySim(scheduler: object = {}): Sim {
  const sim = makeSim({ scheduler })
  sim.scheduler.defer(sim.task('blocker', { takesMs: 1_000_000 }, { timeout: false }), undefined, {
    id: 'blocker',
  })
  sim.advance(1)
  return sim
}

describe('the order in which jobs of a lane start', () => {
  it('is by priority, then by acceptance', () => {
    const sim = busySim()
    const task = sim.task('t', { takesMs: 1 })
    for (const [name, priority] of [['a', 5], ['low', 'low'], ['b', 5], ['high', 'high'], ['nine', 9]] as const)
      sim.scheduler.defer(task, name, { priority }) // prettier-ignore
    sim.scheduler.cancel('blocker')
    sim.advance(100)
    expect(sim.payloads.slice(1)).toEqual(['nine', 'high', 'a', 'b', 'low'])
  })

  it.each([
    [29_999, 'old low job', false],
    [30_000, 'old low job', true],
    [30_001, 'old low job', true],
  ])(
    'lets a job that waited %i ms longer pass one a level above it only when aging says so',
    (waited, _name, passes) => {
      const sim = busySim()
      const task = sim.task('t', { takesMs: 1 })
      sim.scheduler.defer(task, 'old', { priority: 4 })
      sim.advance(waited)
      sim.scheduler.defer(task, 'fresh', { priority: 5 })
      sim.scheduler.cancel('blocker')
      sim.advance(100)
      expect(sim.payloads.slice(1)).toEqual(passes ? ['old', 'fresh'] : ['fresh', 'old'])
    },
  )

  it('never lets waiting count with aging: false', () => {
    const sim = busySim({ aging: false })
    const task = sim.task('t', { takesMs: 1 })
    sim.scheduler.defer(task, 'old', { priority: 4 })
    sim.advance(900_000)
    sim.scheduler.defer(task, 'fresh', { priority: 5 })
    sim.scheduler.cancel('blocker')
    sim.advance(100)
    expect(sim.payloads.slice(1)).toEqual(['fresh', 'old'])
  })

  it('C7: bounds the wait behind an endless stream of high-priority jobs', () => {
    const sim = makeSim({ scheduler: { aging: 100 } })
    const task = sim.task('t', { takesMs: 10 })
    sim.scheduler.defer(task, 'first', { priority: 9 })
    sim.scheduler.defer(task, 'patient', { priority: 0 })
    for (let at = 0; at < 2000; at += 10) {
      sim.scheduler.defer(task, 'stream', { priority: 9 })
      sim.advance(10)
    }
    const began = sim.began.find(({ payload }) => payload === 'patient')
    // (9 − 0) × aging, and what was already before it in the queue.
    expect(began?.at).toBeLessThanOrEqual(900 + 20)
  })

  it('counts a retried job as ready from its due time, an interrupted one from where it was', () => {
    const sim = makeSim({ scheduler: { threads: { cpu: 1, io: 1, ioConcurrency: 2 } } })
    const io = sim.task('io', ({ attempt }) => (attempt === 1 ? { takesMs: 50 } : {}), { lane: 'io' })
    const other = sim.task('other', { takesMs: 1 }, { lane: 'io' })
    sim.scheduler.defer(io, 'a')
    sim.scheduler.defer(io, 'b')
    sim.advance(10)
    sim.scheduler.defer(other, 'later')
    sim.thread(1).crash()
    sim.advance(200)
    expect(sim.payloads).toEqual(['a', 'b', 'a', 'b', 'later'])
  })

  const hour = 3_600_000
  it.each([
    [
      'a follower',
      (sim: Sim) => {
        const task = sim.task('last', ({ payload }) => ({ takesMs: payload === 'late' ? 1 : hour }), slow)
        const dedupe = { key: 'k', mode: 'last' } as const
        sim.scheduler.defer(task, 'first', { dedupe })
        sim.advance(1)
        sim.scheduler.defer(task, 'late', { dedupe, delay: 1000 })
        return () => undefined
      },
    ],
    [
      'a held job',
      (sim: Sim) => {
        sim.scheduler.defer(sim.task('blocker', { takesMs: hour }, slow))
        const runAt = new Date(sim.world.clock.wall() + 1000)
        const { id } = sim.scheduler.hold(undefined, sim.task('held', { takesMs: 1 }), 'late', { runAt })
        return () => sim.scheduler.releaseHeld([id])
      },
    ],
    [
      'a step',
      (sim: Sim) => {
        const first = { task: sim.task('first', { takesMs: hour }, slow) }
        const options = { runAt: new Date(sim.world.clock.wall() + 1000) }
        sim.scheduler.chain([first, { task: sim.task('step', { takesMs: 1 }), payload: 'late', options }])
        return () => undefined
      },
    ],
    [
      'a retry whose old execution was still ending',
      (sim: Sim) => {
        const options = {
          timeout: 100,
          killAfter: hour - 100,
          backoff: { type: 'fixed', delay: 1000 },
        } as const
        sim.scheduler.defer(
          sim.task('slow', () => (sim.began.length < 1 ? neverEnds : {}), options),
          'late',
        )
        return () => undefined
      },
    ],
  ])('counts %s that was held up beyond its time as ready from when it could start', (_who, holdUp) => {
    const sim = makeSim()
    const letGo = holdUp(sim)
    sim.advance(hour - 200)
    sim.scheduler.defer(sim.task('urgent', { takesMs: 10 }), 'urgent', { priority: 9 })
    sim.advance(100)
    letGo()
    sim.advance(105)
    expect(sim.scheduler.stats()).toMatchObject({ ready: 1, running: 1 })
    expect(sim.scheduler.stats().oldestWaitMs).toBeLessThan(300)
    sim.advance(100)
    expect(sim.payloads.slice(-2)).toEqual(['urgent', 'late'])
  })
})

describe('delays', () => {
  it.each([
    ['1 ms', 1],
    ['2^31 − 1 ms', 2 ** 31 - 1],
    ['2^31 ms', 2 ** 31],
    ['25 days', 25 * 86_400_000],
    ['10 years', 3652.5 * 86_400_000],
  ])('A13: of %s end exactly then, never early', (_name, delay) => {
    const sim = makeSim()
    const job = sim.scheduler.defer(sim.task('t'), undefined, { delay })
    sim.advance(delay - 1)
    expect(job.state).toBe('scheduled')
    expect(sim.began).toEqual([])
    sim.advance(1)
    expect(job.state).toBe('completed')
    expect(sim.began[0]?.at).toBe(delay)
  })

  it('are kept to by the monotonic clock when the wall clock jumps (D1)', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'), undefined, { delay: 1000 })
    sim.world.jumpWall(-3_600_000)
    sim.advance(999)
    sim.world.jumpWall(7_200_000)
    expect(sim.began).toEqual([])
    sim.advance(1)
    expect(sim.began).toHaveLength(1)
  })

  it('C15: of many jobs share one timer, and fall due by time, then acceptance', () => {
    const sim = makeSim()
    const task = sim.task('t')
    const delays = Array.from({ length: 500 }, (_, index) => ((index * 7919) % 50) + 1)
    delays.forEach((delay, index) => sim.scheduler.defer(task, [delay, index], { delay }))
    expect(sim.world.timerAt).toBe(1)
    sim.advance(100)
    const began = sim.payloads as [number, number][]
    expect(began).toEqual([...began].sort((a, b) => a[0] - b[0] || a[1] - b[1]))
    expect(began).toHaveLength(500)
  })

  it('given as a Date in the past start at once', () => {
    const sim = makeSim()
    sim.scheduler.defer(sim.task('t'), undefined, { runAt: new Date(sim.world.clock.wall() - 5000) })
    sim.advance(0)
    expect(sim.began).toHaveLength(1)
  })
})
