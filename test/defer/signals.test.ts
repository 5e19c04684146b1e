/** The `signal` given to `defer`: whatever state its job is in, the job is cancelled when it aborts. */
import { expect, it } from 'vitest'
import { failsWith } from '../simulation/script.js'
import { makeSim } from '../simulation/sim.js'

it('cancels its job in a later generation too', () => {
  const sim = makeSim()
  const controller = new AbortController()
  const task = sim.task('t', failsWith('no'), { attempts: 1 })
  const job = sim.scheduler.defer(task, 1, { signal: controller.signal })
  sim.advance(10)
  expect(job.state).toBe('failed')
  sim.scheduler.pause()
  expect(sim.scheduler.retry(job.id)).toBe(true)
  expect(job.state).toBe('ready')
  controller.abort()
  expect(job.snapshot()).toMatchObject({ state: 'cancelled', generation: 2 })
})

it('that has aborted does not keep its job from being retried: whoever retries it knows', () => {
  const sim = makeSim()
  const controller = new AbortController()
  const job = sim.scheduler.defer(sim.task('t'), 1, { signal: controller.signal, delay: 100 })
  controller.abort()
  expect(job.state).toBe('cancelled')
  expect(sim.scheduler.retry(job.id)).toBe(true)
  sim.advance(10)
  expect(job.state).toBe('completed')
})

it.each([
  ['text', 'the visitor has left', 'the visitor has left'],
  ['an error', new Error('the visitor has left'), 'the visitor has left'],
  ['nothing', undefined, 'This operation was aborted'],
  ['something else', { code: 5 }, 'The job was cancelled.'],
])('that aborts with %s says so in the error of its job', async (_what, reason, message) => {
  const sim = makeSim()
  const controller = new AbortController()
  const job = sim.scheduler.defer(sim.task('t'), 1, { signal: controller.signal, delay: 100 })
  const result = job.result()
  controller.abort(reason)
  await expect(result).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED', cause: { message } })
})
