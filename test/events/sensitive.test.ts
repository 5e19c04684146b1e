/** What events tell of a sensitive task: nothing that could hold its payload. */
import { describe, expect, it } from 'vitest'
import { eventNames } from '../../src/events/event-types.js'
import type { JobSnapshot } from '../../src/index.js'
import { registeredTasks } from '../../src/task/registry.js'
import { failsForGood, neverEnds, returns, type Run } from '../simulation/script.js'
import { makeSim, type Sim } from '../simulation/sim.js'

const withheld = { name: 'CardError', message: '(withheld)', code: 'E_CARD' }
const error = {
  name: 'CardError',
  message: 'card 4111',
  code: 'E_CARD',
  stack: 'CardError: card 4111',
  cause: { name: 'Error', message: '4111 is no number' },
}
const fails = { ends: { kind: 'threw', error, permanent: false } } as const
const twice = { attempts: 2, backoff: { type: 'fixed', delay: 10 }, sensitive: true } as const

/** Every event that comes. */
function listen(sim: Sim): Record<string, unknown>[] {
  const told: Record<string, unknown>[] = []
  for (const event of eventNames) sim.scheduler.on(event, (data) => void told.push({ event, ...data }))
  return told
}

describe('the events of a sensitive task', () => {
  it('tell name and code of an error that is retried, and of the last one', async () => {
    const sim = makeSim()
    const told = listen(sim)
    const job = sim.scheduler.defer(sim.task('pay', fails, twice))
    const result = job.result()
    sim.advance(100)
    const errors = told.filter(({ error }) => error !== undefined)
    expect(errors.map(({ event, error }) => [event, error])).toStrictEqual([
      ['retrying', withheld],
      ['failed', withheld],
    ])
    expect(errors.every(({ error }) => Object.isFrozen(error))).toBe(true)
    // For whoever has the job there is all of it.
    expect(job.snapshot()).toMatchObject({ error, errors: [{ error }, { error }] })
    await expect(result).rejects.toMatchObject({ cause: error })
  })

  it('tell the whole error of any other', () => {
    const sim = makeSim()
    const told = listen(sim)
    sim.task('pay', fails, { ...twice, sensitive: false })
    sim.scheduler.chain([{ task: 'pay' }])
    sim.advance(100)
    const errors = told.filter((event) => event['error'] !== undefined)
    expect(errors.map((event) => [event['event'], event['error']])).toStrictEqual([
      ['retrying', error],
      ['failed', error],
      ['flow:settled', error],
    ])
  })

  it('hold nothing of its payload, result and errors, whatever becomes of its jobs', () => {
    const sim = makeSim()
    const told = listen(sim)
    const behaves = ({ payload, attempt }: Run) =>
      payload === '4111 fails' || (payload === '4111 fails once' && attempt === 1) ? fails : returns('4111')
    sim.task('secret', behaves, twice)
    sim.task('other')
    for (const payload of ['4111', '4111 fails', '4111 fails once']) sim.scheduler.defer('secret', payload)
    sim.scheduler.defer('secret', '4111 fails', { expiresIn: 5 })
    sim.scheduler.defer('secret', '4111', { delay: 1_000 }).cancel()
    for (const onFailure of ['cancel', 'continue'] as const)
      sim.scheduler.chain([{ task: 'secret', payload: '4111 fails' }, { task: 'other' }], { onFailure })
    sim.advance(1_000)
    const events = new Set(told.map(({ event }) => event))
    for (const event of ['completed', 'retrying', 'failed', 'expired', 'cancelled', 'flow:settled'])
      expect(events).toContain(event)
    expect(JSON.stringify(told)).not.toContain('4111')
  })
})

describe('flow:settled', () => {
  /** What it tells of a flow of these two steps, of which the second comes after the first. */
  function toldOf(first: boolean, second: boolean): unknown {
    const sim = makeSim()
    const told = listen(sim)
    sim.task('first', returns(1), { attempts: 1, sensitive: first })
    sim.task('second', fails, { attempts: 1, sensitive: second })
    sim.scheduler.chain([{ task: 'first' }, { task: 'second' }])
    sim.advance(10)
    return told.find(({ event }) => event === 'flow:settled')?.['error']
  }

  it.each([
    ['as it is, though another step is sensitive', true, false, error],
    ['with name and code only, of a sensitive step', false, true, withheld],
  ])('tells why a flow did not complete %s', (_how, first, second, expected) => {
    expect(toldOf(first, second)).toStrictEqual(expected)
  })

  it('tells why it was cancelled: what was given as the reason', () => {
    const sim = makeSim()
    const told = listen(sim)
    sim.task('pay', neverEnds, { sensitive: true, killAfter: 1 })
    const flow = sim.scheduler.chain([{ task: 'pay' }])
    sim.advance(10)
    flow.cancel('not wanted')
    sim.advance(10)
    const settled = told.find(({ event }) => event === 'flow:settled')
    expect(settled).toMatchObject({ state: 'cancelled', error: { message: 'not wanted' } })
  })
})

describe('of a flow that was restored, one of whose steps had failed before,', () => {
  it.each([
    ['sensitive', true, '(withheld)'],
    ['not sensitive', false, 'card 4111'],
  ])(
    'an event and a status show why as the task of that step let them: %s',
    async (_what, sensitive, message) => {
      const before = makeSim()
      before.task('pay', failsForGood('card 4111'), { sensitive })
      before.task('waits', neverEnds, { killAfter: 1 })
      const steps = { pay: { task: 'pay' }, waits: { task: 'waits', after: ['pay'] } } as const
      const { id } = before.scheduler.flow(steps as never, { onFailure: 'continue' })
      before.advance(10)
      const { lost } = await before.close({ timeout: 0 }, 1_000)
      const after = makeSim({ seed: 2 })
      registeredTasks().delete('pay')
      after.task('waits')
      const told = listen(after)
      after.scheduler.restore(JSON.parse(JSON.stringify(lost)) as JobSnapshot[])
      after.advance(10)
      expect(told.filter(({ event }) => event === 'flow:settled')).toMatchObject([
        { state: 'failed', error: { message } },
      ])
      expect(after.scheduler.isSensitive(id)).toBe(message === '(withheld)')
    },
  )
})
