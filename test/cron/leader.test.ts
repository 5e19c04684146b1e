import { describe, expect, it } from 'vitest'
import { severalInstances } from '../../src/cron/instances.js'
import { makeCron, type CronSim } from './make-cron.js'
import type { LeaderHook } from '../../src/cron/index.js'

function led(leader: LeaderHook): CronSim {
  const made = makeCron({ cron: { leader } })
  made.cron.every('e', 1_000, made.sim.task('t'))
  return made
}

describe('the leader hook', () => {
  it('that says no skips the run; the next is asked for again', () => {
    const answers = [false, true, false]
    const made = led(() => answers.shift() ?? true)
    made.sim.advance(4_000)
    expect(made.fired).toHaveLength(2)
    expect(made.skipped.map(({ reason }) => reason)).toEqual(['not-leader', 'not-leader'])
  })

  it('is asked once for all that is due together, and not while nothing is', () => {
    let asked = 0
    const made = led(() => ++asked > 0)
    for (let n = 0; n < 50; n++) made.cron.every(`e${n}`, 1_000, made.sim.task('t'))
    made.sim.advance(3_500)
    expect(asked).toBe(3)
  })

  it('may answer later', async () => {
    const made = led(() => Promise.resolve(true))
    await made.sim.flow(1_000)
    await made.sim.flow(1_000)
    expect(made.fired.map(({ reason }) => reason)).toEqual(['due', 'due'])
  })

  it('that takes its time makes no run late', async () => {
    let answer: (value: boolean) => void = () => undefined
    const made = makeCron({ cron: { leader: () => new Promise((resolve) => (answer = resolve)) } })
    made.cron.schedule('s', '* * * * *', made.sim.task('t'), undefined, { catchUp: 'none', timezone: 'UTC' })
    await made.sim.flow(60_000)
    await made.sim.flow(5_000)
    answer(true)
    await made.sim.flow()
    expect(made.missed).toEqual([])
    expect(made.fired).toMatchObject([{ reason: 'due', lateBy: 5_000 }])
  })

  it('that takes its time takes no run out of the window in which it may be made up for', async () => {
    let answer: (value: boolean) => void = () => undefined
    const made = makeCron({ cron: { leader: () => new Promise((resolve) => (answer = resolve)) } })
    const options = { catchUp: 'all', catchUpWindow: '5s', overlap: 'allow' } as const
    made.cron.every('e', '4s', made.sim.task('t'), undefined, options)
    await made.sim.flow(4_000)
    await made.sim.flow(9_000)
    answer(true)
    await made.sim.flow()
    expect(made.missed).toEqual([])
    expect(made.times()).toEqual(['00:00:04', '00:00:08', '00:00:12'])
  })

  it('that answers after endAt lets a run be made up for that was asked for before it', async () => {
    let answer: (value: boolean) => void = () => undefined
    const made = makeCron({ cron: { leader: () => new Promise((resolve) => (answer = resolve)) } })
    made.cron.every('e', '4s', made.sim.task('t'), undefined, { endAt: Date.UTC(2026, 0, 1, 0, 0, 6) })
    made.sim.world.block(5_500)
    await made.sim.flow()
    await made.sim.flow(2_200)
    answer(true)
    await made.sim.flow()
    expect(made.missed).toEqual([])
    expect(made.fired).toMatchObject([{ reason: 'catch-up', lateBy: 3_700 }])
    expect(made.cron.list()).toEqual([])
  })

  it.each([
    ['throws', () => { throw new Error('redis is away') }],
    ['rejects', () => Promise.reject(new Error('redis is away'))],
    ['answers what throws when its `then` is called', () => ({ then: () => { throw new Error('redis is away') } }) as never],
    ['answers what throws when its `then` is looked at', () => ({ get then(): never { throw new Error('redis is away') } }) as never],
  ] as [string, LeaderHook][])('that %s skips the run and is logged', async (_name, leader) => {
    const made = led(leader)
    await made.sim.flow(1_000)
    expect(made.skipped).toMatchObject([{ reason: 'leader-failed' }])
    expect(made.sim.logged.find(({ level }) => level === 'error')?.fields['err']).toMatchObject({ message: 'redis is away' })
    await made.sim.flow(1_000) // and the hook is asked again
    expect(made.skipped).toHaveLength(2)
  }) // prettier-ignore

  it('that never answers has failed after 10 s, and is asked again', async () => {
    let asked = 0
    const made = led(() => (++asked === 1 ? new Promise(() => undefined) : true))
    await made.sim.flow(10_999)
    expect([made.fired.length, made.skipped.length]).toEqual([0, 0])
    await made.sim.flow(1)
    expect(made.skipped.map(({ reason }) => reason)).toEqual(['leader-failed'])
    await made.sim.flow(1_000)
    expect(made.fired).toHaveLength(1)
  })

  it('that has not answered when the scheduler closes defers nothing', async () => {
    let answer: (value: boolean) => void = () => undefined
    const made = led(() => new Promise((resolve) => (answer = resolve)))
    made.sim.advance(1_500)
    await made.sim.close({}, 1_000)
    answer(true)
    await made.sim.flow(10)
    expect(made.fired).toEqual([])
    expect(made.sim.world.isKeptAlive).toBe(false)
  })

  it('is not asked by runNow', () => {
    const made = led(() => false)
    made.cron.runNow('e')
    made.sim.advance(0)
    expect(made.fired).toHaveLength(1)
  })
})

describe('several instances', () => {
  it.each([
    ['a process of its own', undefined, {}, undefined],
    [
      'PM2 with one instance, in cluster mode',
      1,
      { pm_id: '0', NODE_APP_INSTANCE: '0', instances: '1' },
      undefined,
    ],
    ['PM2 with one instance, in fork mode', undefined, { pm_id: '0' }, undefined],
    [
      'PM2 with four instances',
      3,
      { pm_id: '2', NODE_APP_INSTANCE: '2', instances: '4' },
      'PM2 runs 4 instances',
    ],
    [
      'PM2 in fork mode, second instance',
      undefined,
      { pm_id: '1', NODE_APP_INSTANCE: '1' },
      'PM2 runs this as instance 1',
    ],
    ['a worker of a cluster', 2, {}, 'this is worker 2 of a cluster'],
  ] as const)('%s', (_name, clusterWorker, environment, why) => {
    const said = severalInstances({ clusterWorker, environment })
    if (why === undefined) expect(said).toBeUndefined()
    else expect(said).toContain(why)
  })

  it('are warned of once, unless there is a leader hook', () => {
    const before = { ...process.env }
    Object.assign(process.env, { pm_id: '2', NODE_APP_INSTANCE: '2', instances: '4' })
    try {
      const warnings = (made: CronSim): unknown[] => {
        for (let n = 0; n < 3; n++) made.cron.every(`e${n}`, '1h', made.sim.task('t'))
        return made.sim.logged.filter(({ level }) => level === 'warn')
      }
      expect(warnings(makeCron())).toHaveLength(1)
      expect(warnings(makeCron({ cron: { leader: () => true } }))).toHaveLength(0)
    } finally {
      for (const name of ['pm_id', 'NODE_APP_INSTANCE', 'instances']) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
  })
})
