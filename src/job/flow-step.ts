/**
 * A job's part in a flow: which steps it comes after, which come after it, and how it ended, for those that want to know.
 * `flows/` writes it; here it is only carried along.
 */
import type { Job } from './job.js'
import type { EncodedPayload } from './payload.js'
import type { SerializedError } from './serialized-error.js'
import type { SnapshotForm } from './take-snapshot.js'

/** What a failed step does to those after it: they are cancelled, or run and see it in `context.results`. */
export type OnFailure = 'cancel' | 'continue'

/** How a flow was made. */
export type FlowKind = 'flow' | 'chain' | 'batch'

/** How a step ended. `refused`: why its result could not be kept. */
export type StepEnd =
  | { readonly state: 'completed'; readonly result: EncodedPayload; readonly refused?: string }
  | { readonly state: 'failed' | 'cancelled' | 'expired'; readonly error: SerializedError }

/** How many jobs of a batch, and how they ended. `failed` counts the cancelled and expired ones too. */
export interface BatchCounts {
  readonly total: number
  readonly completed: number
  readonly failed: number
}

/** The end of a step, for one that comes after it. */
export interface HandedStep {
  readonly ref: string
  readonly task: string
  readonly end: StepEnd
}

/** What an execution is told of the steps before it. */
export interface Handed {
  readonly steps: readonly HandedStep[]
  /** For the callback of a batch. */
  readonly batch?: BatchCounts
}

/** A step's place, as plain JSON, in a snapshot. */
export interface FlowPlace {
  /** Id of the flow. */
  readonly id: string
  readonly ref: string
  /** What `restore` needs to go on with the flow. In the snapshots of a CloseReport only. */
  readonly remains?: FlowRemains
}

/** How a step that `restore` cannot see ended. Its result as portable JSON. */
export interface RemainingEnd {
  readonly ref: string
  readonly task: string
  readonly state: StepEnd['state']
  readonly result?: unknown
  readonly refused?: string
  readonly error?: SerializedError
  /** Its task is `sensitive`. */
  readonly isSensitive?: true
}

/** A flow as one of its unsettled steps remembers it. */
export interface FlowRemains extends BatchCounts {
  readonly kind: FlowKind
  readonly onFailure: OnFailure
  /** Ms that the flow may take, if it has a deadline. */
  readonly deadlineMs?: number
  /** Ms since the epoch. */
  readonly deadlineAt?: number
  /** Refs of the steps that this one comes after. */
  readonly after: readonly string[]
  /** Those of them that have settled. The result of one that several steps come after is told by one of those. */
  readonly ends: readonly RemainingEnd[]
  /** Its place in the order of the flow's steps. */
  readonly position: number
  /** Whether it waits for steps before it. */
  readonly isWaiting: boolean
  /** Whether it is the callback of a batch. */
  readonly isCallback: boolean
}

/** What a step needs of its flow. */
export interface StepFlow {
  readonly id: string
  /** What the step's execution is told; undefined when it comes after nothing. */
  handedTo(step: FlowStep): Handed | undefined
  /** Its deadline has passed: none of its steps starts any more. */
  readonly hasExpired: boolean
  placeOf(step: FlowStep, form: SnapshotForm): FlowPlace
}

/** One for all steps that come after nothing, or before nothing. */
export const noSteps: readonly FlowStep[] = Object.freeze([])

/** One step. Written by flows/ only. */
export class FlowStep {
  flow: StepFlow
  readonly ref: string
  readonly task: string
  /** Absent for a step that had settled before its flow was restored. */
  readonly job: Job | undefined
  /** Its task is `sensitive`: what its error says stays with it. */
  readonly isSensitive: boolean
  /** Its place in `Flow.steps`, where each step stands behind those it comes after. */
  position = 0
  after: readonly FlowStep[] = noSteps
  next: readonly FlowStep[] = noSteps
  /** Whether its executions are told how other steps ended. */
  isHanded = false
  /** Steps before it that have not settled: one count, whatever their number. */
  waitsFor = 0
  /** It has not been let go yet. Stays true when it settles before that. */
  isWaiting = false
  /** It ended because its flow did (policy, cancel, deadline), without having started: a retry revives it. */
  endedByFlow = false
  /** Its last end; that of the generation before while it is being retried. */
  end: StepEnd | undefined = undefined
  /** The step in whose snapshot this one's result is told, for `restore`. */
  toldBy: FlowStep | undefined = undefined

  constructor(
    flow: StepFlow,
    ref: string,
    task: string,
    job: Job | undefined,
    isSensitive = job?.task.policy.sensitive ?? false,
  ) {
    this.flow = flow
    this.ref = ref
    this.task = task
    this.job = job
    this.isSensitive = isSensitive
  }
}

/** `step` comes after `before`. */
export function follow(before: FlowStep, step: FlowStep): void {
  if (before.next === noSteps) before.next = [step]
  else (before.next as FlowStep[]).push(step) // made in the line above
}
