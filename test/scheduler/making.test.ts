/** A scheduler that was made and not used yet is nothing but an object; one that was used cleans up after itself. */
import { expect, it } from 'vitest'
import { createScheduler } from '../../src/index.js'
import { makeSim } from '../simulation/sim.js'

it('making one starts no timer and no thread, and looks at no file', () => {
  const before = process.getActiveResourcesInfo().sort()
  const listeners = process.eventNames().map((name) => process.listenerCount(name))
  const scheduler = createScheduler({
    tasks: './there-is-no-such-file.js',
    threads: { cpu: 2, minIdle: 1 },
    logger: false,
  })
  expect(scheduler.stats()).toMatchObject({ accepted: 0, threads: 0 })
  expect(process.getActiveResourcesInfo().sort()).toEqual(before)
  expect(process.eventNames().map((name) => process.listenerCount(name))).toEqual(listeners)
})

it('await using closes it, and what is ready is run first', async () => {
  const ran: number[] = []
  let state: string
  {
    await using scheduler = createScheduler({ logger: false })
    const job = scheduler.defer(() => void ran.push(1))
    scheduler.on('closed', () => ran.push(2))
    state = job.state
  }
  expect([state, ran]).toEqual(['ready', [1, 2]])
})

it('stats() has every figure that is promised, and no other', () => {
  const sim = makeSim()
  sim.scheduler.defer(sim.task('t', { takesMs: 10 }))
  sim.advance(0)
  const { lanes, perTask, ...figures } = sim.scheduler.stats()
  const states = { held: 0, scheduled: 0, blocked: 0, ready: 0, running: 1, retrying: 0, completed: 0, failed: 0, cancelled: 0, expired: 0 } // prettier-ignore
  expect(figures).toEqual({ ...states, accepted: 1, abandoned: 0, threads: 1, queuedBytes: expect.any(Number) as number, oldestWaitMs: 0, eventLoopDelayMs: 0 }) // prettier-ignore
  expect(perTask).toEqual({ t: states })
  expect(lanes.cpu).toEqual({ ready: 0, threads: 1, outstanding: 1 })
  expect(Object.keys(lanes)).toEqual(['cpu', 'io', 'main'])
})
