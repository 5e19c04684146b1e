/** What the random schedules found, each as what a user saw. */
import { describe, expect, it } from 'vitest'
import { neverEnds } from './script.js'
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

  it('a debounced job passes the limits of its latest payload', () => {
    const sim = makeSim()
    const options = { rateLimit: { limit: 1, per: 100, key: ({ key }: { key: string }) => key } }
    const task = sim.task('keyed', {}, options as never)
    sim.scheduler.defer(task, { key: 'b' })
    sim.advance(1)
    sim.scheduler.defer(task, { key: 'a' }, { delay: 5, dedupe: { key: 'x', mode: 'last' } })
    sim.scheduler.defer(task, { key: 'b' }, { delay: 5, dedupe: { key: 'x', mode: 'last' } })
    sim.advance(50)
    expect(sim.began).toHaveLength(1)
  })

  it('a debounced job expires counted from its latest due time', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    const options = { delay: 10, expiresIn: 5, dedupe: { key: 'x', mode: 'last' } } as const
    sim.scheduler.defer(task, 1, options)
    sim.advance(8)
    const job = sim.scheduler.defer(task, 2, options)
    sim.advance(50)
    expect(job.state).toBe('completed')
  })

  it('a held job with a runAt in the past expires counted from its release', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    const job = sim.scheduler.hold(undefined, task, 1, { runAt: sim.world.clock.wall() + 5, expiresIn: 5 })
    sim.advance(20)
    sim.scheduler.releaseHeld([job.id])
    sim.advance(1)
    expect(job.state).toBe('completed')
  })

  it('a dedupe ttl is over also while the event loop is blocked', () => {
    const sim = makeSim()
    const task = sim.task('mail')
    sim.scheduler.defer(task, 1, { dedupe: { key: 'x', ttl: 10 } })
    sim.advance(1)
    sim.world.block(20)
    expect(sim.scheduler.defer(task, 2, { dedupe: { key: 'x', ttl: 10 } }).deduplicated).toBe(false)
  })

  it('setPriority on a job that was retried while its old attempt still runs does not start it twice', () => {
    const sim = makeSim()
    const task = sim.task('slow', neverEnds, { lane: 'io', killAfter: 1000 })
    const job = sim.scheduler.defer(task, 1)
    sim.advance(1)
    job.cancel()
    sim.scheduler.retry(job.id)
    sim.scheduler.setPriority(job.id, 9)
    sim.advance(5)
    expect(sim.began).toHaveLength(1)
  })

  it('held jobs of one dedupe key that were all lost at close run after restore', async () => {
    const before = makeSim()
    const options = { orderingKey: 'k', dedupe: { key: 'x', mode: 'last' } } as const
    for (const n of [3, 2, 1])
      before.scheduler.hold(undefined, before.task('mail'), n, { ...options, delay: n })
    const { lost } = await before.close({ timeout: 0 }, 1000)
    const after = makeSim()
    after.task('mail')
    const jobs = after.scheduler.restore(lost)
    after.advance(100)
    expect(jobs.map(({ state }) => state)).toEqual(['completed', 'completed', 'completed'])
  })

  it('a paused task leaves nothing on the agenda', () => {
    const sim = makeSim()
    sim.scheduler.pause(sim.task('mail'))
    expect(sim.scheduler.inspect()['agenda']).toBe(0)
  })
})
