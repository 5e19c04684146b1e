/** 100,000 random triples against two oracles that share nothing with src/cron: croner, and a walk by minutes. */
import { Cron } from 'croner'
import { expect, it } from 'vitest'
import { Fields } from '../../src/cron/fields.js'
import { next } from '../../src/cron/next.js'
import { zoneOf } from '../../src/cron/zone.js'
import { seededRandom } from '../../src/testing/seeded.js'
import { firstInstant, lastInstant, randomExpression, zoneNames } from './triples.js'
import { WallClock, Walker } from './walker.js'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const clocks = new Map(zoneNames.map((name) => [name, new WallClock(name)]))
/** Instants at which each zone's clock changes. */
const changesOf = new Map(
  zoneNames.map((name) => [name, clocks.get(name)?.changes(firstInstant, lastInstant + 3_650 * dayMs) ?? []]),
)
const random = seededRandom(20_260_308)

it('90,000 instants near changes of twelve zones agree with a walk minute by minute', () => {
  const differences: string[] = []
  let compared = 0
  let near = 0
  const changes = zoneNames.flatMap((zone) => {
    const found = changesOf.get(zone)?.filter((at) => at < lastInstant) ?? []
    return (found.length > 0 ? found : [Date.UTC(2020, 5, 5)]).map((at) => ({ zone, at }))
  })
  while (compared < 90_000) {
    const expression = randomExpression(random, true)
    const walker = new Walker(expression)
    const fields = new Fields(expression, 'or')
    for (let one = 0; one < 10; one++) {
      const { zone, at } = changes[Math.floor(random() * changes.length)] as (typeof changes)[0]
      const after = at - 20 * hourMs + Math.floor(random() * 28 * hourMs)
      const until = after + 8 * hourMs
      const ours = next(fields, after, zoneOf(zone))
      const theirs = walker.next(after, until, clocks.get(zone) as WallClock)
      compared++
      if (theirs !== undefined) near++
      if ((ours !== undefined && ours <= until ? ours : undefined) !== theirs) {
        differences.push(`${expression} ${zone} after ${after}: ${ours}, not ${theirs}`)
      }
    }
  }
  expect(differences.slice(0, 5)).toEqual([])
  expect(near).toBeGreaterThan(30_000)
})

it('10,000 instants of ten years agree with croner, changes of the clock left out', () => {
  const differences: string[] = []
  let compared = 0
  while (compared < 10_000) {
    const expression = randomExpression(random, false)
    const zone = zoneNames[Math.floor(random() * zoneNames.length)] as (typeof zoneNames)[number]
    const changes = changesOf.get(zone) ?? []
    // A day field that starts with `*` restricts nothing, here as in crontab(5): croner then has to want both.
    const [month, , week] = expression.split(' ').slice(-3) as [string, string, string]
    const domAndDow = month.startsWith('*') || week.startsWith('*')
    const croner = new Cron(expression, { timezone: zone, domAndDow })
    let fields
    try {
      fields = new Fields(expression, 'or')
    } catch (error) {
      // '31W' in a month of 30 days, for instance: refused by node-cron, whose grammar is the one that counts.
      expect((error as Error).message).toContain('never comes in month')
      continue
    }
    for (let one = 0; one < 8; one++) {
      const after = firstInstant + Math.floor(random() * (lastInstant - firstInstant))
      const ours = next(fields, after, zoneOf(zone))
      const theirs = croner.nextRun(new Date(after))?.getTime()
      const ends = [after, ours, theirs].filter((at) => at !== undefined)
      const isNearChange = ends.some((end) => changes.some((at) => Math.abs(at - end) < dayMs))
      if (isNearChange) continue
      compared++
      if (ours !== theirs) differences.push(`${expression} ${zone} after ${after}: ${ours}, not ${theirs}`)
    }
  }
  expect(differences.slice(0, 5)).toEqual([])
})
