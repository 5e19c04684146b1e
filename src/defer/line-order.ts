/** In which order restored jobs join the lines of their keys. */
import type { JobState } from '../job/lifecycle.js'
import type { KnownRemains } from './remains.js'

/** Where a job joins among those restored with it: first by `rank`, then by `at`, then as they were listed. */
export interface LinePlace {
  readonly rank: 0 | 1 | 2 | 3
  /** Its old position, or an instant. */
  readonly at: number
}

/** What that depends on. */
export interface LineFacts {
  readonly state: JobState
  readonly attempt: number
  /** Ms since the epoch. */
  readonly runAt: number
  readonly isDue: boolean
  readonly remains: KnownRemains | undefined
}

/**
 * Who stood in a line keeps its place; then come those that fell due meanwhile, then those that nobody let go before.
 * @returns undefined for one that joins later
 */
export function linePlaceOf({ state, attempt, runAt, isDue, remains }: LineFacts): LinePlace | undefined {
  if (remains?.linePosition !== undefined) return { rank: 0, at: remains.linePosition }
  if (state === 'scheduled' && (attempt === 0 || remains !== undefined))
    return isDue ? { rank: 2, at: runAt } : undefined
  if (remains !== undefined) return { rank: 3, at: 0 }
  // Nothing goes before a head that is being retried; a line was joined in the order of its jobs' due times, mostly.
  return { rank: state === 'blocked' ? 1 : 0, at: runAt }
}

export function compareLinePlaces(one: LinePlace, other: LinePlace): number {
  return one.rank - other.rank || one.at - other.at
}
