import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import { createScheduler } from '../../src/index.js'
import { failsWith } from '../simulation/script.js'
import { contextOf, makeCron, timeOf, type CronSim } from './make-cron.js'

const utc = { timezone: 'UTC' }
const minute = 60_000
const everySecond = ({ sim, cron }: CronSim): void =>
  cron.schedule('s', '* * * * * *', sim.task('t'), undefined, { ...utc, endAt: Date.UTC(2027, 0) })

describe('a schedule', () => {
  it('defers its task with its payload whenever the expression says, and tells the handler for which instant', async () => {
    const seen: unknown[] = []
    const { sim, cron } = makeCron({ main: 'real' })
    const report = sim.mainTask(
      'report',
      (payload: { format: string }, { schedule }: { schedule: unknown }) => {
        seen.push([payload.format, schedule])
      },
    )
    cron.schedule('nightly', '*/20 * * * *', report, { format: 'pdf' }, utc)
    for (let turn = 0; turn < 3; turn++) await sim.flow(20 * minute)
    const at = (text: string): number => Date.parse(`2026-01-01T${text}Z`)
    expect(seen).toEqual([
      ['pdf', { name: 'nightly', firedFor: at('00:20:00'), lateBy: 0 }],
      ['pdf', { name: 'nightly', firedFor: at('00:40:00'), lateBy: 0 }],
      ['pdf', { name: 'nightly', firedFor: at('01:00:00'), lateBy: 0 }],
    ])
  })

  it('says in an event what it deferred, and the job carries it in its snapshot and into its thread', () => {
    const made = makeCron()
    const { sim, cron, fired } = made
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, utc)
    sim.advance(60 * minute)
    expect(fired).toEqual([
      { name: 's', id: sim.began[0]?.id, task: 't', firedFor: Date.UTC(2026, 0, 1, 1), lateBy: 0, reason: 'due', at: Date.UTC(2026, 0, 1, 1) },
    ])
    expect(contextOf(made, fired[0]?.id ?? '')).toEqual({ name: 's', firedFor: Date.UTC(2026, 0, 1, 1), lateBy: 0 })
  }) // prettier-ignore

  it('of a closure runs on the main lane', async () => {
    const { sim, cron } = makeCron({ main: 'real' })
    let runs = 0
    cron.every('tidy', '15m', () => void runs++)
    for (let turn = 0; turn < 3; turn++) await sim.flow(15 * minute)
    expect(runs).toBe(3)
    expect(cron.get('tidy')).toMatchObject({ task: '(inline)', intervalMs: 15 * minute, runs: 3 })
  })

  it('of a closure runs in no context of a request that happened to set the timer', async () => {
    const scheduler = createScheduler({ logger: false })
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const requests = new AsyncLocalStorage<string>()
    const cron = createCron(scheduler)
    const store = new Promise((resolve) => {
      cron.every('tidy', 100, () => resolve(requests.getStore()))
      requests.run('a request', () => scheduler.defer(() => undefined, { delay: 1 }))
    })
    expect(await store).toBeUndefined()
  })

  it('keeps the payload as it was when it was scheduled', () => {
    const { sim, cron } = makeCron()
    const payload = { n: 1 }
    cron.every('e', 1_000, sim.task('t'), payload)
    payload.n = 2
    sim.advance(2_000)
    expect(sim.payloads).toEqual([{ n: 1 }, { n: 1 }])
  })

  it('that is made again under its name replaces the one before', () => {
    const { sim, cron } = makeCron()
    cron.every('e', 1_000, sim.task('old'))
    sim.advance(1_500)
    cron.every('e', 1_000, sim.task('new'))
    sim.advance(3_000)
    expect(sim.order).toEqual(['old', 'new', 'new', 'new'])
    expect(cron.list()).toHaveLength(1)
  })

  it('that is made again by another createCron of the scheduler replaces the one before', () => {
    const { sim, cron } = makeCron()
    const other = createCron(sim.scheduler)
    cron.every('e', 1_000, sim.task('old'))
    expect(() => other.runNow('e')).toThrow(/was made by another createCron\(\) of this scheduler/)
    other.every('e', 1_000, sim.task('new'))
    sim.advance(2_000)
    expect(sim.order).toEqual(['new', 'new'])
    expect([cron.list(), other.list()]).toMatchObject([[], [{ name: 'e' }]])
  })

  it('that is made again as it was, on a reload, keeps its next instant', () => {
    const { sim, cron, times } = makeCron()
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, utc)
    sim.world.block(60 * minute)
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, utc)
    sim.advance(0)
    expect(times()).toEqual(['01:00:00'])
  })

  it('passes options of defer on', () => {
    const { sim, cron, fired } = makeCron()
    cron.every('e', 1_000, sim.task('t', { takesMs: 10 }), undefined, {
      defer: { priority: 'high', attempts: 2 },
    })
    sim.advance(1_000)
    expect(sim.scheduler.job(fired[0]?.id ?? '')).toMatchObject({ priority: 8, maxAttempts: 2 })
  })

  it('with a schema checks the payload once, at the call', () => {
    const { sim, cron } = makeCron()
    let checks = 0
    const validate = (value: unknown): object => {
      checks++
      return value === 'bad' ? { issues: [{ message: 'no' }] } : { value: { wrapped: value } }
    }
    const input = { '~standard': { version: 1, vendor: 'test', validate } }
    const task = sim.task('t', {}, { input } as object)
    expect(() => cron.every('e', 1_000, task, 'bad')).toThrow(/no/)
    cron.every('e', 1_000, task, 'good')
    sim.advance(3_000)
    expect([checks, sim.payloads]).toEqual([
      2,
      [{ wrapped: 'good' }, { wrapped: 'good' }, { wrapped: 'good' }],
    ])
  })

  it('ends after maxRuns runs, and is gone', () => {
    const { sim, cron, times } = makeCron()
    cron.every('e', 1_000, sim.task('t'), undefined, { maxRuns: 2 })
    sim.advance(10_000)
    expect(times()).toEqual(['00:00:01', '00:00:02'])
    expect(cron.get('e')).toBeUndefined()
    expect(sim.world.isKeptAlive).toBe(false)
  })

  it('runs from startAt to endAt, both included', () => {
    const { sim, cron, times } = makeCron()
    const bounds = { startAt: new Date('2026-01-01T02:00Z'), endAt: Date.parse('2026-01-01T04:00Z') }
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, { ...utc, ...bounds })
    cron.every('e', '45m', sim.task('t'), undefined, { ...bounds, overlap: 'allow' })
    expect(cron.nextRuns('s', 10).map(timeOf)).toEqual(['02:00:00', '03:00:00', '04:00:00'])
    sim.advance(10 * 60 * minute)
    expect(times()).toEqual(['02:00:00', '02:00:00', '02:45:00', '03:00:00', '03:30:00', '04:00:00'])
    expect(cron.list()).toEqual([])
  })

  it('with jitter runs no later than endAt', () => {
    const endAt = Date.parse('2026-01-01T02:10Z')
    for (let seed = 1; seed <= 20; seed++) {
      const { sim, cron, fired } = makeCron({ seed })
      const options = { jitter: '50m', endAt, overlap: 'allow' } as const
      cron.schedule('s', '0 * * * *', sim.task('t'), undefined, { ...utc, ...options })
      cron.every('e', '1h', sim.task('t'), undefined, options)
      sim.advance(4 * 60 * minute)
      expect(fired).toHaveLength(4)
      expect(Math.max(...fired.map(({ at }) => at))).toBeLessThanOrEqual(endAt)
    }
  })

  it.each(['latest', 'all'] as const)('makes up for nothing after endAt, with catchUp %s', (catchUp) => {
    const { sim, cron, fired, missed } = makeCron()
    const endAt = Date.parse('2026-01-01T02:30Z')
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, { ...utc, endAt, catchUp })
    cron.every('e', '1h', sim.task('t'), undefined, { endAt, catchUp })
    sim.world.block(3 * 60 * minute)
    sim.advance(60 * minute)
    expect(fired).toEqual([])
    expect(missed.map(({ name, count }) => [name, count])).toEqual([['s', 2], ['e', 2]]) // prettier-ignore
    expect(cron.list()).toEqual([])
  })

  it('is on time at endAt, though the timer comes a little later', () => {
    const { sim, cron, times } = makeCron()
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, {
      ...utc,
      endAt: Date.parse('2026-01-01T01:00Z'),
    })
    sim.advance(60 * minute - 1)
    sim.world.block(300)
    sim.advance(minute)
    expect(times()).toEqual(['01:00:00'])
  })

  it('with jitter comes later by a seeded random time, never after the next instant', () => {
    const delays = (seed: number): number[] => {
      const { sim, cron, fired } = makeCron({ seed })
      cron.schedule('s', '* * * * *', sim.task('t'), undefined, { ...utc, jitter: '1h' })
      sim.advance(50 * minute)
      expect(fired.length).toBeGreaterThanOrEqual(49)
      for (const { lateBy, reason } of fired) expect([lateBy, reason]).toEqual([0, 'due'])
      return fired.map(({ at, firedFor }) => at - firedFor)
    }
    const first = delays(1)
    expect(Math.min(...first)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...first)).toBeLessThan(minute)
    expect(new Set(first).size).toBeGreaterThan(40)
    expect(delays(1)).toEqual(first)
    expect(delays(2)).not.toEqual(first)
  })
})

describe('every', () => {
  it('first runs after one interval, and does not drift', () => {
    const { sim, cron, fired } = makeCron()
    cron.every('e', '1.5s', sim.task('t', { takesMs: 100 }))
    sim.advance(6_100)
    expect(fired.map(({ at }) => at % minute)).toEqual([1_500, 3_000, 4_500, 6_000])
  })

  it.each([['backwards', -3_600_000], ['forwards', 30 * 86_400_000]])(
    'does not notice a clock that is set %s',
    (_name, jump) => {
      const { sim, cron, fired, missed } = makeCron()
      cron.every('e', '1m', sim.task('t'))
      sim.advance(90_000)
      sim.world.jumpWall(jump)
      sim.advance(90_000)
      expect([fired.length, missed.length]).toEqual([3, 0])
    },
  ) // prettier-ignore
})

describe('every, when the clock is set', () => {
  const hour = 60 * minute
  const start = Date.UTC(2026, 0)
  /** When it ran, in hours of real time: half an hour after it was made the clock is set by so many hours. */
  function runs(
    bounds: { startAt?: number; endAt?: number },
    hours: number,
  ): { ran: number[]; left: number } {
    const { sim, cron } = makeCron()
    cron.every('e', '1h', sim.task('t'), undefined, bounds)
    sim.advance(hour / 2)
    sim.world.jumpWall(hours * hour)
    sim.advance(9 * hour)
    return { ran: sim.began.map(({ at }) => at / hour), left: cron.list().length }
  }

  it.each([
    ['ahead, ends earlier', 2, [1, 2, 3]],
    ['far ahead, runs no more', 24, []],
    ['back, ends later', -2, [1, 2, 3, 4, 5, 6, 7]],
  ])('%s: at endAt', (_name, hours, ran) => {
    expect(runs({ endAt: start + 5 * hour }, hours)).toEqual({ ran, left: 0 })
  })

  it.each([
    ['back, begins later, and not before', -2, [4, 5, 6, 7, 8, 9]],
    ['ahead, begins when it would have, and not before', 1, [2, 3, 4, 5, 6, 7, 8, 9]],
  ])('%s startAt', (_name, hours, ran) => {
    expect(runs({ startAt: start + 2 * hour }, hours)).toEqual({ ran, left: 1 })
  })

  it('ahead, makes up after a blocked event loop for no run after endAt', () => {
    const { sim, cron, fired, missed } = makeCron()
    cron.every('e', '1h', sim.task('t'), undefined, { endAt: start + 5 * hour, catchUp: 'all' })
    sim.world.jumpWall(3 * hour)
    sim.world.block(4 * hour)
    sim.advance(hour)
    expect([fired.length, missed.map(({ count }) => count)]).toEqual([0, [2]])
    expect(cron.list()).toEqual([])
  })
})

describe('an operator', () => {
  it('pauses and resumes a schedule; what came meanwhile is not made up for', () => {
    const { sim, cron, times } = makeCron()
    cron.every('e', 1_000, sim.task('t'))
    sim.advance(1_000)
    expect([cron.pause('e'), cron.pause('e'), cron.pause('none')]).toEqual([true, false, false])
    expect(cron.get('e')).toMatchObject({ state: 'paused' })
    expect(cron.get('e')).not.toHaveProperty('nextRunAt')
    expect(sim.world.isKeptAlive).toBe(false)
    sim.advance(5_500)
    expect([cron.resume('e'), cron.resume('e')]).toEqual([true, false])
    sim.advance(1_000)
    expect(times()).toEqual(['00:00:01', '00:00:07'])
  })

  it.each([
    ['resumed', ({ cron }: CronSim) => cron.resume('s')],
    ['made again', (made: CronSim) => everySecond(made)],
  ])(
    'runs no instant twice where the clock was set back by up to a minute before it is %s',
    (_how, again) => {
      const made = makeCron()
      everySecond(made)
      made.sim.advance(3_000)
      made.cron.pause('s')
      made.sim.world.clock.jumpWall(-2_500)
      again(made)
      made.sim.advance(3_500)
      expect(made.times()).toEqual(['00:00:01', '00:00:02', '00:00:03', '00:00:04'])
    },
  )

  it('runs a schedule now, also while it is paused; its own instants stay', () => {
    const { sim, cron, fired } = makeCron()
    cron.schedule('s', '0 * * * *', sim.task('t'), undefined, utc)
    sim.advance(minute)
    cron.pause('s')
    const job = cron.runNow('s')
    expect(job.snapshot().schedule).toEqual({ name: 's', firedFor: Date.UTC(2026, 0, 1, 0, 1), lateBy: 0 })
    cron.resume('s')
    sim.advance(60 * minute)
    expect(fired.map(({ reason }) => reason)).toEqual(['run-now', 'due'])
    expect(cron.get('s')).toMatchObject({ runs: 1, lastFiredFor: Date.UTC(2026, 0, 1, 1) })
  })

  it('removes a schedule; its job goes on', () => {
    const { sim, cron } = makeCron()
    cron.every('e', 1_000, sim.task('t', { takesMs: 500 }))
    sim.advance(1_100)
    expect([cron.remove('e'), cron.remove('e'), cron.get('e')]).toEqual([true, false, undefined])
    sim.advance(5_000)
    expect(sim.scheduler.stats()).toMatchObject({ completed: 1, running: 0 })
  })

  it('lists schedules in the order in which they were made, with their next runs', () => {
    const { sim, cron } = makeCron()
    cron.schedule('nightly', '0 2 * * *', sim.task('t'), undefined, { timezone: 'Europe/Berlin', overlap: 'queue' })
    cron.every('tidy', '15m', sim.task('t'))
    expect(cron.list()).toEqual([
      {
        name: 'nightly', expression: '0 2 * * *', timezone: 'Europe/Berlin', task: 't', state: 'active',
        description: 'every day at 02:00 (Europe/Berlin)', overlap: 'queue', catchUp: 'latest',
        nextRunAt: Date.UTC(2026, 0, 1, 1), runs: 0, unsettled: 0,
      },
      {
        name: 'tidy', intervalMs: 15 * minute, task: 't', state: 'active', description: 'every 15 minutes',
        overlap: 'skip', catchUp: 'latest', nextRunAt: Date.UTC(2026, 0, 1, 0, 15), runs: 0, unsettled: 0,
      },
    ])
    expect(Object.isFrozen(cron.get('tidy'))).toBe(true)
  }) // prettier-ignore

  it('asks for the next runs from any instant, strictly after it', () => {
    const { sim, cron } = makeCron()
    cron.schedule('s', '30 2 * * *', sim.task('t'), undefined, { timezone: 'America/New_York' })
    const iso = (runs: number[]): string[] => runs.map((at) => new Date(at).toISOString())
    expect(iso(cron.nextRuns('s', 3, new Date('2026-03-07T07:30Z')))).toEqual([
      '2026-03-08T07:00:00.000Z', '2026-03-09T06:30:00.000Z', '2026-03-10T06:30:00.000Z',
    ])
    expect(iso(cron.nextRuns('s', 1, Date.parse('2026-03-07T07:29:59.999Z')))).toEqual(['2026-03-07T07:30:00.000Z'])
    cron.every('e', '1h', sim.task('t'))
    expect(iso(cron.nextRuns('e', 2))).toEqual(['2026-01-01T01:00:00.000Z', '2026-01-01T02:00:00.000Z'])
  }) // prettier-ignore

  it('asks for the next runs of an interval strictly after an instant, also where the wall clock has drifted', () => {
    const scheduler = createScheduler({ logger: false })
    onTestFinished(() => void scheduler.close({ timeout: 0 }))
    const cron = createCron(scheduler)
    cron.every('e', '1m', () => 1)
    const { now } = Date
    for (const driftMs of [-900, -1, 0, 1, 900]) {
      vi.spyOn(Date, 'now').mockImplementation(() => now() + driftMs)
      const [first = 0, second] = cron.nextRuns('e', 2)
      expect(cron.nextRuns('e', 1, first)).toEqual([second])
      expect(cron.nextRuns('e', 1, first - 1)).toEqual([first])
    }
    vi.restoreAllMocks()
  })

  it('is told in the log, in words, what was scheduled', () => {
    const { sim, cron } = makeCron()
    cron.schedule('s', '0 9 * * 1-5', sim.task('t'), undefined, utc)
    expect(sim.logged.at(-1)).toMatchObject({
      level: 'info',
      fields: { schedule: 's', nextRunAt: Date.UTC(2026, 0, 1, 9) },
      message: "schedule 's' runs Monday to Friday at 09:00 (UTC)",
    })
  })

  it('is named in the lines about its jobs, retried or failed for good', () => {
    const { sim, cron } = makeCron()
    const task = sim.task('t', failsWith('broken'), { attempts: 2 })
    cron.every('clean-up', '1h', task, undefined, { maxRuns: 1 })
    sim.scheduler.defer(task)
    sim.advance(2 * 60 * minute)
    const about = sim.logged.filter(({ level, fields }) => level !== 'debug' && fields['task'] === 't')
    const named = about.map(({ level, fields }) => [level, fields['schedule']])
    expect(named).toEqual([['warn', undefined], ['error', undefined], ['warn', 'clean-up'], ['error', 'clean-up']]) // prettier-ignore
  })
})

describe('options in the place of the payload are told in the log', () => {
  const warned = ({ sim }: CronSim) =>
    sim.logged.filter(({ level }) => level === 'warn').map(({ message }) => message)

  it('where the payload has nothing else', () => {
    const made = makeCron()
    made.sim.task('t')
    made.cron.schedule('y', '@daily', 't', { timezone: 'UTC', overlap: 'queue' })
    made.cron.every('z', '1h', 't', { maxRuns: 1 })
    expect(warned(made)).toEqual([
      "the payload of schedule 'y' has only names of options (timezone, overlap): options come after the payload, " +
        'cron.schedule(name, expression, task, payload, options)',
      "the payload of schedule 'z' has only names of options (maxRuns): options come after the payload, " +
        'cron.every(name, interval, task, payload, options)',
    ])
  })

  it('and not where it may be meant', () => {
    const made = makeCron()
    made.sim.task('t')
    made.cron.schedule('more', '@daily', 't', { timezone: 'UTC', shop: 'north' })
    made.cron.schedule('options', '@daily', 't', { timezone: 'UTC' }, {})
    made.cron.every('of schedule', '1h', 't', { timezone: 'UTC' })
    for (const payload of [{}, [], null, undefined, 'UTC']) made.cron.every('others', '1h', 't', payload)
    expect(warned(made)).toEqual([])
  })
})

describe('a mistake is told at the call', () => {
  it.each([
    [{ attempts: 1 }, "'attempts' belongs into defer: { defer: { attempts: 1 } }."],
    [{ priority: 'high' }, "'priority' belongs into defer: { defer: { priority: 'high' } }."],
    [{ backoff: { type: 'fixed' } }, "'backoff' belongs into defer: { defer: { backoff: … } }."],
    [
      { noOverlap: true },
      "cron.every has no option 'noOverlap'. Runs that would overlap are left out anyway",
    ],
    [{ scheduled: false }, "'scheduled'. A schedule starts at once: cron.pause(name) makes it wait"],
    [{ runOnInit: true }, "'runOnInit'. For a run at the start call cron.runNow(name)."],
    [{ recoverMissed: true }, "'recoverMissed'. Give catchUp: 'latest', 'none' or 'all'."],
    [{ recoverMissedExecutions: true }, "'recoverMissedExecutions'. Give catchUp"],
    [{ maxExecutions: 3 }, "'maxExecutions'. Give maxRuns."],
    [{ maxRandomDelay: 3 }, "'maxRandomDelay'. Give jitter."],
    [{ name: 'tidy' }, "'name'. The first argument is the name."],
    [{ toString: 1 }, "cron.every has an unknown option 'toString'. Known are: overlap"],
  ])('an option that belongs elsewhere, %o', (options, message) => {
    const { cron } = makeCron()
    expect(() => cron.every('tidy', '15m', () => undefined, options as object)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining(message) }),
    )
  })

  it('name and interval in the wrong order', () => {
    const { cron } = makeCron()
    expect(() => cron.every('15m', 'tidy' as '1m', () => undefined)).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_OPTION',
        message:
          "cron.every got '15m' as the name of the schedule and 'tidy' as its interval. " +
          "The first argument is the name: cron.every('tidy', '15m', task).",
      }),
    )
    cron.every('15m', '15m', () => undefined)
    expect(cron.get('15m')).toBeDefined()
  })

  it.each([
    ['an empty name', (c) => c.every('', '1m', () => undefined), 'ERR_SIDEWORK_KEY'],
    ['an interval of 0', (c) => c.every('e', 0, () => undefined), 'ERR_SIDEWORK_OPTION'],
    ['an interval without unit', (c) => c.every('e', '5' as never, () => undefined), 'ERR_SIDEWORK_OPTION'],
    ['a task nobody knows', (c) => c.every('e', '1m', 'nobody'), 'ERR_SIDEWORK_UNKNOWN_TASK'],
    ['a payload that is no JSON', (c) => c.every('e', '1m', 't', { at: new Date(0) }), 'ERR_SIDEWORK_PAYLOAD'],
    ['an unknown option', (c) => c.every('e', '1m', () => undefined, { timezone: 'UTC' } as object), 'ERR_SIDEWORK_OPTION'],
    ['a payload for a closure', (c) => c.every('e', '1m', (() => undefined) as never, {}, {}), 'ERR_SIDEWORK_OPTION'],
    ['an unknown overlap', (c) => c.every('e', '1m', () => undefined, { overlap: 'both' as never }), 'ERR_SIDEWORK_OPTION'],
    ['an unknown catchUp', (c) => c.every('e', '1m', () => undefined, { catchUp: true as never }), 'ERR_SIDEWORK_OPTION'],
    ['too many runs to make up for', (c) => c.every('e', '1m', () => undefined, { maxCatchUp: 1_001 }), 'ERR_SIDEWORK_OPTION'],
    ['no run at all', (c) => c.every('e', '1m', () => undefined, { maxRuns: 0 }), 'ERR_SIDEWORK_OPTION'],
    ['an end before the start', (c) => c.every('e', '1m', () => undefined, { startAt: 2, endAt: 1 }), 'ERR_SIDEWORK_OPTION'],
    ['an end that is over', (c) => c.every('e', '1m', () => undefined, { endAt: 1 }), 'ERR_SIDEWORK_OPTION'],
    ['a date that is none', (c) => c.every('e', '1m', () => undefined, { startAt: new Date(NaN) }), 'ERR_SIDEWORK_OPTION'],
    ['a delay of a recurring job', (c) => c.every('e', '1m', () => undefined, { defer: { delay: 1 } as object }), 'ERR_SIDEWORK_OPTION'],
    ['a bad priority', (c) => c.every('e', '1m', () => undefined, { defer: { priority: 10 } }), 'ERR_SIDEWORK_OPTION'],
    ['an unknown dayMatch', (c) => c.schedule('s', '* * * * *', () => undefined, { dayMatch: 'xor' as never }), 'ERR_SIDEWORK_OPTION'],
    ['next runs of nobody', (c) => c.nextRuns('nobody', 1), 'ERR_SIDEWORK_UNKNOWN_SCHEDULE'],
    ['a run of nobody', (c) => c.runNow('nobody'), 'ERR_SIDEWORK_UNKNOWN_SCHEDULE'],
    ['a million next runs', (c) => (c.every('n', '1m', () => undefined), c.nextRuns('n', 1e6)), 'ERR_SIDEWORK_OPTION'],
  ] as [string, (c: ReturnType<typeof createCron>) => unknown, string][])('%s', (_name, act, code) => {
    const made = makeCron()
    made.sim.task('t')
    expect(() => act(made.cron)).toThrow(expect.objectContaining({ code }))
    expect(made.cron.list().filter(({ name }) => name !== 'n')).toEqual([])
  }) // prettier-ignore

  it('begins, where runNow does not know the name, at the line that called', () => {
    const { cron } = makeCron()
    const error = (() => {
      try {
        return cron.runNow('nobody')
      } catch (thrown) {
        return thrown as Error
      }
    })()
    expect(error).toHaveProperty('stack', expect.stringMatching(/^[^\n]*\n +at [^\n]*cron\.test\.ts/))
  })

  it.each([
    ['a zone in the place of the options', 'UTC', "cron.schedule got 'UTC' for its options. Give an object such as { timezone"],
    ['null in the place of the options', null, 'cron.schedule got null for its options.'],
    ['a Date that is none', { endAt: new Date(NaN) }, 'endAt is a Date that is invalid or out of range. Give a Date or ms'],
  ])('%s, in words that say what to give', (_name, options, message) => {
    const { cron, sim } = makeCron()
    expect(() => cron.schedule('s', '@daily', sim.task('t'), undefined, options as object)).toThrow(message)
  }) // prettier-ignore

  it('what is no scheduler, or has closed', async () => {
    expect(() => createCron({} as never)).toThrow(/createCron\(\) got an object/)
    const made = makeCron()
    expect(() => createCron(made.sim.scheduler, { leder: 1 } as object)).toThrow(/unknown option 'leder'/)
    expect(() => createCron(made.sim.scheduler, { leader: true as never })).toThrow(/leader is true/)
    await made.sim.close({}, 1_000)
    expect(() => createCron(made.sim.scheduler)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }))
    expect(() => made.cron.every('e', '1m', () => undefined)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }))
  }) // prettier-ignore
})

describe('closing', () => {
  it('stops schedules first: nothing fires while it drains, and nothing is left', async () => {
    const { sim, cron, fired } = makeCron()
    cron.schedule('s', '* * * * * *', sim.task('t', { takesMs: 5_000 }), undefined, {
      ...utc,
      overlap: 'queue',
    })
    sim.advance(2_500)
    expect(fired).toHaveLength(1)
    const report = await sim.close({ timeout: '25s' }, 10_000)
    expect(fired).toHaveLength(1)
    expect(report).toMatchObject({ settled: { completed: 1 }, lost: [] })
    expect(cron.list()).toEqual([])
    expect(sim.world.timerAt).toBeUndefined()
  })

  it('drops the run that waits of a schedule that has ended, without a word of a refusal', async () => {
    const made = makeCron({ scheduler: { threads: 3 } })
    const { sim, cron } = made
    const refused: unknown[] = []
    sim.scheduler.on('refused', (event) => void refused.push(event))
    const endAt = Date.UTC(2026, 0, 1, 0, 0, 2)
    cron.every('e', 1_000, sim.task('t', { takesMs: 2_500 }), undefined, { overlap: 'queue', endAt })
    sim.advance(2_500)
    expect(cron.list()).toEqual([])
    const report = await sim.close({ timeout: '10s' }, 5_000)
    expect(report).toMatchObject({ settled: { completed: 1 }, lost: [] })
    expect([made.skipped, refused]).toEqual([[], []])
    expect(sim.logged.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('refuses runNow as it refuses a defer: not as an unknown name', async () => {
    const { sim, cron } = makeCron()
    cron.every('e', 1_000, sim.task('t', { takesMs: 500 }))
    sim.advance(1_000)
    void sim.scheduler.close()
    const refused = expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED', status: 503 }) as Error
    expect(() => cron.runNow('e')).toThrow(refused)
    await sim.close({}, 1_000)
    expect(() => cron.runNow('e')).toThrow(refused)
  })

  it('ends the life of a process that only schedules kept alive', () => {
    const { sim, cron } = makeCron()
    expect(sim.world.isKeptAlive).toBe(false)
    cron.schedule('s', '0 0 1 1 *', sim.task('t'), undefined, utc)
    expect(sim.world.isKeptAlive).toBe(true)
    cron.remove('s')
    expect([sim.world.isKeptAlive, sim.world.timerAt]).toEqual([false, undefined])
  })
})

describe('the timer', () => {
  it('is one for 10,000 schedules, armed for 30 s at most', () => {
    const { sim, cron } = makeCron({ scheduler: { logger: false } })
    sim.task('idle')
    for (let n = 0; n < 10_000; n++)
      cron.schedule(`s${n}`, `${n % 60} ${n % 24} * * *`, 'idle', undefined, utc)
    expect(sim.world.timerAt).toBe(30_000)
    const armed = sim.world.timersArmed
    sim.advance(59_000)
    expect(sim.world.timersArmed - armed).toBeLessThanOrEqual(2)
  })
})
