import { describe, expect, test } from 'vitest'
import { defaultBackoff } from '../../src/job/backoff-policy.js'
import { retryDelayMs } from '../../src/settle/backoff.js'
import { readBackoff } from '../../src/task/backoff-options.js'

const error = { name: 'Error', message: 'x' }
const middle = () => 0.5

test('the default waits 1, 2, 4, 8 … minutes, at most an hour', () => {
  const minutes = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((attempt) => {
    const { delayMs } = retryDelayMs(readBackoff(undefined), attempt, error, middle)
    return Number(delayMs) / 60_000
  })
  expect(minutes).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
})

test('jitter spreads by its share in both directions', () => {
  const policy = readBackoff({ type: 'exponential' })
  expect(retryDelayMs(policy, 1, error, () => 0)).toEqual({ delayMs: 54_000 })
  expect(retryDelayMs(policy, 1, error, () => 0.999999999)).toEqual({ delayMs: 66_000 })
  expect(retryDelayMs(readBackoff({ type: 'fixed', delay: '10s' }), 7, error, () => 0)).toEqual({
    delayMs: 10_000,
  })
})

test('options are read into milliseconds with the defaults filled in', () => {
  expect(readBackoff({ type: 'exponential', delay: '10s', max: '1m' })).toEqual({
    type: 'exponential',
    delayMs: 10_000,
    factor: 2,
    maxMs: 60_000,
    jitter: 0.1,
  })
  expect(readBackoff({ type: 'fixed', delay: 0 })).toEqual({ type: 'fixed', delayMs: 0, jitter: 0 })
  expect(readBackoff({ type: 'exponential', delay: '2h' })).toMatchObject({ maxMs: 7_200_000 })
})

test.each<[unknown, RegExp]>([
  [null, /backoff is null/],
  ['exponential', /backoff is 'exponential'/],
  [{}, /backoff\.type is undefined/],
  [Object.create({ type: 'fixed', delay: 1 }), /backoff\.type is undefined/],
  [{ type: 'linear' }, /backoff\.type is 'linear'/],
  [{ type: 'fixed' }, /backoff\.delay is undefined/],
  [{ type: 'fixed', delay: 1, factor: 2 }, /unknown option 'factor'/],
  [{ type: 'fixed', delay: 1, jitter: null, dealy: 1 }, /unknown option 'dealy'/],
  [{ type: 'fixed', delay: NaN }, /backoff\.delay is NaN/],
  [{ type: 'exponential', delay: -1 }, /backoff\.delay is -1/],
  [{ type: 'exponential', delay: '5' }, /backoff\.delay is '5'/],
  [{ type: 'exponential', factor: 0.5 }, /backoff\.factor is 0\.5/],
  [{ type: 'exponential', factor: Infinity }, /backoff\.factor is Infinity/],
  [{ type: 'exponential', jitter: 1.1 }, /backoff\.jitter is 1\.1/],
  [{ type: 'exponential', jitter: NaN }, /backoff\.jitter is NaN/],
  [{ type: 'exponential', max: 0 }, /backoff\.max is 0/],
  [{ type: 'exponential', delay: '2m', max: '1m' }, /max \(60000 ms\) is below backoff\.delay \(120000 ms\)/],
])('A12 A16: %j is refused with the name of the option', (value, message) => {
  expect(() => readBackoff(value)).toThrow(expect.objectContaining({ code: 'ERR_SIDEWORK_OPTION' }))
  expect(() => readBackoff(value)).toThrow(message)
})

describe('a backoff function', () => {
  test('decides with the attempt and the recorded error', () => {
    const seen: unknown[] = []
    const policy = readBackoff((attempt: number, cause: unknown) => {
      seen.push(attempt, cause)
      return attempt === 3 ? false : '2s'
    })
    expect(retryDelayMs(policy, 1, error, middle)).toEqual({ delayMs: 2_000 })
    expect(retryDelayMs(policy, 3, error, middle)).toEqual({ delayMs: false })
    expect(seen).toEqual([1, error, 3, error])
  })

  test.each([NaN, -1, Infinity, '5', 'soon', {}, undefined, null, true, 1e18, Symbol('s')])(
    'A12: that answers %s is replaced by the default, and the fault is told',
    (answer) => {
      const { delayMs, fault } = retryDelayMs(
        readBackoff(() => answer),
        2,
        error,
        middle,
      )
      expect(delayMs).toBe(2 * defaultBackoff.delayMs)
      expect(fault?.message).toContain('backoff function')
    },
  )

  test('that throws is replaced by the default, and the fault is told', () => {
    const policy = readBackoff(() => {
      throw new TypeError('oops')
    })
    expect(retryDelayMs(policy, 1, error, middle)).toMatchObject({
      delayMs: 60_000,
      fault: { message: 'oops' },
    })
  })

  test('that is async is replaced by the default, and its rejection is not left unhandled', async () => {
    const unhandled: unknown[] = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listener)
    try {
      const policy = readBackoff(() => Promise.reject(new Error('late')))
      expect(retryDelayMs(policy, 1, error, middle)).toMatchObject({ delayMs: 60_000 })
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', listener)
    }
  })
})
