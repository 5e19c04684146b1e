/** The matchers: what they find, and what they say when they do not. */
import { describe, expect, it } from 'vitest'
import { defineTask } from '../../src/index.js'
import { matchers } from '../../src/testing/matchers.js'
import { testScheduler } from './kit.js'

const mail = defineTask('mail', (_: { to: string; copies?: number }) => ({ sent: true }), { lane: 'io' })
const report = defineTask('report', (_: void) => 1, { attempts: 2 })

/** What a failing expectation says, without colours. */
function said(expectation: () => void): string {
  try {
    expectation()
  } catch (error) {
    // eslint-disable-next-line no-control-regex
    return (error as Error).message.replaceAll(/\u001b\[\d+m/g, '')
  }
  throw new Error('The expectation held.')
}

describe('toHaveDeferred', () => {
  it('finds a job by its task, its payload and what was said of it', () => {
    const scheduler = testScheduler()
    scheduler.defer(mail, { to: 'a' }, { priority: 'high', delay: '10m', orderingKey: 'k' })
    scheduler.defer(mail, { to: 'b', copies: 2 })
    expect(scheduler).toHaveDeferred(mail)
    expect(scheduler).toHaveDeferred('mail', { to: 'a' })
    expect(scheduler).toHaveDeferred(
      mail,
      { to: 'a' },
      { times: 1, priority: 'high', delay: '10m', orderingKey: 'k' },
    )
    expect(scheduler).toHaveDeferred(mail, expect.objectContaining({ to: 'b' }) as { to: string })
    expect(scheduler).toHaveDeferred(mail, undefined, { times: 2 })
    expect(scheduler).not.toHaveDeferred(mail, { to: 'b' })
    expect(scheduler).not.toHaveDeferred(mail, { to: 'a' }, { delay: '11m' })
    expect(scheduler).not.toHaveDeferred(report)
    expect(scheduler).not.toHaveDeferred(mail, undefined, { times: 1 })
  })

  it('says that nothing has run yet', async () => {
    const scheduler = testScheduler()
    scheduler.defer(report)
    const told = (): string => said(() => expect(scheduler).toHaveSettled(report))
    expect(told()).toContain('None has ended yet: await scheduler.run()')
    scheduler.cancelAll()
    expect(scheduler).toHaveSettled(report, 'cancelled')
    await scheduler.run()
  })

  it('knows after how long a job was first due, whatever has become of it', async () => {
    const scheduler = testScheduler()
    scheduler.defer(report, undefined, { delay: '10m' })
    scheduler.failNext(report, new Error('no'), 2)
    await scheduler.advance('1h')
    expect(scheduler).toHaveRetried(report, { times: 1 })
    expect(scheduler).toHaveDeferred(report, undefined, { times: 1, delay: '10m' })
    scheduler.retry(scheduler.deferred(report)[0]?.id ?? '')
    expect(scheduler).toHaveDeferred(report, undefined, { times: 1, delay: '10m' })
    await scheduler.run()
    expect(scheduler).toHaveDeferred(report, undefined, { times: 1, delay: '10m' })

    const held = scheduler.hold(undefined, mail, { to: 'held' }, { delay: '5m' })
    const debounced = { delay: '5m', dedupe: { key: 'k', mode: 'last' } } as const
    scheduler.defer(mail, { to: 'early' }, debounced)
    scheduler.releaseHeld([held.id])
    await scheduler.advance('2m')
    scheduler.defer(mail, { to: 'late' }, debounced)
    scheduler.failNext(mail, new Error('no'), 2)
    await scheduler.advance('1h')
    expect(scheduler).toHaveDeferred(mail, { to: 'held' }, { delay: '5m' })
    expect(scheduler).toHaveDeferred(mail, { to: 'late' }, { delay: '7m' })
  })

  it('says what is different about the closest job, and which jobs there are', () => {
    const scheduler = testScheduler()
    scheduler.defer(mail, { to: 'eve', copies: 3 })
    scheduler.defer(mail, { to: 'asha', copies: 1 })
    scheduler.defer(report)
    const told = said(() => expect(scheduler).toHaveDeferred(mail, { to: 'asha', copies: 2 }))
    expect(told).toContain(
      '1 of 2'.replace('1', '0') + " deferred jobs of task 'mail' fit; expected at least 1.",
    )
    expect(told).toMatch(/- +"copies": 2,\n\+ +"copies": 1,/)
    expect(told).not.toMatch(/[-+].*eve/)
    expect(told).toMatch(/Deferred were:\n {2}mail ready, attempt 0 {2}.*eve.*\n.*asha.*\n {2}report ready/)
    expect(said(() => expect(scheduler).not.toHaveDeferred(report))).toContain(
      "1 of 1 deferred jobs of task 'report' fit; expected none.",
    )
    expect(said(() => expect(testScheduler()).toHaveDeferred(mail))).toContain('No job was deferred.')
  })

  it('refuses what is no test scheduler, no task and no expectation', () => {
    expect(() => expect({}).toHaveDeferred(mail)).toThrow(
      'toHaveDeferred got an object. Give expect() what createTestScheduler() returned.',
    )
    expect(() => expect(undefined).toHaveDeferred(mail)).toThrow('toHaveDeferred got undefined')
    expect(() => expect(testScheduler()).toHaveDeferred('mial')).toThrow("No task is named 'mial'")
    expect(() => expect(testScheduler()).toHaveDeferred(mail, undefined, { time: 1 } as object)).toThrow(
      "unknown option 'time'",
    )
  })
})

describe('toHaveSettled', () => {
  it('finds a settled job by its end', async () => {
    const scheduler = testScheduler()
    scheduler.defer(mail, { to: 'a' })
    scheduler.failNext(report, new Error('no paper'), 2)
    scheduler.defer(report)
    expect(scheduler).not.toHaveSettled(mail)
    await scheduler.advance('5m')
    expect(scheduler).toHaveSettled(mail, 'completed')
    expect(scheduler).toHaveSettled(mail, {
      payload: { to: 'a' },
      result: { sent: true },
      attempt: 1,
      times: 1,
    })
    expect(scheduler).toHaveSettled(report, { state: 'failed', error: 'paper', attempt: 2 })
    expect(scheduler).toHaveSettled(report, { error: /^no/ })
    expect(scheduler).not.toHaveSettled(mail, 'failed')
    expect(scheduler).not.toHaveSettled(report, { error: 'ink' })
    const told = said(() => expect(scheduler).toHaveSettled(report, 'completed'))
    expect(told).toContain("0 of 1 settled jobs of task 'report' fit; expected at least 1.")
    expect(told).toMatch(/- +"state": "completed",\n\+ +"state": "failed",/)
    expect(told).toContain('report failed, attempt 2')
    expect(told).toContain('no paper')
  })
})

it('an error may be given as a pattern with flags, which means the same for every job', async () => {
  const scheduler = testScheduler()
  scheduler.failNext(report, new Error('no paper, no ink'), 3)
  for (let n = 0; n < 3; n++) scheduler.defer(report, undefined, { attempts: 1 })
  scheduler.failNext(mail, new Error('busy'), 2)
  scheduler.defer(mail, { to: 'a' })
  await scheduler.advance('1h')
  const pattern = /no/g
  expect(scheduler).toHaveSettled(report, { error: pattern, times: 3 })
  expect(scheduler).toHaveSettled(report, { error: pattern, times: 3 })
  expect(scheduler).toHaveRetried(mail, { error: /busy/g, times: 2 })
})

it('a number of times that is none is refused', () => {
  const scheduler = testScheduler()
  scheduler.defer(report)
  for (const times of [-1, 1.5, '1' as never]) {
    const all = [
      () => expect(scheduler).not.toHaveDeferred(report, undefined, { times }),
      () => expect(scheduler).not.toHaveSettled(report, { times }),
      () => expect(scheduler).not.toHaveRetried(report, { times }),
    ]
    for (const refused of all) expect(refused).toThrow('Give an integer of at least 0.')
  }
})

it('toHaveSettled refuses a state in which no job settles', () => {
  const all = "Give one of 'completed', 'failed', 'cancelled', 'expired'."
  const scheduler = testScheduler()
  expect(() => expect(scheduler).not.toHaveSettled(mail, 'done' as 'failed')).toThrow(
    `toHaveSettled got the state 'done'. ${all}`,
  )
  expect(() => expect(scheduler).not.toHaveSettled(mail, { state: 'running' as 'failed' })).toThrow(all)
})

describe('toHaveRetried', () => {
  it('tells a retry that has not begun from one that has', async () => {
    const scheduler = testScheduler()
    scheduler.failNext(mail, new Error('busy'), 2)
    scheduler.defer(mail, { to: 'a' })
    await scheduler.advance('90s')
    const told = said(() => expect(scheduler).toHaveRetried(mail, { times: 5 }))
    expect(told).toMatch(/Its jobs were retried after: [\d.]+ s, [\d.]+ s \(not begun\)\./)
  })

  it('finds a job that was never retried, where none is expected', async () => {
    const scheduler = testScheduler()
    scheduler.defer(mail, { to: 'a' })
    await scheduler.run()
    expect(scheduler).toHaveRetried(mail, { times: 0 })
    expect(scheduler).not.toHaveRetried(mail)
    expect(scheduler).not.toHaveRetried(report, { times: 0 })
  })

  it('finds the retries of one job, with their waits', async () => {
    const scheduler = testScheduler({ seed: 3 })
    scheduler.failNext(mail, new Error('busy'), 4)
    scheduler.defer(mail, { to: 'a' })
    await scheduler.advance('1h')
    expect(scheduler).toHaveRetried(mail)
    expect(scheduler).toHaveRetried(mail, {
      times: 4,
      after: ['1m', '2m', '4m', '8m'],
      error: 'busy',
      payload: { to: 'a' },
    })
    expect(scheduler).not.toHaveRetried(mail, { after: ['1m', '2m', '4m'] })
    expect(scheduler).not.toHaveRetried(mail, { after: ['1m', '2m', '4m', '9m'] })
    expect(scheduler).not.toHaveRetried(mail, { after: ['1m', '2m', '4m', '8m'], jitter: 0 })
    expect(scheduler).not.toHaveRetried(mail, { times: 3 })
    expect(scheduler).not.toHaveRetried(mail, { payload: { to: 'b' } })
    expect(scheduler).not.toHaveRetried(report)
    const told = said(() => expect(scheduler).toHaveRetried(mail, { times: 3, after: ['1m'] }))
    expect(told).toContain("Expected a job of task 'mail' to be retried 3 times, after 60 s.")
    expect(told).toMatch(
      /Its jobs were retried after: \d+(\.\d)? s, \d+(\.\d)? s, \d+(\.\d)? s, \d+(\.\d)? s\./,
    )
  })
})

it('the matchers can be given to another expect by hand', () => {
  expect(Object.keys(matchers)).toEqual(['toHaveDeferred', 'toHaveSettled', 'toHaveRetried'])
})
