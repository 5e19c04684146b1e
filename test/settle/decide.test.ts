import { expect, test } from 'vitest'
import type { Outcome } from '../../src/job/outcome.js'
import { readBackoff } from '../../src/task/backoff-options.js'
import { decide, type Facts, type Verdict } from '../../src/settle/decide.js'

const error = { name: 'Error', message: 'x' }
const outOfMemory = { ...error, code: 'ERR_SIDEWORK_OUT_OF_MEMORY' }
const facts = (overrides: Partial<Facts> = {}): Facts => ({
  attempt: 1,
  maxAttempts: 3,
  backoff: readBackoff({ type: 'fixed', delay: 10 }),
  random: () => 0.5,
  outOfMemoryBefore: false,
  ...overrides,
})
const threw: Outcome = { kind: 'threw', error, permanent: false }
const retry: Verdict = { kind: 'retry', delayMs: 10, error }
const fail: Verdict = { kind: 'fail', error }

test.each<[string, Outcome, Partial<Facts>, Verdict]>([
  ['a handler that returned completes its job', { kind: 'completed' }, {}, { kind: 'complete' }],
  [
    'a refused result does not undo the work',
    { kind: 'completed', resultRefused: 'x' },
    {},
    { kind: 'complete', resultRefused: 'x' },
  ],
  [
    'a job that completed after its expiry is completed',
    { kind: 'completed' },
    { expiresInRemainingMs: -1 },
    { kind: 'complete' },
  ],
  ['a failed attempt is retried', threw, {}, retry],
  ['the last failed attempt fails the job', threw, { attempt: 3 }, fail],
  ['a permanent error fails the job at once', { ...threw, permanent: true }, {}, fail],
  ['a backoff of false fails the job', threw, { backoff: readBackoff(() => false) }, fail],
  ['a timed out attempt is retried', { kind: 'timed-out', error }, {}, retry],
  ['the last timed out attempt fails the job', { kind: 'timed-out', error }, { attempt: 3 }, fail],
  ['B8: an attempt that ended its thread is retried', { kind: 'lost-thread', error }, {}, retry],
  [
    'B12: the first out of memory is retried',
    { kind: 'lost-thread', error: outOfMemory },
    {},
    { ...retry, error: outOfMemory },
  ],
  [
    'B12: the second out of memory fails the job',
    { kind: 'lost-thread', error: outOfMemory },
    { outOfMemoryBefore: true },
    { ...fail, error: outOfMemory },
  ],
  [
    'another crash after an out of memory is retried',
    { kind: 'lost-thread', error },
    { outOfMemoryBefore: true },
    retry,
  ],
  [
    'RetryLater names its own delay',
    { kind: 'retry-later', delayMs: 7, error },
    {},
    { ...retry, delayMs: 7 },
  ],
  [
    'RetryLater on the last attempt fails the job',
    { kind: 'retry-later', delayMs: 7, error },
    { attempt: 3 },
    fail,
  ],
  [
    'a snoozed job runs again, also on its last attempt',
    { kind: 'snoozed', delayMs: 7 },
    { attempt: 3 },
    { kind: 'snooze', delayMs: 7 },
  ],
  [
    'an interrupted job is queued again, also on its last attempt',
    { kind: 'interrupted' },
    { attempt: 3 },
    { kind: 'requeue' },
  ],
  [
    'a cancelled job is cancelled',
    { kind: 'cancelled', error },
    { expiresInRemainingMs: -1 },
    { kind: 'cancel', error },
  ],
  [
    'C16: a retry after the expiry has passed expires the job',
    threw,
    { expiresInRemainingMs: 0 },
    { kind: 'expire', error: threw.error },
  ],
  [
    'C16: a snooze after the expiry has passed expires the job',
    { kind: 'snoozed', delayMs: 0 },
    { expiresInRemainingMs: -1 },
    { kind: 'expire' },
  ],
  [
    'C16: an interruption after the expiry has passed expires the job',
    { kind: 'interrupted' },
    { expiresInRemainingMs: -1 },
    { kind: 'expire' },
  ],
  [
    'C16: the last failure after the expiry has passed is a failure',
    threw,
    { attempt: 3, expiresInRemainingMs: -1 },
    fail,
  ],
  ['C16: a retry that will expire is a retry until then', threw, { expiresInRemainingMs: 5 }, retry],
])('%s', (_, outcome, overrides, verdict) => {
  expect(decide(outcome, facts(overrides))).toStrictEqual(verdict)
})

test('a broken backoff function is told with the verdict', () => {
  expect(decide(threw, facts({ backoff: readBackoff(() => NaN) }))).toMatchObject({
    kind: 'retry',
    delayMs: 60_000,
    backoffFault: { name: 'OptionError' },
  })
})
