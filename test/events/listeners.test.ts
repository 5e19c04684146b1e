import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/index.js'

function makeScheduler() {
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  return scheduler
}

it('a listener added with on and with once is called twice at first and once from then on', async () => {
  const scheduler = makeScheduler()
  const heard: string[] = []
  const listener = ({ id }: { id: string }) => void heard.push(id)
  scheduler.on('accepted', listener).once('accepted', listener)
  await scheduler.defer(() => 1, { id: 'first' }).result()
  await scheduler.defer(() => 1, { id: 'second' }).result()
  expect(heard).toEqual(['first', 'first', 'second'])
})

it('a listener that is taken off is not called again', async () => {
  const scheduler = makeScheduler()
  const heard: string[] = []
  const listener = ({ id }: { id: string }) => void heard.push(id)
  scheduler.on('accepted', listener)
  await scheduler.defer(() => 1, { id: 'first' }).result()
  scheduler.off('accepted', listener)
  await scheduler.defer(() => 1, { id: 'second' }).result()
  expect(heard).toEqual(['first'])
})

it.each(['on', 'once', 'off'] as const)(
  '%s refuses an event there is none of, and what is no function',
  (call) => {
    const scheduler = makeScheduler()
    const refused = (message: string): unknown => expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION', message: expect.stringContaining(message) as string }) // prettier-ignore
    expect(() => scheduler[call]('complete' as never, () => undefined)).toThrow(
      refused("There is no event 'complete'. Known are: accepted,"),
    )
    for (const bad of [undefined, null, 5, {}])
      expect(() => scheduler[call]('completed', bad as never)).toThrow(
        refused("The listener for 'completed' is"),
      )
    expect(scheduler.off('completed', () => undefined)).toBe(scheduler)
  },
)

it('what an asynchronous listener rejects with is logged, as what another throws', async () => {
  const lines: unknown[] = []
  const sink = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const scheduler = createScheduler({ logger: pino({ level: 'error' }, sink) })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  scheduler.on('completed', async () => {
    await Promise.resolve()
    throw new Error('the hook is down')
  })
  // One of another library, which is not what the runtime calls a promise.
  const rejecting = {
    then: (_met: unknown, failed: (error: unknown) => void) => failed(new Error('so is this')),
  }
  scheduler.on('completed', (() => rejecting) as never)
  await scheduler.defer(() => 1).result()
  await new Promise((resolve) => setImmediate(resolve))
  expect(lines).toMatchObject([
    { event: 'completed', err: { message: 'so is this' }, msg: 'a listener of the scheduler threw' },
    { event: 'completed', err: { message: 'the hook is down' }, msg: 'a listener of the scheduler threw' },
  ])
})
