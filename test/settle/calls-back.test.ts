/** A backoff function runs on the main thread while its attempt is being ended, and may call the scheduler. */
import { describe, expect, it } from 'vitest'
import type { Lane } from '../../src/job/snapshot.js'
import { failsWith, neverEnds, snoozes, type Behaviour, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const states = (jobs: { state: string }[]): string[] => jobs.map(({ state }) => state)

const ends: readonly (readonly [string, Lane, Behaviour])[] = [
  ['fails', 'cpu', failsWith('revoked')],
  ['fails beside others', 'io', failsWith('revoked')],
  ['fails on the main lane', 'main', failsWith('revoked')],
  ['times out', 'cpu', neverEnds],
  ['times out beside others', 'io', { ...neverEnds, ignoresAbort: false }],
  ['crashes its thread', 'cpu', { takesMs: 5, crashes: {} }],
  ['crashes the thread of others', 'io', { takesMs: 5, crashes: {}, isBlamed: true }],
]

/** Three jobs of which the first ends badly; `call` is what the backoff function does then. */
function calling(sim: Sim, lane: Lane, behaves: Behaviour, call: () => void) {
  const asked: number[] = []
  const backoff = (attempt: number): number => {
    asked.push(attempt)
    call()
    return 10
  }
  const task = sim.task('t', ({ payload }) => (payload === 0 ? behaves : { takesMs: 500 }), {
    lane,
    timeout: '1s',
    killAfter: 50,
    backoff,
  })
  return { jobs: [0, 1, 2].map((n) => sim.scheduler.defer(task, n, { id: `job-${n}` })), asked }
}

describe.each(ends)('a backoff function of an attempt that %s', (_end, lane, behaves) => {
  it('may cancel every job of its task, its own too', async () => {
    const sim = makeSim()
    let cancelled: number | undefined
    const { jobs, asked } = calling(sim, lane, behaves, () => {
      cancelled ??= sim.scheduler.cancelAll({ task: 't' })
    })
    const results = jobs.map((job) => job.result().catch((error: { code: string }) => error.code))
    sim.advance(20_000)
    expect(asked).toEqual([1])
    const left = jobs.filter(({ state }) => state !== 'completed')
    expect(states(left)).toEqual(left.map(() => 'cancelled'))
    expect(left.map(({ id }) => id)).toContain('job-0')
    expect(cancelled).toBe(left.length)
    expect(await results[0]).toBe('ERR_SIDEWORK_CANCELLED')
    expect(sim.scheduler.inspect()).toMatchObject({ jobs: 0, lines: 0, queuedBytes: 0 })
  })

  it('may cancel its job and retry it', () => {
    const sim = makeSim()
    const { jobs, asked } = calling(sim, lane, behaves, () => {
      if (asked.length > 1) return
      expect([sim.scheduler.cancel('job-0'), sim.scheduler.retry('job-0')]).toEqual([true, true])
    })
    sim.advance(100_000)
    expect(jobs[0]?.snapshot()).toMatchObject({ state: 'failed', generation: 2, attempt: 5 })
    expect(asked).toEqual([1, 1, 2, 3, 4])
  })

  it('may pause the scheduler and let it go on', () => {
    const sim = makeSim()
    const { jobs } = calling(sim, lane, behaves, () => {
      sim.scheduler.pause()
      sim.scheduler.resume()
    })
    sim.advance(100_000)
    expect(states(jobs)).toEqual(['failed', 'completed', 'completed'])
  })

  it('may close the scheduler', async () => {
    const sim = makeSim()
    let closed: Promise<unknown> | undefined
    const { jobs } = calling(sim, lane, behaves, () => (closed = sim.scheduler.close({ timeout: 0 })))
    sim.advance(20_000)
    expect(states(jobs).filter((state) => state !== 'completed')).not.toEqual([])
    expect(states(jobs).every((state) => state === 'cancelled' || state === 'completed')).toBe(true)
    await expect(closed).resolves.toMatchObject({ settled: {} })
  })
})

it('what its thread has said meanwhile is read after the report that a backoff function interrupts', () => {
  const sim = makeSim()
  const backoff = (): number => {
    sim.scheduler.pause() // reads what waits, before it calls back what was sent ahead
    sim.scheduler.resume()
    return 1000
  }
  const behaves = ({ payload }: Run): Behaviour => {
    const { fails = false, ...rest } = (payload ?? {}) as Behaviour & { fails?: boolean }
    return { ...rest, ...(fails ? failsWith('no') : {}) }
  }
  const task = sim.task('short', behaves, { backoff })
  for (let n = 0; n < 40; n++) {
    sim.scheduler.defer(task)
    sim.advance(0)
  }
  // When the second ends, the thread reports two, and at the end of the batch the others: two messages at one instant.
  const payloads = [{ fails: true }, { fails: true, takesMs: 2, spins: true }, {}, {}]
  const jobs = payloads.map((payload) => sim.scheduler.defer(task, payload))
  sim.advance(10)
  expect(states(jobs)).toEqual(['retrying', 'retrying', 'completed', 'completed'])
})

it.each([
  ['is to be retried', failsWith('no'), 'job failed an attempt; it will be retried'],
  ['has a backoff that fails', failsWith('no'), "the task's backoff function failed; the default was used"],
  ['has snoozed', snoozes(50), 'job snoozed'],
  [
    'was interrupted',
    { ends: { kind: 'interrupted' } },
    'job interrupted: its thread was lost; it is ready again',
  ],
] satisfies [string, Behaviour, string][])(
  'a logger may cancel the job of which it hears that it %s',
  (_what, behaves, message) => {
    const sim = makeSim()
    const { push } = sim.logged
    sim.logged.push = (line) => {
      if (line.message === message) expect(sim.scheduler.cancel('job')).toBe(true)
      return push.call(sim.logged, line)
    }
    const others = [1, 2, 3].map((n) => sim.scheduler.defer(sim.task('other'), n, { delay: 100 * n }))
    const backoff = (): number => {
      if (message.includes('backoff')) throw new Error('no backoff')
      return 10
    }
    const job = sim.scheduler.defer(sim.task('t', behaves, { backoff }), 1, { id: 'job' })
    sim.advance(1000)
    expect(sim.logged.map((line) => line.message)).toContain(message)
    expect([job.state, ...states(others)]).toEqual(['cancelled', 'completed', 'completed', 'completed'])
    expect(sim.began.filter(({ task }) => task === 't')).toHaveLength(1)
  },
)
