import { noErrors, type Job } from './job.js'
import { isSettled } from './lifecycle.js'
import { toPlain } from './payload.js'
import { toPortable } from './portable.js'
import type { SerializedError } from './serialized-error.js'
import type { JobSnapshot } from './snapshot.js'
import type { Clock } from '../world.js'

/** What a snapshot needs beside the job. */
export interface SnapshotView {
  idOf(job: Job): string
  readonly clock: Clock
  /** Why jobs of the lane cannot start at the moment, if so. */
  startError(job: Job): SerializedError | undefined
}

/** How payload and result appear: as values (`whole`: of sensitive tasks too), as JSON that `restore` reads, or not at all. */
export type SnapshotForm = 'plain' | 'whole' | 'portable' | 'bare'

/** The job as it is now, as frozen plain data. */
export function takeSnapshot(job: Job, view: SnapshotView, form: SnapshotForm): JobSnapshot {
  const { details, task } = job
  const decode = form === 'portable' ? toPortable : toPlain
  const error = details?.error ?? (isSettled(job.state) ? undefined : view.startError(job))
  return Object.freeze({
    id: view.idOf(job),
    task: task.name,
    lane: task.policy.lane,
    state: job.state,
    priority: job.priority,
    attempt: job.attempt,
    maxAttempts: details?.policy?.maxAttempts ?? task.policy.maxAttempts,
    ...(details?.orderingKey === undefined ? undefined : { orderingKey: details.orderingKey }),
    ...(details?.dedupe === undefined ? undefined : { dedupeKey: details.dedupe.key }),
    payload: form === 'bare' ? undefined : decode(job.payload),
    ...(details?.progress === undefined ? undefined : { progress: details.progress }),
    ...(details?.result === undefined || form === 'bare' ? undefined : { result: decode(details.result) }),
    ...(details?.resultRefused === undefined || form === 'bare'
      ? undefined
      : { resultDropped: details.resultRefused }),
    ...(error === undefined ? undefined : { error }),
    errors: details?.errors ?? noErrors,
    acceptedAt: view.clock.wallAt(job.acceptedAt),
    runAt: view.clock.wallAt(details?.runAt ?? job.acceptedAt),
    ...(details?.expiresAt === undefined ? undefined : { expiresAt: view.clock.wallAt(details.expiresAt) }),
    ...(job.startedAt < 0 ? undefined : { startedAt: view.clock.wallAt(job.startedAt) }),
    ...(job.endedAt < 0 ? undefined : { settledAt: view.clock.wallAt(job.endedAt) }),
    generation: details?.generation ?? 1,
    ...(details?.request === undefined ? undefined : { request: details.request }),
    ...(details?.step === undefined ? undefined : { flow: details.step.flow.placeOf(details.step, form) }),
    ...(details?.schedule === undefined ? undefined : { schedule: details.schedule }),
  })
}
