/** Ids in tests repeat, as they come from the seed; within a scheduler they do not. */
import { describe, expect, it } from 'vitest'
import { defineTask, type JobSnapshot } from '../../src/index.js'
import { testScheduler } from './kit.js'

const work = defineTask('ids.work', ({ n }: { n: number }) => n, { lane: 'io' })

/** What a scheduler of the same seed leaves behind. */
async function lostJobs(count: number): Promise<JobSnapshot[]> {
  const before = testScheduler()
  for (let n = 0; n < count; n++) before.defer(work, { n }, { delay: '1h' })
  const { lost } = await before.close({ timeout: 0 })
  return JSON.parse(JSON.stringify(lost)) as JobSnapshot[]
}

describe('a job that is deferred after lost jobs were taken back', () => {
  it.each([0, 1, 2, 3, 4])('has an id of its own: the lost one of place %i', async (place) => {
    const lost = (await lostJobs(5)).slice(place, place + 1)
    const scheduler = testScheduler()
    scheduler.restore(lost)
    const jobs = [0, 1, 2, 3, 4, 5].map((n) => scheduler.defer(work, { n: 10 + n }))
    const ids = jobs.map(({ id }) => id)
    expect(new Set([...ids, lost[0]?.id]).size).toBe(7)
    expect(ids.map((id) => scheduler.job(id)?.payload)).toEqual([10, 11, 12, 13, 14, 15].map((n) => ({ n })))
    expect(scheduler.job(lost[0]?.id ?? '')?.payload).toEqual({ n: place })
    const settled = await scheduler.advance('1h')
    expect(settled.map(({ result }) => result)).toEqual([10, 11, 12, 13, 14, 15, place])
    expect(settled.slice(0, -1).map(({ id }) => id)).toEqual(ids)
  })

  it('and settled: its place in the table is used again', async () => {
    const lost = await lostJobs(3)
    const scheduler = testScheduler({ keep: { completed: 0 } })
    scheduler.restore(lost.slice(2))
    for (let n = 0; n < 50; n++) {
      const ids = [0, 1].map((m) => scheduler.defer(work, { n: n * 2 + m }).id)
      expect(ids).not.toContain(lost[2]?.id)
      await scheduler.run()
      expect(scheduler.stats()).toMatchObject({ scheduled: 1, completed: n * 2 + 2 })
    }
    await scheduler.advance('1h')
    expect(scheduler.stats()).toMatchObject({ scheduled: 0, completed: 101 })
  })
})

it('a handler is told the same id as its caller, after lost jobs were taken back', async () => {
  const scheduler = testScheduler()
  const told = defineTask('ids.told', (_: undefined, { id }) => id, { lane: 'io' })
  scheduler.restore((await lostJobs(3)).slice(2))
  const jobs = [0, 1, 2, 3].map(() => scheduler.defer(told))
  await scheduler.run()
  expect(jobs.map((job) => job.snapshot().result)).toEqual(jobs.map(({ id }) => id))
})

it('a flow that is deferred after lost flows were taken back has an id of its own', async () => {
  const step = { task: work, payload: { n: 1 } }
  const before = testScheduler()
  for (let n = 0; n < 5; n++) before.chain([{ ...step, options: { delay: '1h' } }])
  const { lost } = await before.close({ timeout: 0 })
  for (const one of lost) {
    const scheduler = testScheduler()
    scheduler.restore([one])
    scheduler.defer(work, { n: 0 }) // flows are numbered among jobs: so they come to the lost one's number
    const flows = [0, 1, 2, 3, 4, 5].map(() => scheduler.chain([step]))
    expect(new Set([one.flow?.id, ...flows.map(({ id }) => id)]).size).toBe(7)
    await scheduler.run()
    expect(flows.map(({ state }) => state)).toEqual(new Array(6).fill('completed'))
    expect(scheduler.flowOverview(one.flow?.id ?? '')?.state).toBe('running')
  }
})
