/** Names of tasks: two tasks of one name are a mistake, a module that is evaluated again is none. */
import { expect, it } from 'vitest'
import { createScheduler, defineTask } from '../../src/index.js'

const main = { lane: 'main' } as const
const duplicate = expect.objectContaining({ code: 'ERR_SIDEWORK_TASK_DUPLICATE' }) as Error

it('two different tasks of one name are refused where both are used', () => {
  const scheduler = createScheduler({ logger: false })
  const first = defineTask('define.twice', () => 'first', main)
  const second = defineTask('define.twice', () => 'second', main)
  scheduler.defer(second)
  expect(() => scheduler.defer(first)).toThrow(duplicate)
  expect(scheduler.stats().accepted).toBe(1)
})

it('a module that is evaluated again defines its tasks anew: the last definition counts from then on', async () => {
  const scheduler = createScheduler({ logger: false })
  const run = async (n: number): Promise<unknown> =>
    scheduler.defer(defineTask('define.again', () => n, main)).result()
  expect([await run(1), await run(2), await run(3)]).toEqual([1, 2, 3])
})

it('another scheduler may use another task of the name', () => {
  const first = defineTask('define.elsewhere', () => 'first', main)
  createScheduler({ logger: false }).defer(first)
  const second = defineTask('define.elsewhere', () => 'second', main)
  expect(() => createScheduler({ logger: false }).defer(second)).not.toThrow()
})
