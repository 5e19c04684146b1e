/** What falls due together is done a slice per turn of the event loop, so that no request waits for it. */
import { expect, it } from 'vitest'
import { makeSim, type Sim } from '../simulation/sim.js'

const many = 2_000

/** Each look at the precise clock takes a millisecond; tells of each turn that is asked for. */
function slow(sim: Sim, asked: () => void): void {
  let ms = 0
  sim.world.clock.precise = () => ++ms
  const nextTurn = sim.world.nextTurn.bind(sim.world)
  sim.world.nextTurn = (task) => {
    asked()
    nextTurn(task)
  }
}

it.each([
  ['jobs that are due', { delay: 100 }, 'ready'],
  ['jobs that expire', { expiresIn: 100 }, 'expired'],
] as const)('%s at one instant', (_what, options, state) => {
  const sim = makeSim()
  sim.task('t')
  sim.scheduler.pause()
  for (let n = 0; n < many; n++) sim.scheduler.defer('t', n, options)
  sim.advance(99)
  const done: number[] = []
  slow(sim, () => done.push(sim.scheduler.stats()[state]))
  sim.advance(1)
  expect(sim.scheduler.stats()[state]).toBe(many)
  expect(done[0]).toBeLessThan(many / 2)
})

it('waits for results that are given up at one instant', async () => {
  const sim = makeSim()
  sim.scheduler.pause()
  const jobs = Array.from({ length: many }, () => sim.scheduler.defer(sim.task('t')))
  const codes = jobs.map((job) => job.result({ timeout: 100 }).catch(({ code }: { code: string }) => code))
  sim.advance(99)
  let turns = 0
  slow(sim, () => turns++)
  sim.advance(1)
  expect(turns).toBeGreaterThan(3)
  expect(new Set(await Promise.all(codes))).toEqual(new Set(['ERR_SIDEWORK_RESULT_TIMEOUT']))
})
