/** Each event that the table of src/reference.md lists really comes, with the fields that the table gives it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { eventNames, type EventName } from '../../src/events/event-types.js'
import { packageRoot } from '../fixtures/loader/project.js'
import { quoted, tableRows } from '../fixtures/markdown.js'
import { makeCron } from '../cron/make-cron.js'
import { failsForGood, failsWith, snoozes, type Run } from '../simulation/script.js'
import type { Sim } from '../simulation/sim.js'

const reference = readFileSync(join(packageRoot, 'src/reference.md'), 'utf8')
const table = new Map(
  tableRows(reference, 'event').map(([name, fields]) => [quoted(name), quoted(fields)?.split(', ') ?? []]),
)

/** One of everything that can happen to jobs, keys, flows and threads. */
function live(sim: Sim): void {
  const { scheduler } = sim
  const soon = { attempts: 2, backoff: { type: 'fixed', delay: 10 } } as const
  const progress = {
    afterMs: 1,
    message: (token: number) => ({ kind: 'progress', token, value: '0.5' }) as const,
  }
  sim.task('good', { takesMs: 5, says: [progress] })
  sim.task('bad', failsWith('no'), soon)
  sim.task('snoozes', () => (sim.order.filter((task) => task === 'snoozes').length > 1 ? {} : snoozes(10)))
  sim.task('halts', failsForGood('no'), { onExhausted: 'halt', orderingKey: () => 'k' })
  sim.task('once', { takesMs: 5 }, { dedupe: () => 'one' })
  sim.task(
    'crashes',
    ({ attempt }: Run) => (attempt === 1 ? { crashes: { exitCode: 7, error: new Error('late') } } : {}),
    soon,
  )
  scheduler.defer('good')
  scheduler.defer('bad')
  scheduler.defer('snoozes')
  scheduler.defer('halts')
  scheduler.defer('once')
  scheduler.defer('once')
  scheduler.defer('crashes')
  scheduler.defer('good', undefined, { delay: 1000 }).cancel()
  scheduler.chain([{ task: 'good' }, { task: 'good', ref: 'again' }])
  scheduler.chain([{ task: 'good', options: { delay: 1000 } }]).cancel()
  expect(() => scheduler.defer('nobody')).toThrow()
  sim.advance(500)
  scheduler.releaseKey('k')
  scheduler.pause()
  scheduler.defer('good', undefined, { expiresIn: 100 })
  sim.advance(200)
  scheduler.resume()
  sim.task('blamed', { takesMs: 5, crashes: { exitCode: 7 }, isBlamed: true }, { lane: 'io', attempts: 1 })
  sim.task('neighbour', { takesMs: 50 }, { lane: 'io' })
  scheduler.defer('neighbour')
  scheduler.defer('blamed')
  sim.advance(1_000)
}

it('every event of the table comes, with exactly its fields', async () => {
  const made = makeCron()
  const { sim, cron } = made
  const seen = new Map<EventName, Set<string>>()
  for (const name of eventNames)
    sim.scheduler.on(name, (event) => {
      const fields = seen.get(name) ?? new Set()
      for (const field of Object.keys(event)) fields.add(field)
      seen.set(name, fields)
    })
  live(sim)
  sim.scheduler.pause('good') // one that names its task
  sim.scheduler.resume('good')
  sim.task('long', { takesMs: 30_000 })
  cron.schedule('every second', '* * * * * *', sim.task('long'), undefined, { timezone: 'UTC' })
  sim.advance(5_000)
  sim.world.jumpWall(60_000)
  sim.advance(60_000)
  await sim.close({ timeout: 0 }, 2_000)
  for (const [name, fields] of table) {
    // A field with a question mark is there where it applies, and here it applied at least once.
    const all = fields.map((field) => field.replace('?', '')).sort()
    expect([...(seen.get(name as EventName) ?? [])].sort(), name).toEqual(all)
  }
})
