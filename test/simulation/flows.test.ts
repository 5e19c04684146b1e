import { expect, it } from 'vitest'
import { playFlowSeeds } from './flow-play.js'

it('1,000 random schedules of flows keep every invariant', { timeout: 120_000 }, async () => {
  const { failure, reached } = await playFlowSeeds(1, 1000)
  expect(failure).toBeUndefined()
  expect([...reached].sort()).toEqual([
    'a callback ran',
    'a deadline took several turns',
    'a step saw one that did not complete',
    'a step was retried',
    'an empty batch',
    'steps were lost and restored',
    'the queue was full',
  ])
})
