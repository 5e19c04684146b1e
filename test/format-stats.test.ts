import { expect, it } from 'vitest'
import { formatStats } from '../src/index.js'
import { failsForGood } from './simulation/script.js'
import { makeSim } from './simulation/sim.js'

it('shows the figures of a moment as aligned lines of text', () => {
  const sim = makeSim()
  const slow = sim.task('encode-video', { takesMs: Infinity }, { timeout: false })
  for (let n = 0; n < 1235; n++) sim.scheduler.defer(slow, 'x')
  sim.scheduler.defer(sim.task('send-mail', {}, { lane: 'io' }), undefined)
  sim.scheduler.defer(sim.task('refund', failsForGood('no'), { lane: 'io' }), undefined)
  sim.scheduler.defer('refund').cancel()
  sim.scheduler.defer('send-mail', undefined, { delay: '1h' })
  sim.advance(2500)
  expect(formatStats(sim.scheduler.stats())).toBe(
    [
      'unsettled  1,234 ready, 1 running, 0 retrying, 1 scheduled, 0 blocked, 0 held',
      'settled    1 completed, 1 failed, 1 cancelled, 0 expired',
      'queue      oldest waits 2.5 s, 3.6 KiB, event loop 0 ms late',
      '',
      'lane  ready  with a thread  threads',
      'cpu   1,234              1        1',
      'io        0              0        1',
      'main      0              0        0',
      '',
      'task          waiting  running  completed  failed  other ends',
      'encode-video    1,234        1          0       0           0',
      'send-mail           1        0          1       0           0',
      'refund              0        0          0       1           1',
    ].join('\n'),
  )
})

it('sums up what is beyond 20 tasks', () => {
  const sim = makeSim()
  for (let n = 0; n < 30; n++) sim.scheduler.defer(sim.task(`t${n}`), undefined, { delay: '1h' })
  const lines = formatStats(sim.scheduler.stats()).split('\n')
  expect(lines).toHaveLength(3 + 1 + 4 + 1 + 1 + 21)
  expect(lines.at(-1)).toMatch(/^10 others +10 +0 +0 +0 +0$/)
})

it('has nothing to show of a new scheduler but zeros', () => {
  const sim = makeSim()
  expect(formatStats(sim.scheduler.stats())).toMatch(/^unsettled {2}0 ready[^]*task {2}waiting[^\n]*$/)
})
