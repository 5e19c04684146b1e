import { describe, expect, it } from 'vitest'
import { makeCron, timeOf, type CronSim } from './make-cron.js'
import { createCron, type Cron, type EveryOptions, type LeaderHook } from '../../src/cron/index.js'
import { FormerSchedules } from '../../src/cron/former-schedules.js'
import type { Schedule } from '../../src/cron/schedule.js'

/** Every second a job of 2.5 s, for six seconds, on three threads. */
function busy(options: EveryOptions): CronSim {
  const made = makeCron({ scheduler: { threads: 3 } })
  made.cron.every('e', 1_000, made.sim.task('t', { takesMs: 2_500 }), undefined, options)
  made.sim.advance(6_000)
  return made
}
const seconds = (events: readonly { firedFor: number }[]): number[] =>
  events.map(({ firedFor }) => Number(timeOf(firedFor).slice(-2)))
const starts = ({ sim }: CronSim): number[] => sim.began.map(({ at }) => at)

describe('D10: a job longer than its period', () => {
  it('skips the runs that come meanwhile, and says so', () => {
    const made = busy({})
    expect(starts(made)).toEqual([1_000, 4_000])
    expect(seconds(made.skipped)).toEqual([2, 3, 5, 6])
    expect(made.skipped[0]).toMatchObject({ name: 'e', reason: 'overlap' })
  })

  it('lets one run wait with queue', () => {
    const made = busy({ overlap: 'queue' })
    expect(starts(made)).toEqual([1_000, 3_500, 6_000])
    expect(seconds(made.fired)).toEqual([1, 2, 4])
    expect(seconds(made.skipped)).toEqual([3, 5])
    expect(made.fired[1]?.lateBy).toBe(1_500)
  })

  it('ends a schedule with its last run, also when that had to wait with queue', () => {
    const made = makeCron({ scheduler: { threads: 3 } })
    made.cron.every('e', 1_000, made.sim.task('t', { takesMs: 1_500 }), undefined, {
      overlap: 'queue',
      maxRuns: 2,
    })
    made.sim.advance(2_400)
    expect(made.cron.get('e')).toMatchObject({ runs: 1, unsettled: 1 })
    made.sim.advance(200)
    expect(made.fired).toHaveLength(2)
    expect(made.cron.get('e')).toBeUndefined()
    made.sim.advance(5_000)
    expect(made.fired).toHaveLength(2)
    expect(made.sim.world.isKeptAlive).toBe(false)
  })

  it('runs them side by side with allow', () => {
    const made = busy({ overlap: 'allow' })
    expect(starts(made)).toEqual([1_000, 2_000, 3_000, 4_000, 5_000, 6_000])
    expect(made.cron.get('e')).toMatchObject({ runs: 6, unsettled: 3 })
    expect(made.skipped).toEqual([])
  })

  it('cancels the one before with replace', () => {
    const made = busy({ overlap: 'replace' })
    expect(made.fired).toHaveLength(6)
    expect(made.sim.scheduler.stats()).toMatchObject({ cancelled: 5, running: 1 })
  })

  it('counts a job that is being retried as unsettled', () => {
    const made = makeCron()
    const task = made.sim.task('t', { ends: { kind: 'threw', error: { name: 'Error', message: 'no' }, permanent: false } }, { backoff: { type: 'fixed', delay: 2_200 }, attempts: 2 })
    made.cron.every('e', 1_000, task)
    made.sim.advance(5_000)
    expect(seconds(made.fired)).toEqual([1, 4])
    expect(seconds(made.skipped)).toEqual([2, 3, 5])
  }) // prettier-ignore

  it('is still known to a schedule that replaces its own', () => {
    const made = busy({})
    made.cron.every('e', 400, made.sim.task('t'))
    made.sim.advance(400)
    expect(made.fired).toHaveLength(2)
    expect(made.skipped.at(-1)).toMatchObject({ reason: 'overlap' })
  })
})

it('jobs that make the next schedule of their name do not run side by side', () => {
  const made = makeCron({ scheduler: { threads: 4 } })
  const again = (): void => made.cron.every('e', 1_000, made.sim.task('t'), undefined, { maxRuns: 1 })
  made.sim.task('t', () => {
    again()
    return { takesMs: 2_500 }
  })
  again()
  made.sim.advance(8_000)
  expect(starts(made)).toEqual([1_000, 4_000, 7_000])
  expect(seconds(made.skipped)).toEqual([2, 3, 5, 6, 8])
})

describe.each([
  ['has ended', () => undefined],
  ['was removed', ({ cron }: CronSim) => expect(cron.remove('e')).toBe(true)],
  ['is of another createCron', () => undefined],
] as const)('a schedule of the same name, when the one before %s', (name, goes) => {
  /** A job of 2.5 s from the first second on; then its schedule goes, and one that runs others takes the name. */
  function replaced(options: EveryOptions): CronSim & { readonly after: Cron } {
    const made = makeCron({ scheduler: { threads: 3 } })
    const long = made.sim.task('long', { takesMs: 2_500 })
    made.cron.every('e', 1_000, long, undefined, name === 'has ended' ? { maxRuns: 1 } : {})
    made.sim.advance(1_000)
    goes(made)
    const after = name === 'is of another createCron' ? createCron(made.sim.scheduler) : made.cron
    after.every('e', 1_000, made.sim.task('next'), undefined, options)
    return { ...made, after }
  }

  it('knows its unsettled job, and skips until that has settled', () => {
    const made = replaced({})
    expect(made.after.get('e')).toMatchObject({ runs: 0, unsettled: 1 })
    made.sim.advance(3_000)
    expect(seconds(made.skipped)).toEqual([2, 3])
    expect(made.sim.order).toEqual(['long', 'next'])
    expect(starts(made)).toEqual([1_000, 4_000])
    expect(made.after.get('e')).toMatchObject({ runs: 1, unsettled: 0 })
  })

  it('waits for it with queue, and ends with its last run', () => {
    const made = replaced({ overlap: 'queue', maxRuns: 1 })
    made.sim.advance(3_000)
    expect(starts(made)).toEqual([1_000, 3_500])
    expect(made.after.list()).toEqual([])
    expect(made.sim.world.isKeptAlive).toBe(false)
  })

  it('takes its place with replace', () => {
    const made = replaced({ overlap: 'replace' })
    made.sim.advance(1_000)
    expect(made.sim.scheduler.stats()).toMatchObject({ cancelled: 1 })
  })

  it('runs beside it with allow', () => {
    const made = replaced({ overlap: 'allow' })
    made.sim.advance(1_000)
    expect(starts(made)).toEqual([1_000, 2_000])
  })
})

it.each(['while the job before it runs', 'as the job before it completes'])(
  'a run that waited when its schedule ended does not run once another schedule has the name: taken %s',
  (when) => {
    const made = makeCron({ scheduler: { threads: 3 } })
    const endAt = Date.UTC(2026, 0, 1, 0, 0, 2)
    made.cron.every('e', 1_000, made.sim.task('t', { takesMs: 2_500 }), undefined, {
      overlap: 'queue',
      endAt,
    })
    made.sim.advance(3_000)
    expect(made.cron.list()).toEqual([])
    const take = (): void =>
      made.cron.every('e', 1_000, made.sim.task('next'), undefined, { startAt: endAt + 4_000 })
    if (when.startsWith('while')) take()
    else made.sim.scheduler.once('completed', take)
    made.sim.advance(3_000)
    expect(made.sim.order).toEqual(['t', 'next'])
  },
)

it('a schedule that ended while a run of it waited still has that run, and is forgotten after it', () => {
  const made = makeCron({ scheduler: { threads: 3 } })
  const endAt = Date.UTC(2026, 0, 1, 0, 0, 2)
  const task = made.sim.task('t', { takesMs: 2_500 })
  made.cron.every('e', 1_000, task, undefined, { overlap: 'queue', endAt })
  made.sim.advance(3_600)
  expect(starts(made)).toEqual([1_000, 3_500])
  made.cron.every('e', 1_000, made.sim.task('next'), undefined, { startAt: endAt + 3_000 })
  expect(made.cron.get('e')?.unsettled).toBe(1)
  made.sim.advance(4_000)
  expect(seconds(made.skipped)).toEqual([5])
  expect(starts(made)).toEqual([1_000, 3_500, 6_000, 7_000])
})

describe('schedules that are gone', () => {
  const schedule = (name: string, unsettled: number): Schedule => {
    const one = { name, state: 'removed', isBusy: unsettled > 0 }
    return one as Schedule // all that is looked at
  }

  it('are kept while jobs of theirs are unsettled, and no longer', () => {
    const former = new FormerSchedules()
    former.keep(schedule('idle', 0))
    const busy = schedule('busy', 1)
    former.keep(busy)
    expect(former.size).toBe(1)
    former.over(schedule('busy', 0)) // another of its name
    former.over(busy)
    expect(former.size).toBe(1)
    former.over(Object.assign(busy, { isBusy: false }))
    expect(former.size).toBe(0)
  })
})

it('a run that waits in the queue goes when the job has settled that a schedule of its name deferred before', () => {
  const made = makeCron({ scheduler: { threads: 3 } })
  const long = made.sim.task('long', { takesMs: 2_500 })
  made.cron.every('e', 1_000, long)
  made.sim.advance(1_000)
  made.cron.every('e', 1_000, made.sim.task('t'), undefined, { overlap: 'queue' })
  made.sim.advance(3_000)
  expect(made.sim.order).toEqual(['long', 't', 't'])
  expect(starts(made)).toEqual([1_000, 3_500, 4_000])
  expect(made.cron.get('e')).toMatchObject({ runs: 2, unsettled: 0 })
})

it('jobs of one schedule that settle in any order leave none behind', () => {
  const made = makeCron({ scheduler: { threads: 8 } })
  const ends = [900, 100, 700, 300, 500, 200]
  let begun = 0
  const task = made.sim.task('t', () => ({ takesMs: ends[begun++] ?? 0 }))
  made.cron.every('e', 10, task, undefined, { overlap: 'allow' })
  made.sim.advance(60)
  made.cron.pause('e')
  const unsettled = [0, 90, 120, 80, 210, 180, 180].map((ms) => {
    made.sim.advance(ms)
    return made.cron.get('e')?.unsettled
  })
  expect(unsettled).toEqual([6, 5, 4, 3, 2, 1, 0])
})

describe('D14: a scheduled job that', () => {
  it.each([
    ['throws', { ends: { kind: 'threw', error: { name: 'Error', message: 'no' }, permanent: true } }],
    ['crashes its thread', { crashes: { exitCode: 1 } }],
    ['never returns', { takesMs: Infinity, ignoresAbort: true }],
  ] as const)('%s does not touch the next ones', (_name, behaviour) => {
    const made = makeCron()
    const task = made.sim.task('t', (run) => (run.payload === null && made.sim.began.length === 1 ? behaviour : {}), { attempts: 1, timeout: 500, killAfter: 100 })
    made.cron.every('e', 1_000, task)
    made.cron.every('other', 1_000, made.sim.task('o'))
    made.sim.advance(5_000)
    expect(made.fired.filter(({ name }) => name === 'e')).toHaveLength(5)
    expect(made.fired.filter(({ name }) => name === 'other')).toHaveLength(5)
  }) // prettier-ignore
})

describe('a run that is refused', () => {
  it('because the queue is full is skipped with the reason, and the next is tried', () => {
    const made = makeCron({ scheduler: { maxQueued: 1 } })
    made.sim.task('t', { takesMs: 100 })
    made.sim.scheduler.defer(made.sim.task('t'), undefined, { delay: 1_500 })
    made.cron.every('e', 1_000, made.sim.task('t'), undefined, { overlap: 'allow' })
    made.sim.advance(2_000)
    expect(made.skipped).toEqual([{ name: 'e', firedFor: Date.UTC(2026, 0, 1, 0, 0, 1), reason: 'queue-full', at: Date.UTC(2026, 0, 1, 0, 0, 1) }])
    expect(seconds(made.fired)).toEqual([2])
  }) // prettier-ignore

  it.each([
    [false, 'no line for 4111'],
    [true, '(withheld: the task is sensitive)'],
  ])(
    'is told in the log with what was thrown, of a sensitive task (%s) without its text',
    (sensitive, text) => {
      const made = makeCron()
      let isAway = false
      const orderingKey = (card: string): string => {
        if (isAway) throw Object.assign(new TypeError(`no line for ${card}`), { code: 'E_LINE' })
        return 'k'
      }
      made.cron.every('e', 1_000, made.sim.task('pay', {}, { sensitive, orderingKey }), '4111')
      isAway = true
      made.sim.advance(1_000)
      expect(made.skipped.map(({ reason }) => reason)).toEqual(['refused'])
      const line = made.sim.logged.find(({ level }) => level === 'error')
      const err = line?.fields['err'] as Error
      expect(err).toMatchObject({ name: 'TypeError', code: 'E_LINE', message: text })
      expect(`${err.stack}`.includes('4111')).toBe(!sensitive)
    },
  )

  it('does not hold up a series that is made up for', () => {
    const made = makeCron({ scheduler: { maxQueued: 1 } })
    const blocker = made.sim.scheduler.defer(made.sim.task('t'), undefined, { delay: '1h' })
    made.cron.every('e', 1_000, made.sim.task('t'), undefined, { catchUp: 'all' })
    made.sim.world.block(3_000)
    made.sim.advance(0)
    expect(made.skipped.map(({ reason }) => reason)).toEqual(['queue-full', 'queue-full', 'queue-full'])
    blocker.cancel()
    made.sim.advance(1_000)
    expect(seconds(made.fired)).toEqual([4])
  })
})

describe('when more runs are due at once than maxRuns leaves', () => {
  /** Every second a run, five of which are due at once. */
  function fiveDue(options: EveryOptions, leader?: LeaderHook): CronSim {
    const made = makeCron({ cron: { leader } })
    const task = made.sim.task('t', { takesMs: 100 })
    made.cron.every('e', 1_000, task, undefined, { catchUp: 'all', ...options })
    made.sim.world.block(5_000)
    made.sim.advance(0)
    return made
  }

  it('with replace the last of them runs, and the others are told as skipped', () => {
    const made = fiveDue({ overlap: 'replace', maxRuns: 1 })
    expect(seconds(made.fired)).toEqual([5])
    expect(seconds(made.skipped)).toEqual([1, 2, 3, 4])
    expect(made.cron.list()).toEqual([])
  })

  it.each(['skip', 'queue', 'allow'] as const)(
    'with %s the first of them run, and the schedule ends',
    (overlap) => {
      const made = fiveDue({ overlap, maxRuns: 2 })
      made.sim.advance(10_000)
      expect(seconds(made.fired)).toEqual([1, 2])
      expect(made.skipped).toEqual([])
      expect(made.cron.list()).toEqual([])
      expect(made.sim.world.isKeptAlive).toBe(false)
    },
  )

  it('all are told as skipped where another process is the leader, and the schedule goes on', () => {
    const made = fiveDue({ maxRuns: 1 }, () => false)
    expect(seconds(made.skipped)).toEqual([1, 2, 3, 4, 5])
    expect(made.cron.get('e')).toMatchObject({ runs: 0 })
  })

  it.each(['skip', 'allow'] as const)(
    'each that is refused leaves its place to the next, with %s',
    (overlap) => {
      const made = makeCron({ scheduler: { maxQueued: 1 } })
      made.sim.scheduler.defer(made.sim.task('t'), undefined, { delay: 5_500 })
      made.cron.every('e', 1_000, made.sim.task('t'), undefined, { overlap, catchUp: 'all', maxRuns: 1 })
      made.sim.world.block(5_000)
      made.sim.advance(2_000)
      expect(made.skipped.map(({ reason }) => reason)).toEqual(Array(5).fill('queue-full'))
      expect(seconds(made.fired)).toEqual([6])
    },
  )

  it('all are told as skipped while the one before them runs', () => {
    const made = makeCron()
    const options = { catchUp: 'all', maxRuns: 2 } as const
    made.cron.every('e', 1_000, made.sim.task('t', { takesMs: 60_000 }), undefined, options)
    made.sim.advance(1_000)
    made.sim.world.block(5_000)
    made.sim.advance(0)
    expect(seconds(made.skipped)).toEqual([2, 3, 4, 5, 6])
  })
})

it('a run that comes while the last one waits in the queue is told as skipped', () => {
  const made = makeCron()
  made.cron.every('e', 1_000, made.sim.task('t', { takesMs: 2_500 }), undefined, {
    overlap: 'queue',
    maxRuns: 2,
  })
  made.sim.advance(6_000)
  expect(seconds(made.fired)).toEqual([1, 2])
  expect(seconds(made.skipped)).toEqual([3])
})

describe('a run that hears, as it is replaced, that it is cancelled', () => {
  /** Schedule 'a', whose run does `heard` when it is replaced after two seconds; 'b' is due at the same instants. */
  async function replaced(
    heard: (made: CronSim) => void,
  ): Promise<CronSim & { again(ms: number): Promise<void> }> {
    const made = makeCron({ main: 'real' })
    const { sim, cron } = made
    let hasHeard = false
    const waits = ({ signal }: { signal: AbortSignal }): Promise<void> =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          if (!hasHeard) heard(made)
          hasHeard = true
          resolve()
        }),
      )
    cron.every('a', 1_000, waits, { overlap: 'replace' })
    cron.every('b', 1_000, () => undefined)
    cron.every('c', 1_500, () => undefined)
    const again = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 100) await sim.flow(100)
    }
    await again(2_000)
    return { ...made, again }
  }
  const names = ({ fired }: CronSim): string[] => fired.map(({ name }) => name)

  it('may remove its schedule, and no other', async () => {
    const made = await replaced(({ cron }) => expect(cron.remove('a')).toBe(true))
    expect(names(made).sort()).toEqual(['a', 'b', 'b', 'c'])
    expect(made.cron.list().map(({ name }) => name)).toEqual(['b', 'c'])
    await made.again(1_000)
    expect(names(made).sort()).toEqual(['a', 'b', 'b', 'b', 'c', 'c'])
  })

  it('may pause its schedule', async () => {
    const made = await replaced(({ cron }) => expect(cron.pause('a')).toBe(true))
    expect(names(made).filter((name) => name === 'a')).toHaveLength(1)
    expect(made.cron.list()).toMatchObject([{ name: 'a', state: 'paused' }, { name: 'b' }, { name: 'c' }])
    expect(made.cron.resume('a')).toBe(true)
    await made.again(1_000)
    expect(names(made).filter((name) => name === 'a')).toHaveLength(2)
  })

  it('may pause it and let it go on, and each instant is fired once', async () => {
    const made = await replaced(({ cron }) =>
      expect([cron.pause('a'), cron.resume('a')]).toEqual([true, true]),
    )
    await made.again(900)
    const instants = made.fired.filter(({ name }) => name === 'a').map(({ firedFor }) => firedFor)
    expect(new Set(instants).size).toBe(instants.length)
    expect(made.cron.get('a')).toMatchObject({ state: 'active', runs: 2 })
  })

  it('may put another schedule in its place', async () => {
    const made = await replaced(({ cron }) => cron.every('a', 1_000, () => undefined))
    expect(names(made).filter((name) => name === 'a')).toHaveLength(1)
    await made.again(1_000)
    expect(names(made).filter((name) => name === 'a')).toHaveLength(2)
    expect(made.cron.list()).toHaveLength(3)
  })

  it('may close the scheduler: nothing runs any more, and nothing keeps the process', async () => {
    let closed: Promise<unknown> | undefined
    const made = await replaced(({ sim }) => (closed ??= sim.scheduler.close({ timeout: 0 })))
    await made.again(2_000)
    await closed
    expect(made.cron.list()).toEqual([])
    expect(made.skipped).toEqual([])
    expect(made.sim.world.isKeptAlive).toBe(false)
  })
})

it('H3: a schedule whose runs are skipped all the time does not flood the log, and what was left out is counted', () => {
  const { sim, cron, skipped } = makeCron()
  cron.every('e', 100, sim.task('t', { takesMs: Infinity }, { timeout: false }))
  sim.advance(30_000)
  const lines = sim.logged.filter(({ message }) => message === 'a run of a schedule was skipped')
  expect(skipped).toHaveLength(299)
  expect(lines.length).toBeGreaterThanOrEqual(40)
  expect(lines.length).toBeLessThanOrEqual(60)
  expect(
    sim.logged.filter(({ message }) => message === 'lines like this were left out').length,
  ).toBeGreaterThan(1)
})
