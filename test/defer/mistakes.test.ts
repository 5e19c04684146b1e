/** Mistakes in calls: each is told at the call, with a code, and changes nothing. */
import { expect, it, onTestFinished } from 'vitest'
import { createScheduler, defineTask, type Scheduler, type TaskContext } from '../../src/index.js'

function makeScheduler() {
  const scheduler = createScheduler({ logger: false, defaults: { lane: 'main', attempts: 1, killAfter: 0 } })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

const endless = () => new Promise(() => undefined)
const unreadable = {
  toString() {
    throw new Error('not text')
  },
}

const calls: readonly (readonly [string, (scheduler: Scheduler) => unknown])[] = [
  ['a reason for cancelling that is no text', (s) => s.cancel(s.defer(endless).id, unreadable as never)],
  ['a reason that is no text, given to a job', (s) => s.defer(endless).cancel(5 as never)],
  ['an unknown option of result()', (s) => s.defer(endless).result({ timeOut: 5 } as never)],
  ['options of result() that are none', (s) => s.defer(endless).result(5 as never)],
  [
    'options of a closure in the place of a task’s',
    (s) => Reflect.apply(s.defer, s, [endless, undefined, { id: 'a' }]),
  ],
  ['a listener that is no function', (s) => s.on('completed', 5 as never)],
]

it.each(calls)('%s is refused at the call', (_name, call) => {
  const scheduler = makeScheduler()
  expect(() => call(scheduler)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }))
  expect(scheduler.stats().cancelled).toBe(0)
})

it('a signal whose reason has no readable message cancels its job all the same', async () => {
  const scheduler = makeScheduler()
  const controller = new AbortController()
  const job = scheduler.defer(endless, { signal: controller.signal })
  const result = job.result()
  controller.abort(Object.assign(new Error('x'), { message: unreadable }))
  await expect(result).rejects.toMatchObject({ code: 'ERR_SIDEWORK_CANCELLED' })
})

const child = defineTask('mistakes.child', () => undefined)
const inHandlers: readonly (readonly [string, (context: TaskContext) => unknown])[] = [
  ['a signal', (context) => context.defer(child, undefined, { signal: context.signal } as never)],
  ['a backoff function', (context) => context.defer(child, undefined, { backoff: () => 5 } as never)],
  ['a closure', (context) => context.defer(function mistakesChild() {} as never)],
]

it.each(inHandlers)('%s in context.defer is refused, with a code', async (_name, call) => {
  const scheduler = makeScheduler()
  const run = async (context: TaskContext) => {
    await call(context)
  }
  await expect(scheduler.defer(run).result()).rejects.toMatchObject({
    cause: { code: 'ERR_SIDEWORK_OPTION' },
  })
  expect(scheduler.stats().accepted).toBe(1)
})

it('a name that no task has is refused with the names there are, those that begin alike first', () => {
  for (let n = 0; n < 12; n++) defineTask(`other-${n}`, () => undefined)
  defineTask('send-reset', () => undefined)
  defineTask('send-welcome', () => undefined)
  expect(() => makeScheduler().defer('send-welcom')).toThrow(
    expect.objectContaining({
      code: 'ERR_SIDEWORK_UNKNOWN_TASK',
      message: expect.stringMatching(
        /^No task is named 'send-welcom'\. Known are: 'send-welcome', 'send-reset', .* and \d+ more\. Import the module/,
      ) as string,
    }),
  )
})
