import { expect, test } from 'vitest'
import { outcomeOfThrown } from '../../src/job/outcome.js'
import { PermanentError, RetryLater, Snooze } from '../../src/task/control.js'

test('what a handler throws becomes an outcome', () => {
  expect(outcomeOfThrown(new Error('x'))).toMatchObject({
    kind: 'threw',
    permanent: false,
    error: { message: 'x' },
  })
  expect(outcomeOfThrown(new PermanentError('x'))).toMatchObject({ kind: 'threw', permanent: true })
  expect(outcomeOfThrown(new RetryLater('2s', { reason: '429' }))).toMatchObject({
    kind: 'retry-later',
    delayMs: 2_000,
    error: { message: '429' },
  })
  expect(outcomeOfThrown(new Snooze(0))).toStrictEqual({ kind: 'snoozed', delayMs: 0 })
})

test('the classes of another copy of the package are known by their code', () => {
  class OtherSnooze extends Error {
    code = 'ERR_SIDEWORK_SNOOZE'
    delayMs = 5
  }
  expect(outcomeOfThrown(new OtherSnooze())).toStrictEqual({ kind: 'snoozed', delayMs: 5 })
})

test.each([NaN, -1, Infinity, '5', undefined, 1e15])(
  'a delay of %s under our code is an ordinary failure',
  (delayMs) => {
    for (const code of ['ERR_SIDEWORK_SNOOZE', 'ERR_SIDEWORK_RETRY_LATER']) {
      const thrown = Object.assign(new Error('x'), { code, delayMs })
      expect(outcomeOfThrown(thrown)).toMatchObject({ kind: 'threw', permanent: false })
    }
  },
)

test('B2: whatever is thrown, there is an outcome', () => {
  const proxy = new Proxy(
    {},
    {
      get(_, key) {
        if (key === 'code') return 'ERR_SIDEWORK_SNOOZE'
        throw new Error('trap')
      },
    },
  )
  for (const thrown of [undefined, null, 'text', 1, Symbol('s'), Object.create(null), proxy]) {
    const outcome = outcomeOfThrown(thrown)
    expect(outcome).toMatchObject({ kind: 'threw', permanent: false })
    expect(structuredClone(outcome)).toStrictEqual(outcome)
  }
})
