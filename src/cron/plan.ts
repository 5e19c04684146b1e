/**
 * What to do with a schedule whose time has come: which instants run, which were missed, when to look again. Pure.
 *
 *    first ── … ── last  ≤  now  <  next
 *      └──── due ────┘
 *
 * As a rule one instant is due and on time. After a blocked event loop, a suspend or a jump of the clock there may be
 * millions, so they are never listed: the latest few are found by halving.
 */
import type { Timetable } from './timetable.js'

/** What becomes of runs whose time passed while nothing could run. */
export type CatchUp = 'latest' | 'none' | 'all'

export interface CatchUpPolicy {
  readonly catchUp: CatchUp
  /** Most runs made up for at once, with 'all'. */
  readonly maxCatchUp: number
  /** Ms; instants older than this are not made up for. Infinity for no bound. */
  readonly catchUpWindowMs: number
}

export interface Plan {
  /** Instants to run now, oldest first. */
  readonly runs: readonly number[]
  /** Of the last of them: within what counts as on time. */
  readonly isOnTime: boolean
  /** How many due instants do not run, counted up to `mostCounted`. */
  readonly missed: number
  /** The latest due instant. */
  readonly last: number
  /** The first instant that is not due. */
  readonly next: number | undefined
}

export const mostCounted = 1_000
/** A run this late is on time, and so is one late by a tenth of its period where that is less. */
const onTimeMs = 1_000
const onTimeShare = 0.1

/**
 * @param first the earliest due instant, at most `now`
 * @param waitedMs for how long the answer was waited for whether to run at all: no run is late because of that
 */
export function plan(
  timetable: Timetable,
  first: number,
  now: number,
  policy: CatchUpPolicy,
  waitedMs = 0,
): Plan {
  const askedAt = now - waitedMs
  const following = timetable.next(first)
  if (following === undefined || following > now) {
    const isOnTime = isWithinTolerance(first, following, askedAt)
    const runs = isOnTime || mayCatchUp(first, askedAt, policy) ? [first] : []
    return { runs, isOnTime, missed: 1 - runs.length, last: first, next: following }
  }
  return planMany(timetable, first, now, policy, askedAt)
}

function planMany(
  timetable: Timetable,
  first: number,
  now: number,
  policy: CatchUpPolicy,
  askedAt: number,
): Plan {
  const most = policy.catchUp === 'all' ? policy.maxCatchUp : 1
  const latest = latestInstants(timetable, first, now, most)
  const last = latest.at(-1) ?? first
  const following = timetable.next(last)
  const isOnTime = isWithinTolerance(last, following, askedAt)
  const mayRun = (instant: number): boolean =>
    (isOnTime && instant === last) || mayCatchUp(instant, askedAt, policy)
  const runs = latest.filter(mayRun)
  const due = countDue(timetable, first, now, mostCounted + runs.length)
  return { runs, isOnTime, missed: due - runs.length, last, next: following }
}

function isWithinTolerance(instant: number, following: number | undefined, now: number): boolean {
  const periodMs = following === undefined ? Infinity : following - instant
  return now - instant <= Math.min(onTimeMs, periodMs * onTimeShare)
}

function mayCatchUp(instant: number, now: number, policy: CatchUpPolicy): boolean {
  return policy.catchUp !== 'none' && now - instant <= policy.catchUpWindowMs
}

/** The last `most` instants from `first` to `now`, oldest first. */
function latestInstants(timetable: Timetable, first: number, now: number, most: number): number[] {
  // At `low` (excluded) there begin enough instants, or all there are; at `high` too few.
  let low = first - 1
  let high = now
  if (countDue(timetable, first, now, most) === most) {
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      const from = timetable.next(middle)
      if (from !== undefined && countDue(timetable, from, now, most) === most) low = middle
      else high = middle
    }
  }
  const instants: number[] = []
  for (let at = timetable.next(low); at !== undefined && at <= now; at = timetable.next(at)) instants.push(at)
  return instants
}

/** How many instants there are from `first` to `now`, counted up to `most`. */
function countDue(timetable: Timetable, first: number, now: number, most: number): number {
  let count = 0
  for (let at: number | undefined = first; at !== undefined && at <= now && count < most; count++)
    at = timetable.next(at)
  return count
}
