/** Every way in which a step can end badly, under both policies: what becomes of the steps after it and of the flow. */
import { describe, expect, it } from 'vitest'
import type { OnFailure } from '../../src/index.js'
import { failsForGood, failsWith, neverEnds, type Behaviour } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

interface Way {
  /** What the middle step does. */
  readonly behaves?: Behaviour
  readonly options?: object
  /** What else happens. */
  readonly happens?: (sim: Sim, id: string) => void
  readonly ends: 'failed' | 'cancelled' | 'expired'
  readonly code: string | undefined
}

const ways: Record<string, Way> = {
  'fails for good': { behaves: failsForGood('no'), ends: 'failed', code: 'ERR_SIDEWORK_PERMANENT' },
  'fails its last attempt': {
    behaves: failsWith('no'), options: { attempts: 3, backoff: { type: 'fixed', delay: 5 } },
    ends: 'failed', code: undefined,
  },
  'times out': {
    behaves: neverEnds, options: { attempts: 1, timeout: 10 }, ends: 'failed', code: 'ERR_SIDEWORK_TIMEOUT',
  },
  'loses its thread': {
    behaves: { crashes: { exitCode: 7 } }, options: { attempts: 1 }, ends: 'failed', code: 'ERR_SIDEWORK_THREAD_EXITED',
  },
  'runs out of memory': {
    behaves: { crashes: { error: Object.assign(new Error('oom'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }) } },
    options: { attempts: 1 }, ends: 'failed', code: 'ERR_SIDEWORK_OUT_OF_MEMORY',
  },
  'is cancelled while it runs': {
    behaves: { takesMs: 1000 }, happens: (sim, id) => sim.scheduler.cancel(id), ends: 'cancelled',
    code: 'ERR_SIDEWORK_CANCELLED',
  },
  'is cancelled while it is blocked': {
    happens: (sim, id) => sim.scheduler.cancel(id), ends: 'cancelled', code: 'ERR_SIDEWORK_CANCELLED',
  },
  'expires': {
    options: { delay: 20, expiresIn: 10 }, happens: (sim) => sim.scheduler.pause('middle'), ends: 'expired',
    code: 'ERR_SIDEWORK_EXPIRED',
  },
} // prettier-ignore

const policies: OnFailure[] = ['cancel', 'continue']
const table = Object.keys(ways).flatMap((name) => policies.map((policy) => [name, policy] as const))

function begin(name: string, onFailure: OnFailure) {
  const { behaves = {}, options = {}, happens } = ways[name] as Way
  const sim = makeSim()
  const isEarly = name.endsWith('blocked')
  sim.task('first', { takesMs: isEarly ? 50 : 0 })
  sim.task('middle', behaves, { killAfter: 5 })
  sim.task('last')
  const flow = sim.scheduler.flow(
    {
      first: { task: 'first' },
      middle: { task: 'middle', after: ['first'], options },
      last: { task: 'last', after: ['middle'] },
      end: { task: 'last', after: ['last', 'first'] },
    },
    { onFailure },
  )
  const result = flow.result().catch((error: unknown) => error)
  sim.advance(5)
  happens?.(sim, flow.jobs.middle.id)
  return { sim, flow, result }
}

describe.each(table)('a step that %s, with %s', (name, onFailure) => {
  const { ends, code } = ways[name] as Way

  it('has its end, and so have the steps after it and the flow', async () => {
    const { sim, flow, result } = begin(name, onFailure)
    sim.advance(2000)
    const middle = flow.jobs.middle.snapshot()
    expect([middle.state, middle.error?.code]).toEqual([ends, code])
    const after = onFailure === 'cancel' ? 'cancelled' : 'completed'
    expect([flow.jobs.first.state, flow.jobs.last.state, flow.jobs.end.state]).toEqual([
      'completed',
      after,
      after,
    ])
    expect(sim.order.filter((task) => task === 'last')).toHaveLength(onFailure === 'cancel' ? 0 : 2)
    expect(flow.state).toBe(ends)
    expect(await result).toMatchObject({
      code: `ERR_SIDEWORK_${ends.toUpperCase()}`,
      job: flow.jobs.middle.id,
      message: expect.stringContaining(`step 'middle'`),
    })
    expect(flow.snapshot().progress).toMatchObject(
      onFailure === 'cancel' ? { total: 4, completed: 1, failed: 3 } : { total: 4, completed: 3, failed: 1 },
    )
    if (onFailure === 'continue') return
    expect(flow.jobs.end.snapshot().error).toMatchObject({
      message: `Step 'middle' before it ${ends === 'cancelled' ? 'was cancelled' : ends}.`,
      code: 'ERR_SIDEWORK_CANCELLED',
    })
  })
})

it('a step after one that was cancelled is not told that this one had cancelled something', () => {
  const sim = makeSim()
  const { jobs } = sim.scheduler.chain([{ task: sim.task('a') }, { task: sim.task('b') }])
  jobs['a']?.cancel()
  sim.advance(10)
  expect(jobs['b']?.snapshot().error?.message).toBe("Step 'a' before it was cancelled.")
})

it('a step that used a scheduler which had closed has failed: nobody closed its own', async () => {
  const sim = makeSim()
  sim.task('t', failsWith('closed', 'ERR_SIDEWORK_CLOSED'), { attempts: 1 })
  const flow = sim.scheduler.chain([{ task: 't' }])
  const result = flow.result().catch((error: unknown) => error)
  sim.advance(10)
  expect(await result).toMatchObject({ code: 'ERR_SIDEWORK_FAILED', cause: { code: 'ERR_SIDEWORK_CLOSED' } })
})

describe.each(policies)('a flow whose scheduler closes, with %s', (onFailure) => {
  it('ends as cancelled, its unsettled steps are lost, and whoever waits is told', async () => {
    const sim = makeSim()
    sim.task('first')
    sim.task('middle', { takesMs: 1000, ignoresAbort: true }, { killAfter: 5 })
    sim.task('last')
    const flow = sim.scheduler.chain([{ task: 'first' }, { task: 'middle' }, { task: 'last' }], { onFailure })
    const settled: string[] = []
    sim.scheduler.on('flow:settled', ({ id, state }) => settled.push(`${id} ${state}`))
    const result = flow.result().catch((error: unknown) => error)
    sim.advance(5)
    const report = await sim.close({ timeout: 10 }, 1000)
    expect(report.lost.map(({ task, state }) => [task, state])).toEqual([
      ['middle', 'running'],
      ['last', 'blocked'],
    ])
    expect(flow.state).toBe('cancelled')
    expect(await result).toMatchObject({ code: 'ERR_SIDEWORK_CLOSED' })
    expect(sim.order).toEqual(['first', 'middle'])
    expect(settled).toEqual([`${flow.id} cancelled`])
    expect(sim.scheduler.inspect()).toMatchObject({ flows: 0, flowResultBytes: 0, jobs: 0 })
  })

  it('drains step by step as long as the next is ready at once', async () => {
    const sim = makeSim()
    sim.task('t', { takesMs: 10 })
    const flow = sim.scheduler.chain([{ task: 't' }, { task: 't' }, { task: 't' }], { onFailure })
    const report = await sim.close({ timeout: 1000 }, 2000)
    expect(flow.state).toBe('completed')
    expect(report).toMatchObject({ lost: [], settled: { completed: 3 } })
  })

  it('does not wait for a step that waits for a retry: that and those after it are lost', async () => {
    const sim = makeSim()
    sim.task('bad', failsWith('no'), { backoff: { type: 'fixed', delay: '1h' } })
    sim.task('t')
    const flow = sim.scheduler.chain([{ task: 'bad' }, { task: 't' }], { onFailure })
    sim.advance(10)
    const report = await sim.close({ timeout: '1m' }, 1000)
    expect(report.lost.map(({ state }) => state)).toEqual(['retrying', 'blocked'])
    expect(flow.state).toBe('cancelled')
  })
})
