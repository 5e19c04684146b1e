import { describe, expect, it } from 'vitest'
import { makeSim, type Sim } from '../simulation/sim.js'

type Steps = Parameters<Sim['scheduler']['flow']>[0]

function refused(steps: unknown, options?: object): unknown {
  const sim = makeSim()
  sim.task('t')
  const refusals: unknown[] = []
  sim.scheduler.on('refused', (event) => refusals.push(event))
  try {
    sim.scheduler.flow(steps as Steps, options)
    return undefined
  } catch (error) {
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 0, queuedBytes: 0 })
    expect(sim.scheduler.inspect()).toMatchObject({ flows: 0, jobs: 0, agenda: 0 })
    sim.advance(1)
    expect(refusals).toMatchObject([{ task: '(flow)' }])
    return error
  }
}

const t = { task: 't' }

describe('a flow is refused, and leaves no trace,', () => {
  it.each([
    ['that is no object', [], /flow got an array/],
    ['whose step is none', { a: null }, /Step 'a' is null/],
    ['with an unknown field', { a: { ...t, afer: [] } }, /Step 'a' has an unknown option 'afer'/],
    ['whose after is no array', { a: { ...t, after: 'b' }, b: t }, /Step 'a': after is 'b'/],
    ['with an unknown ref', { a: t, b: { ...t, after: ['c'] } }, /Step 'b' comes after 'c', which is no step. Known are: 'a', 'b'/],
    ['with a ref of another kind', { a: { ...t, after: [0] } }, /Step 'a' comes after 0/],
    ['with a ref that is no key', { 'a\n': t }, /A ref of a flow is/],
    ['that comes after itself', { a: { ...t, after: ['a'] } }, /wait for each other: a → a\./],
    ['of an unknown task', { a: { task: 'nobody' } }, /Step 'a': No task is named 'nobody'/],
    ['of a closure', { a: { task: () => 1 } }, /Step 'a': its task is a closure/],
    ['without task', { a: {} }, /Step 'a': The task is undefined/],
    ['with dedupe', { a: { ...t, options: { dedupe: 'k' } } }, /Step 'a' has dedupe/],
    ['with an option there is not', { a: { ...t, options: { retries: 3 } } }, /Step 'a': defer has an unknown option 'retries'/],
    ['with a payload that is not JSON', { a: t, b: { ...t, payload: { d: new Date(0) } } }, /Step 'b': .*payload\.d/],
    ['with one own id twice', { a: { ...t, options: { id: 'x' } }, b: { ...t, options: { id: 'x' } } }, /id 'x' exists already/],
  ])('%s', (_, steps, message) => {
    expect(refused(steps)).toMatchObject({ message: expect.stringMatching(message) })
  }) // prettier-ignore

  it('whose steps wait for each other, with the path', () => {
    const steps = {
      start: t,
      a: { ...t, after: ['start', 'd'] },
      b: { ...t, after: ['a'] },
      c: { ...t, after: ['b'] },
      d: { ...t, after: ['start', 'c'] },
      end: { ...t, after: ['d'] },
    }
    const { message, code } = refused(steps) as Error & { code: string }
    expect(code).toBe('ERR_SIDEWORK_OPTION')
    const path = /wait for each other: (.*)\. Take/.exec(message)?.[1]?.split(' → ') ?? []
    expect(path).toHaveLength(5)
    expect(path[0]).toBe(path[4])
    // Each comes after the one before it.
    for (const [at, ref] of path.slice(1).entries())
      expect((steps as Record<string, { after?: string[] }>)[ref]?.after).toContain(path[at])
  })

  it('that goes round in 100,000 steps, quickly and in few words', () => {
    const many = 100_000
    const steps = Object.fromEntries(
      Array.from({ length: many }, (_, n) => [`s${n}`, { ...t, after: [`s${(n + 1) % many}`] }]),
    )
    const { message } = refused(steps) as Error
    expect(message).toMatch(/wait for each other: s\d+ → .* → … → /)
    expect(message.length).toBeLessThan(300)
  })

  it.each([
    [{ onFailure: 'ignore' }, /onFailure is 'ignore'/],
    [{ deadline: 0 }, /deadline is 0/],
    [{ deadline: 'soon' }, /deadline is 'soon'/],
    [{ priority: 11 }, /priority is 11/],
    [{ callback: t }, /unknown option 'callback'/],
  ])('with options %j', (options, message) => {
    expect(refused({ a: t }, options)).toMatchObject({ message: expect.stringMatching(message) })
  })

  it('when there is not room for all of it', () => {
    const sim = makeSim({ scheduler: { maxQueued: 3 } })
    sim.task('t')
    const steps = { a: t, b: { ...t, after: ['a' as const] }, c: t, d: t }
    expect(() => sim.scheduler.flow(steps)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_QUEUE_FULL' }),
    )
    expect(() => sim.scheduler.batch('t', [1, 2, 3], { callback: t })).toThrow(/Queue is full/)
    expect(sim.scheduler.stats()).toMatchObject({ accepted: 0, queuedBytes: 0 })
    expect(sim.scheduler.batch('t', [1, 2, 3]).jobs).toHaveLength(3)
  })

  it('while the scheduler closes', async () => {
    const sim = makeSim()
    sim.task('t')
    void sim.scheduler.close()
    for (const call of [
      () => sim.scheduler.flow({}),
      () => sim.scheduler.chain([]),
      () => sim.scheduler.batch('t', []),
    ])
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_CLOSED' }))
  })
})

it.each([
  [() => makeSim().scheduler.chain('t' as never), /chain got 't'/],
  [() => makeSim().scheduler.chain([null] as never), /A step of a chain is null/],
  [() => makeSim().scheduler.batch('t', 'x' as never), /batch got 'x' as payloads/],
  [() => makeSim().scheduler.batch('t', [], { options: { id: 'x' } as never }), /batch got an id for all/],
])('%s is refused', (call, message) => {
  expect(call).toThrow(message)
})

it('two steps of a chain may not have one ref', () => {
  const sim = makeSim()
  expect(() =>
    sim.scheduler.chain([
      { ...t, ref: 'x' },
      { ...t, ref: 'x' },
    ]),
  ).toThrow(/Two steps of the chain have the ref 'x'/)
})
