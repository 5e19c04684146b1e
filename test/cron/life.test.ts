/** One schedule under whatever may happen to it, against what every schedule promises. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { EveryOptions } from '../../src/cron/index.js'
import { makeCron, type CronSim } from './make-cron.js'

const start = Date.UTC(2026, 0)

const happening = fc.oneof(
  fc.record({ what: fc.constant('time passes'), ms: fc.integer({ min: 0, max: 12_000 }) }),
  fc.record({ what: fc.constant('the loop is blocked'), ms: fc.integer({ min: 0, max: 30_000 }) }),
  // 25 times this is less than the minute after which instants are counted anew.
  fc.record({ what: fc.constant('the clock is set'), ms: fc.constantFrom(-2_300, -1_000, -1, 90_000) }),
  fc.record({ what: fc.constantFrom('pause', 'resume', 'again', 'remove'), ms: fc.constant(0) }),
)
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

const options: fc.Arbitrary<EveryOptions> = fc.record(
  {
    overlap: fc.constantFrom('skip', 'queue', 'allow', 'replace'),
    catchUp: fc.constantFrom('latest', 'none', 'all'),
    maxCatchUp: fc.integer({ min: 1, max: 5 }),
    jitter: fc.constantFrom(0, 500, 3_000, 60_000),
    maxRuns: fc.integer({ min: 1, max: 8 }),
    startAt: fc.integer({ min: start, max: start + 14_000 }),
    endAt: fc.integer({ min: start + 30_000, max: start + 60_000 }),
  },
  { requiredKeys: [] },
)

const life = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  seconds: fc.constantFrom(1, 2, 7),
  takesMs: fc.constantFrom(0, 100, 5_000, 25_000),
  maxQueued: fc.constantFrom(1, 2, 100),
  options,
  happenings: fc.array(happening, { minLength: 3, maxLength: 25 }),
})
type Life = typeof life extends fc.Arbitrary<infer T> ? T : never

function schedule({ sim, cron }: CronSim, { seconds, options, takesMs }: Life): void {
  const task = sim.task('t', { takesMs }, { timeout: '10m' })
  cron.schedule('s', `*/${seconds} * * * * *`, task, undefined, { ...options, timezone: 'UTC' })
}

function happen(made: CronSim, one: Life, { what, ms }: Happening): void {
  const { sim, cron } = made
  if (what === 'time passes') sim.advance(ms)
  else if (what === 'the clock is set') sim.world.jumpWall(ms)
  else if (what === 'pause') cron.pause('s')
  else if (what === 'resume') cron.resume('s')
  else if (what === 'remove') cron.remove('s')
  else if (what === 'the loop is blocked') {
    sim.world.block(ms)
    sim.advance(0)
  } else {
    try {
      schedule(made, one)
    } catch (error) {
      expect((error as Error).message).toContain('no run ahead') // its end has come
    }
  }
}

it('I25: no instant twice nor out of order, no more runs than wanted, and the process lives as long as it is needed', () => {
  fc.assert(
    fc.property(life, (one) => {
      const made = makeCron({ seed: one.seed, scheduler: { threads: 8, maxQueued: one.maxQueued } })
      const { sim, cron, fired } = made
      schedule(made, one)
      for (const what of one.happenings) happen(made, one, what)
      sim.advance(0)
      const instants = fired.map(({ firedFor }) => firedFor)
      expect(instants).toEqual([...new Set(instants)].sort((a, b) => a - b))
      for (const firedFor of instants) {
        expect(firedFor).toBeGreaterThanOrEqual(Number(one.options.startAt ?? start))
        expect(firedFor).toBeLessThanOrEqual(Number(one.options.endAt ?? Infinity))
      }
      const timesMade = 1 + one.happenings.filter(({ what }) => what === 'again').length
      expect(fired.length).toBeLessThanOrEqual((one.options.maxRuns ?? Infinity) * timesMade)
      const { ready, running } = sim.scheduler.stats()
      expect(sim.world.isKeptAlive).toBe(cron.get('s')?.state === 'active' || ready + running > 0)
      cron.remove('s')
      sim.scheduler.cancelAll()
    }),
    { numRuns: 500 },
  )
})
