import type { BatchCounts, FlowKind, FlowStep, OnFailure } from '../job/flow-step.js'
import type { Job } from '../job/job.js'
import type { JobState } from '../job/lifecycle.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { RequestContext } from '../job/snapshot.js'
import type { Clock } from '../world.js'
import type { Flow, FlowState } from './flow.js'

/** How far a flow is. Of a batch: its jobs, without the callback. */
export interface FlowProgress extends BatchCounts {
  /** Settled steps as a share of all, 0–1. */
  readonly ratio: number
}

/** A flow without its steps at one moment: frozen plain data (instants are ms since the epoch). */
export interface FlowOverview {
  readonly id: string
  readonly kind: FlowKind
  readonly state: FlowState
  readonly onFailure: OnFailure
  readonly progress: FlowProgress
  /** Why it did not complete; known when all steps have settled, or when it is cancelled or its deadline has passed. */
  readonly error?: SerializedError
  readonly acceptedAt: number
  readonly deadlineAt?: number
  readonly settledAt?: number
  readonly request?: RequestContext
}

/** One step of a flow. */
export interface StepSnapshot {
  /** Absent for a step that had settled before its flow was restored. */
  readonly id?: string
  readonly task: string
  readonly state: JobState
}

/** A flow with its steps. */
export interface FlowSnapshot extends FlowOverview {
  /** By ref; the callback of a batch as 'callback'. */
  readonly steps: Readonly<Record<string, StepSnapshot>>
}

function progressOf({ counts, state }: Flow): FlowProgress {
  const { total, completed, failed } = counts
  const isOver = total === 0 && state !== 'running' && state !== 'held'
  return Object.freeze({ ...counts, ratio: total === 0 ? Number(isOver) : (completed + failed) / total })
}

/** O(1). */
export function overviewOf(flow: Flow, clock: Clock): FlowOverview {
  return Object.freeze(factsOf(flow, clock))
}

/** O(number of steps). */
export function snapshotOf(flow: Flow, clock: Clock, idOf: (job: Job) => string): FlowSnapshot {
  const steps = inOrderGiven(flow.steps).map(({ ref, task, job, end }): [string, StepSnapshot] => [
    ref,
    Object.freeze({
      ...(job === undefined ? undefined : { id: idOf(job) }),
      task,
      state: job?.state ?? end?.state ?? 'cancelled',
    }),
  ])
  return Object.freeze({ ...factsOf(flow, clock), steps: Object.freeze(Object.fromEntries(steps)) })
}

/** Accepted in the order given, kept in one in which each comes after those it waits for. */
export function inOrderGiven(steps: readonly FlowStep[]): FlowStep[] {
  return [...steps].sort((a, b) => (a.job?.seq ?? 0) - (b.job?.seq ?? 0))
}

function factsOf(flow: Flow, clock: Clock): FlowOverview {
  const { id, facts, state, verdict, failure, deadlineWallAt, settledAt } = flow
  const error = verdict?.error ?? failure?.error
  return {
    id,
    kind: facts.kind,
    state,
    onFailure: facts.onFailure,
    progress: progressOf(flow),
    ...(error === undefined ? undefined : { error }),
    acceptedAt: clock.wallAt(facts.acceptedAt),
    ...(deadlineWallAt === undefined ? undefined : { deadlineAt: deadlineWallAt }),
    ...(settledAt < 0 ? undefined : { settledAt: clock.wallAt(settledAt) }),
    ...(facts.request === undefined ? undefined : { request: facts.request }),
  }
}
