/** What the random schedules found, each as what a user saw. */
import { describe, expect, it } from 'vitest'
import { makeSim } from './sim.js'

describe('found by random schedules', () => {
  it('a job that waits for a rate window behind another key starts when the next window opens', () => {
    const sim = makeSim()
    const options = {
      concurrency: { limit: 1, key: ({ key }: { key: string }) => key },
      rateLimit: { limit: 1, per: 10 },
    }
    const task = sim.task('keyed', {}, options as never)
    sim.scheduler.defer(task, { key: 'a' })
    sim.advance(0)
    sim.scheduler.defer(task, { key: 'b' })
    sim.scheduler.defer(task, { key: 'c' })
    sim.advance(30)
    expect(sim.payloads).toEqual([{ key: 'a' }, { key: 'b' }, { key: 'c' }])
  })

  it('a paused task leaves nothing on the agenda', () => {
    const sim = makeSim()
    sim.scheduler.pause(sim.task('mail'))
    expect(sim.scheduler.inspect()['agenda']).toBe(0)
  })
})
