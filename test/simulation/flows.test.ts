import { expect, it } from 'vitest'
import type { FlowSeedsReport } from './flow-run.js'
import { reportOf } from './test-seeds.js'

it('1,000 random schedules of flows keep every invariant', { timeout: 120_000 }, async () => {
  const report = (await reportOf('flow-run', 1, 1000)) as FlowSeedsReport // as it prints
  expect(report).toEqual({
    reached: [
      'a callback ran',
      'a deadline took several turns',
      'a lost step was not restored',
      'a step saw one that did not complete',
      'a step was retried',
      'an empty batch',
      'steps were lost and restored',
      'the queue was full',
    ],
  })
})
