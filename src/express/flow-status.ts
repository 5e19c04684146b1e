/** What the endpoints show of a flow: how far it is. Each step has a status of its own, under its own id. */
import type { FlowOverview, FlowProgress } from '../flows/flow-snapshot.js'
import type { FlowState } from '../flows/flow.js'
import type { FlowKind } from '../job/flow-step.js'
import { shownError, type ShownError } from './job-status.js'

/** The JSON of `GET /jobs/:id` for a flow, and the data of its server-sent events. Instants are ms since the epoch. */
export interface FlowStatus {
  readonly id: string
  readonly flow: FlowKind
  /** 'held', 'running', then how it ended. */
  readonly state: FlowState
  readonly progress: FlowProgress
  readonly acceptedAt: number
  readonly settledAt?: number | undefined
  readonly startedAt?: undefined
  /** Why it did not complete. The message is '(withheld)' when one of its tasks is `sensitive`. */
  readonly error?: ShownError | undefined
  /** In the answer to `Prefer: wait` only. */
  readonly result?: unknown
}

/** The status of a flow. */
export function flowStatus(flow: FlowOverview, shown: { readonly errorMessage: boolean }): FlowStatus {
  const { id, kind, state, progress, acceptedAt, settledAt, error } = flow
  return {
    id,
    flow: kind,
    state,
    progress,
    acceptedAt,
    settledAt,
    error: shownError(error, shown.errorMessage),
  }
}
