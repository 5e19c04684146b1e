/** What the types of the matchers accept and refuse, under vitest's `expect`. */
import { defineTask } from 'sidework'
import { createTestScheduler, perform, type ContextOverrides } from 'sidework/testing'
import type { ErrorPattern } from 'sidework/testing/matchers'
import { expect } from 'vitest'

const mail = defineTask('types.mail', ({ to }: { to: string }) => to.length)

/** What wrappers of a test's own need to name. */
export function wrappers(overrides: ContextOverrides, error: ErrorPattern) {
  expect(createTestScheduler()).toHaveSettled(mail, { state: 'failed', error })
  return perform(mail, { to: 'a' }, { ...overrides, attempt: 3 })
}

export function matchers() {
  const scheduler = createTestScheduler()
  expect(scheduler).toHaveDeferred(mail)
  expect(scheduler).toHaveDeferred(mail, { to: 'a' }, { times: 1, delay: '1m', priority: 'high' })
  expect(scheduler).toHaveDeferred('types.mail', 'anything')
  expect(scheduler).not.toHaveSettled(mail, 'failed')
  expect(scheduler).toHaveSettled(mail, { state: 'completed', result: 1, attempt: 2, error: /no/ })
  expect(scheduler).toHaveRetried(mail, { times: 2, after: ['1m', 2_000], jitter: 0 })
  // @ts-expect-error another payload than the task's
  expect(scheduler).toHaveDeferred(mail, { to: 1 })
  // @ts-expect-error a payload that lacks a field
  expect(scheduler).toHaveDeferred(mail, {})
  // @ts-expect-error no such expectation
  expect(scheduler).toHaveDeferred(mail, { to: 'a' }, { time: 1 })
  // @ts-expect-error no state in which a job is settled
  expect(scheduler).toHaveSettled(mail, 'running')
  // @ts-expect-error not a duration
  expect(scheduler).toHaveRetried(mail, { after: [true] })
  // @ts-expect-error no task
  expect(scheduler).toHaveRetried(1)
}
