import fc from 'fast-check'
import { expect, it } from 'vitest'
import { makeCron } from '../cron/make-cron.js'

const setBackMs = 60_000
const act = fc.oneof(
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 120_000 }) }),
  fc.record({ do: fc.constant('block' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: -200_000, max: 200_000 }) }),
)

it('I25: whatever the clock does, each instant comes at most once, in order and never early; after a set-back of more than a minute they begin anew', () => {
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 15 }),
      fc.constantFrom('latest', 'none', 'all'),
      fc.constantFrom('*/7 * * * * *', '* * * * *', '*/20 1-59/3 * * * *'),
      (acts, catchUp, expression) => {
        const { sim, cron, fired } = makeCron({ scheduler: { logger: false } })
        cron.schedule('s', expression, sim.task('t'), undefined, {
          timezone: 'UTC',
          overlap: 'allow',
          catchUp,
        })
        let highest = sim.world.clock.wall()
        let counts = 0
        for (const { do: what, ms } of acts) {
          if (what === 'advance') sim.advance(ms)
          else if (what === 'block') sim.world.block(ms)
          else sim.world.jumpWall(ms)
          // A clock that was set back and on again before anybody looked was not set back.
          if (sim.world.clock.wall() < highest - setBackMs) counts++
          highest = Math.max(highest, sim.world.clock.wall())
        }
        sim.advance(120_000)
        const goBacks = fired.filter(({ firedFor }, index) => firedFor <= (fired[index - 1]?.firedFor ?? 0))
        expect(goBacks.length).toBeLessThanOrEqual(counts)
        for (const { firedFor, at } of fired) expect(at).toBeGreaterThanOrEqual(firedFor)
        if (counts === 0) expect(new Set(fired.map(({ firedFor }) => firedFor)).size).toBe(fired.length)
      },
    ),
    { numRuns: 150 },
  )
})
