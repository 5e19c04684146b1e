import { expect, it, onTestFinished } from 'vitest'
import { createScheduler, type TaskContext } from '../../src/index.js'

/** What a handler that calls `run` returns. */
async function resultOf<R>(run: (context: TaskContext) => R) {
  const scheduler = createScheduler({ logger: false, defaults: { attempts: 1 } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return { scheduler, result: await scheduler.defer(run, { id: 'a' }).result() }
}

it('progress is what was reported, whatever the handler does with the object afterwards', async () => {
  const { scheduler } = await resultOf(({ progress }) => {
    const value: { ratio: number; amount?: bigint } = { ratio: 0.5 }
    progress(value)
    value.ratio = 7
    value.amount = 1n
  })
  expect(scheduler.job('a')?.progress).toEqual({ ratio: 0.5 })
})

it('progress that waits to be told is what was reported, too', async () => {
  const { scheduler } = await resultOf(({ progress }) => {
    const value = { ratio: 0.5 }
    progress(0.1)
    progress(value)
    value.ratio = 7
  })
  expect(scheduler.job('a')?.progress).toEqual({ ratio: 0.5 })
})

it('progress in a snapshot cannot be changed', async () => {
  const { scheduler } = await resultOf(({ progress }) => progress({ ratio: 0.5, nested: { done: 1 } }))
  const value = scheduler.job('a')?.progress as unknown as { nested: { done: number } }
  expect(() => (value.nested.done = 2)).toThrow(TypeError)
})

it('progress of over 8 KB is refused as such', async () => {
  await expect(resultOf(({ progress }) => progress({ message: 'x'.repeat(10_000) }))).rejects.toThrow(
    /The progress is at least \d+ bytes of JSON; at most 8192 are allowed\. Report less/,
  )
})
