/** Events, log lines, bounds. */
import { expect, it } from 'vitest'
import { failsWith, returns } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

it('flow:progress is told at most ten times a second, and flow:settled once, after the events of the last step', () => {
  const sim = makeSim()
  sim.task('t', ({ payload }) => (payload === 3 ? failsWith('no') : { takesMs: 10 }), { attempts: 1 })
  const told: string[] = []
  sim.scheduler.on('flow:progress', (event) =>
    told.push(`${event.at - start} ${event.completed}+${event.failed}/${event.total}`),
  )
  sim.scheduler.on('completed', () => told.push('completed'))
  sim.scheduler.on('flow:settled', ({ at, id, durationMs, kind, ...event }) => {
    told.push('settled')
    expect({ id, kind, durationMs, ...event }).toEqual({
      id: batch.id, kind: 'batch', durationMs: at - start, state: 'completed', total: 25, completed: 24, failed: 1,
    }) // prettier-ignore
  })
  const start = sim.world.clock.wall()
  const batch = sim.scheduler.batch(
    't',
    Array.from({ length: 25 }, (_, n) => n),
  )
  sim.advance(1000)
  expect(told.filter((line) => line.includes('/'))).toEqual(['10 1+0/25', '110 11+1/25', '210 21+1/25'])
  expect(told.slice(-2)).toEqual(['completed', 'settled'])
})

it('flow:settled tells why a flow did not complete', () => {
  const sim = makeSim()
  sim.task('good', { takesMs: 10 })
  sim.task('bad', failsWith('no'), { attempts: 1 })
  const told: unknown[] = []
  sim.scheduler.on('flow:settled', ({ state, error }) => told.push([state, error?.message ?? error]))
  sim.scheduler.chain([{ task: 'good' }])
  sim.scheduler.chain([{ task: 'good' }, { task: 'bad' }])
  sim.scheduler.chain([{ task: 'good', options: { delay: '1h' } }], { deadline: 50 })
  sim.advance(100)
  sim.scheduler.cancel(sim.scheduler.chain([{ task: 'good' }]).id, 'not wanted')
  sim.advance(100)
  expect(told).toEqual([
    ['completed', undefined],
    ['failed', 'no'],
    ['expired', "The flow's deadline has passed."],
    ['cancelled', 'not wanted'],
  ])
})

it('without a listener no alarm is set to tell of progress', () => {
  const alarms = (isHeard: boolean): unknown => {
    const sim = makeSim()
    sim.task('t', { takesMs: 10 })
    if (isHeard) sim.scheduler.on('flow:progress', () => undefined)
    sim.scheduler.batch('t', [1, 2, 3])
    sim.advance(25)
    return sim.scheduler.inspect()['agenda']
  }
  expect(alarms(true)).toBe(Number(alarms(false)) + 1)
})

it('the log warns of a flow that did not complete, naming the step', () => {
  const sim = makeSim()
  sim.task('bad', failsWith('no'), { attempts: 1 })
  const flow = sim.scheduler.chain([{ task: 'bad' }])
  sim.advance(10)
  const warning = sim.logged.find(({ level, message }) => level === 'warn' && message === 'flow failed')
  expect(warning?.fields).toMatchObject({ flow: flow.id, ref: 'bad', task: 'bad', failed: 1 })
})

it('H3: a storm of flows that fail is not a storm of lines', () => {
  const sim = makeSim()
  sim.task('bad', failsWith('no'), { attempts: 1 })
  for (let n = 0; n < 300; n++) sim.scheduler.chain([{ task: 'bad' }])
  sim.advance(11_000)
  const lines = sim.logged.filter(({ message }) => message === 'flow failed')
  expect(lines).toHaveLength(20)
  expect(sim.logged).toContainEqual({
    level: 'warn',
    message: 'lines like this were left out',
    fields: { line: 'flow failed', count: 280 },
  })
})

it.each([
  ['payloads', undefined, 'x'.repeat(4_000)],
  ['results', 'x'.repeat(4_000), undefined],
])('flows are kept within keep.bytes, the %s of their jobs included', (_what, result, payload) => {
  const sim = makeSim({ scheduler: { keep: { bytes: 100_000 } } })
  sim.task('t', returns(result))
  const batches = [1, 2, 3].map(() =>
    sim.scheduler.batch(
      't',
      Array.from({ length: 5 }, () => payload),
    ),
  )
  sim.advance(10)
  const kept = batches.map(({ id }) => sim.scheduler.flowOverview(id)?.state)
  expect(kept).toEqual([undefined, 'completed', 'completed'])
})

it('a flow whose step is retried again and again takes no more of keep.bytes each time', () => {
  const sim = makeSim({ scheduler: { keep: { bytes: 20_000 } } })
  sim.task('bad', failsWith('no'), { attempts: 1 })
  const flow = sim.scheduler.chain([{ task: 'bad', payload: 'x'.repeat(4_000) }])
  for (let n = 0; n < 5; n++) {
    sim.advance(10)
    expect(sim.scheduler.flowOverview(flow.id)?.state).toBe('failed')
    expect(sim.scheduler.retry(flow.jobs['bad']?.id ?? '')).toBe(true)
  }
})

it('a flow is kept as long as a settled job is, and an older one makes room', () => {
  const sim = makeSim({ scheduler: { keep: { completed: 1, failed: 1, for: 1000 } } })
  sim.task('t')
  const flows = [1, 2, 3].map(() => sim.scheduler.chain([{ task: 't' }]))
  sim.advance(10)
  const kept = () => flows.map(({ id }) => sim.scheduler.flowOverview(id)?.state)
  expect(kept()).toEqual([undefined, 'completed', 'completed'])
  expect(flows[0]?.snapshot()).toMatchObject({ state: 'completed' }) // whoever has the handle has the flow
  sim.advance(1001)
  expect(kept()).toEqual([undefined, undefined, undefined])
})

it('the results that flows keep are bounded, and who asks for one that was dropped is told', async () => {
  const sim = makeSim({ scheduler: { maxQueuedBytes: 3000 } })
  sim.task('large', returns('x'.repeat(2000)))
  sim.task('t')
  let handed: unknown
  sim.task('last', (run) => ((handed = run.handed?.steps.map(({ end }) => end)), {}))
  const flow = sim.scheduler.flow({
    a: { task: 'large' },
    b: { task: 'large' },
    last: { task: 'last', after: ['a', 'b'] },
  })
  const result = flow.result().catch((error: unknown) => error)
  sim.advance(10)
  expect(flow.state).toBe('completed')
  expect(handed).toMatchObject([{ state: 'completed', result: expect.any(String) }, { state: 'completed', refused: expect.stringContaining('maxQueuedBytes') }]) // prettier-ignore
  expect(await result).toMatchObject({ code: 'ERR_SIDEWORK_RESULT' })
  expect(sim.scheduler.inspect()).toMatchObject({ flowResultBytes: 0 })
})

it('a step is handed at most 1 MiB of JSON in all', () => {
  const sim = makeSim()
  sim.task('large', returns('x'.repeat(600_000)))
  let handed: unknown
  sim.task('last', (run) => ((handed = run.handed?.steps.map(({ end }) => end)), {}))
  sim.scheduler.flow({
    a: { task: 'large' },
    b: { task: 'large' },
    last: { task: 'last', after: ['a', 'b'] },
  })
  sim.advance(10)
  expect(handed).toEqual([
    { state: 'completed', result: expect.any(String) },
    { state: 'completed', result: undefined, refused: expect.stringContaining('handed to one step') },
  ])
})
