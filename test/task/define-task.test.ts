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

it('of two tasks of one name the later takes it with its first defer, and the earlier is refused from then on', async () => {
  const first = defineTask('define.taken', () => 'first', main)
  const second = defineTask('define.taken', () => 'second', main)
  const byName = createScheduler({ logger: false })
  expect(await byName.defer('define.taken').result()).toBe('second')
  expect(() => byName.defer(first)).toThrow(duplicate)
  const byObject = createScheduler({ logger: false })
  expect(await byObject.defer(first).result()).toBe('first')
  expect(await byObject.defer(second).result()).toBe('second')
  for (let n = 0; n < 2; n++) expect(() => byObject.defer(first)).toThrow(duplicate)
  expect(await byObject.defer('define.taken').result()).toBe('second')
})

it('a job runs the handler of the task with which it was deferred, though a later one has taken its name', async () => {
  const first = defineTask('define.kept', (n: number) => `first ${n}`, main)
  const scheduler = createScheduler({ logger: false })
  scheduler.pause()
  const early = scheduler.defer(first, 1)
  const late = scheduler.defer(
    defineTask('define.kept', (n: number) => `second ${n}`, main),
    2,
  )
  scheduler.resume()
  expect(await Promise.all([early.result(), late.result()])).toEqual(['first 1', 'second 2'])
})

it('a module that is evaluated again defines its tasks anew, also for who defers them by name', async () => {
  const scheduler = createScheduler({ logger: false })
  defineTask('define.anew', () => 'old', { ...main, priority: 1 })
  expect(await scheduler.defer('define.anew').result()).toBe('old')
  defineTask('define.anew', () => 'new', { ...main, priority: 9 })
  const job = scheduler.defer('define.anew')
  expect(await job.result()).toBe('new')
  expect(job.snapshot().priority).toBe(9)
})

it('who asks for the jobs of a task may name it by any of its definitions', async () => {
  const scheduler = createScheduler({ logger: false })
  const old = defineTask('define.asked', () => 'old', main)
  await scheduler.defer(old).result()
  const anew = defineTask('define.asked', () => 'new', main)
  await scheduler.defer(anew).result()
  expect([old, anew, 'define.asked'].map((task) => scheduler.jobs({ task }).length)).toEqual([2, 2, 2])
})

it('another scheduler may use another task of the name', () => {
  const first = defineTask('define.elsewhere', () => 'first', main)
  createScheduler({ logger: false }).defer(first)
  const second = defineTask('define.elsewhere', () => 'second', main)
  expect(() => createScheduler({ logger: false }).defer(second)).not.toThrow()
})

it.each([
  [{ retries: 3 }, "Task 'define.wrong' has an unknown option 'retries'. Known are: lane, attempts,"],
  [{ lane: 'worker' }, "Task 'define.wrong': lane is 'worker'."],
  [{ timeout: '5 parsecs' }, "Task 'define.wrong': timeout is '5 parsecs'."],
])('a mistake in %j is told where the task is defined, and no task is defined', (options, message) => {
  expect(() => defineTask('define.wrong', () => undefined, options as object)).toThrow(message)
  expect(() => createScheduler({ logger: false }).defer('define.wrong')).toThrow('No task is named')
})
