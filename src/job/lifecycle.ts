/**
 * The life of a job: its states and every way from one to another. READ SECOND (after scheduler.ts).
 *
 *      held ──release──▶ scheduled ──due──▶ ready ──start──▶ running ──complete──▶ completed
 *        │ discard           │   ▲           ▲ ▲               │ ├──fail─────────▶ failed
 *        ▼                   │   └──snooze───┼─┼───────────────┤ └──cancel───────▶ cancelled
 *      cancelled           block         free│ └──interrupt────┤  (no attempt charged)
 *                            ▼               │                 └──retry──▶ retrying ──due──▶ ready
 *                         blocked ───────────┘
 *
 * Everything unsettled can be cancelled; everything that waits can expire. A settled state is final for its
 * generation; `retry(id)` begins the next generation.
 */

/** Waits for the response of its request (`on: 'success' | 'finish' | 'close'`). */
type HeldState = 'held'
/** Where an unsettled job can be. */
export type UnsettledState = HeldState | 'scheduled' | 'blocked' | 'ready' | 'running' | 'retrying'
/** Where a job ends. */
export type SettledState = 'completed' | 'failed' | 'cancelled' | 'expired'
export type JobState = UnsettledState | SettledState

/** From each state, the states that can follow. Settled states lead only into a new generation (`retry`). */
export const transitions: Readonly<Record<JobState, readonly JobState[]>> = {
  held: ['scheduled', 'blocked', 'ready', 'cancelled'],
  scheduled: ['blocked', 'ready', 'cancelled', 'expired'],
  blocked: ['ready', 'scheduled', 'cancelled', 'expired'],
  ready: ['running', 'blocked', 'scheduled', 'cancelled', 'expired'],
  running: ['completed', 'failed', 'cancelled', 'expired', 'retrying', 'scheduled', 'ready'],
  retrying: ['ready', 'cancelled', 'expired', 'failed'],
  completed: [],
  failed: ['ready', 'blocked'],
  cancelled: ['ready', 'blocked'],
  expired: ['ready', 'blocked'],
}

/** Whether the state is final for its generation. */
export function isSettled(state: JobState): state is SettledState {
  return state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'expired'
}
