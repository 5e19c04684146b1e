/**
 * When an expression fires next in a zone. Pure, given the zone's offsets.
 *
 *   wildcard hour   every instant whose wall time matches: the hour that is repeated in autumn fires twice, the one that
 *                   is skipped in spring not at all, so that the distance in real time stays
 *   fixed hour      each matching wall time once, at the first instant at which the clock shows it *or more*:
 *
 *       spring  01:59 │ 03:00     02:30 is shown by no clock ─▶ 03:00; several of the gap are one run
 *       autumn  01:59 │ 01:00     01:30 is shown twice ─▶ the first
 */
import { nextWallTime } from './calendar.js'
import type { Fields } from './fields.js'
import type { Zone } from './zone.js'

const hourMs = 60 * 60 * 1_000
/** Longer than any change of the clock, Samoa's lost day included, and than the distance of any zone to UTC. */
const reachMs = 32 * hourMs

/** The first instant after `after` (ms since the epoch), or undefined when there is none. */
export function next(fields: Fields, after: number, zone: Zone): number | undefined {
  return fields.isEveryHour ? nextShown(fields, after, zone) : nextReached(fields, after, zone)
}

/** The first instant after `after` whose wall time matches. */
function nextShown(fields: Fields, after: number, zone: Zone): number | undefined {
  let from = after + 1
  for (;;) {
    const offset = zone.offsetAt(from)
    const wall = nextWallTime(fields, from + offset)
    if (wall === undefined) return undefined
    const instant = wall - offset
    const change = zone.transition(from, from + reachMs)
    if (instant < (change?.at ?? from + reachMs)) return instant
    // Where the clock does not change, nothing matches until it comes near that wall time.
    from = change?.at ?? wall - reachMs / 2
  }
}

/** The first instant after `after` at which the clock reaches a matching wall time. */
function nextReached(fields: Fields, after: number, zone: Zone): number | undefined {
  const wall = nextWallTime(fields, highestWallTime(after, zone) + 1)
  return wall === undefined ? undefined : firstInstant(wall, zone)
}

/** The highest wall time shown up to an instant: before a change backwards, the clock was ahead. */
function highestWallTime(instant: number, zone: Zone): number {
  let highest = instant + zone.offsetAt(instant)
  let from = instant - reachMs
  for (;;) {
    const change = zone.transition(from, instant)
    if (change === undefined) return highest
    highest = Math.max(highest, change.at - 1 + change.before)
    from = change.at
  }
}

/** The first instant at which the clock shows a wall time or more. */
function firstInstant(wall: number, zone: Zone): number {
  let from = wall - reachMs
  for (;;) {
    const offset = zone.offsetAt(from)
    const change = zone.transition(from, wall + reachMs)
    const instant = Math.max(from, wall - offset)
    if (change === undefined || instant < change.at) return instant
    from = change.at
  }
}
