import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readBackoff } from '../../src/task/backoff-options.js'
import { retryDelayMs } from '../../src/settle/backoff.js'

const error = { name: 'Error', message: 'x' }
const durationMs = fc.oneof(fc.nat(100_000), fc.double({ min: 0, max: 3.15e11, noNaN: true }))
const jitter = fc.double({ min: 0, max: 1, noNaN: true })
const factor = fc.oneof(fc.constant(1), fc.double({ min: 1, max: 1e308, noNaN: true }))
const attempt = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 1e9 }))
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('I7 A16: a retry delay lies within delay·(1−jitter) and max·(1+jitter), for attempts 1 to 1e9', () => {
  fc.assert(
    fc.property(durationMs, durationMs, factor, jitter, attempt, chance, (a, b, times, spread, n, random) => {
      const [delay, max] = [Math.min(a, b), Math.max(a, b, 1)]
      const policy = readBackoff({ type: 'exponential', delay, max, factor: times, jitter: spread })
      const delayMs = Number(retryDelayMs(policy, n, error, () => random).delayMs)
      expect(delayMs).toBeGreaterThanOrEqual(delay * (1 - spread))
      expect(delayMs).toBeLessThanOrEqual(max * (1 + spread))
    }),
    { numRuns: 3_000 },
  )
})

test('I7: a fixed delay stays within its jitter', () => {
  fc.assert(
    fc.property(durationMs, jitter, attempt, chance, (delay, spread, n, random) => {
      const policy = readBackoff({ type: 'fixed', delay, jitter: spread })
      const delayMs = Number(retryDelayMs(policy, n, error, () => random).delayMs)
      expect(delayMs).toBeGreaterThanOrEqual(delay * (1 - spread))
      expect(delayMs).toBeLessThanOrEqual(delay * (1 + spread))
    }),
  )
})

test('I7 A12: whatever a backoff function answers, the delay is false or finite and not negative', () => {
  fc.assert(
    fc.property(fc.anything(), attempt, chance, (answer, n, random) => {
      const { delayMs } = retryDelayMs(
        readBackoff(() => answer),
        n,
        error,
        () => random,
      )
      expect(delayMs === false || (Number.isFinite(delayMs) && delayMs >= 0)).toBe(true)
    }),
  )
})
