/**
 * One flow as the core keeps it: its steps, in an order in which each comes after those it waits for, and a few counts.
 * What can be told by looking at the steps is told by looking; nothing here changes a job.
 */
import { isEndedByClose } from '../job/end-error.js'
import {
  type BatchCounts,
  type FlowKind,
  type FlowPlace,
  type FlowStep,
  type Handed,
  type OnFailure,
  type StepEnd,
  type StepFlow,
} from '../job/flow-step.js'
import type { Disarmable, Waiter } from '../job/job.js'
import type { SettledState } from '../job/lifecycle.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { RequestContext } from '../job/snapshot.js'
import type { SnapshotForm } from '../job/take-snapshot.js'
import { handedTo } from './handed.js'
import { placeOf } from './place.js'

/** Where a flow is: it has the state of what became of it when all its steps have settled. */
export type FlowState = 'held' | 'running' | SettledState

/** Why a flow ended as a whole, before its steps had. */
export interface FlowVerdict {
  readonly state: 'cancelled' | 'expired'
  readonly error: SerializedError
}

/** The step because of which a flow did not complete. */
export interface FlowFailure {
  readonly step: FlowStep | undefined
  readonly state: Exclude<StepEnd['state'], 'completed'>
  readonly error: SerializedError
}

/** What a flow is from the start. */
export interface FlowFacts {
  readonly id: string
  readonly kind: FlowKind
  readonly onFailure: OnFailure
  readonly deadlineMs: number | undefined
  readonly acceptedAt: number
  readonly request: RequestContext | undefined
}

export class Flow implements StepFlow {
  readonly id: string
  readonly facts: FlowFacts
  /** Every step, the callback last. */
  readonly steps: FlowStep[] = []
  /** Those it knows of that had settled before it was restored. */
  readonly settledBefore: FlowStep[] = []
  callback: FlowStep | undefined = undefined
  isHeld = false
  /** Steps in all; of a batch, without its callback. */
  total = 0
  completed = 0
  /** Failed, cancelled and expired ones. */
  failed = 0
  /** Steps that have not settled, the callback included. */
  unsettled = 0
  settledAt = -1
  verdict: FlowVerdict | undefined = undefined
  /** Known once it has settled. */
  failure: FlowFailure | undefined = undefined
  /** On the core's clock, and ms since the epoch. */
  deadlineAt: number | undefined = undefined
  deadlineWallAt: number | undefined = undefined
  deadline: Disarmable | undefined = undefined
  waiters: Waiter[] = []
  /** Bytes of the results its steps have left. */
  resultBytes = 0
  /** Bytes that the jobs of its settled steps hold on to. */
  heldBytes = 0
  /** When its progress was last told, and the alarm that will tell it next. */
  toldAt = -Infinity
  telling: Disarmable | undefined = undefined

  constructor(facts: FlowFacts) {
    this.facts = facts
    this.id = facts.id
  }

  /** Steps are added in an order in which each comes after those it waits for. */
  add(step: FlowStep): void {
    step.position = this.steps.length
    this.steps.push(step)
  }

  /** The callback of a batch comes after all of its jobs. */
  endWith(callback: FlowStep): void {
    const next = Object.freeze([callback])
    for (const step of this.steps) step.next = next
    callback.waitsFor = this.steps.length
    callback.isHanded = true
    callback.isWaiting = true
    this.callback = callback
    this.add(callback)
  }

  get isSettled(): boolean {
    return this.settledAt >= 0
  }

  get state(): FlowState {
    if (this.isHeld) return 'held'
    if (!this.isSettled) return 'running'
    return this.verdict?.state ?? this.failure?.state ?? 'completed'
  }

  /** Whether one of the steps it knows of is of a `sensitive` task. O(number of steps). */
  get isSensitive(): boolean {
    const isSensitive = (step: FlowStep): boolean => step.isSensitive
    return this.settledBefore.some(isSensitive) || this.steps.some(isSensitive)
  }

  /** A batch that goes on is not failed by its jobs, only by its callback. */
  get isTolerant(): boolean {
    return this.facts.kind === 'batch' && this.facts.onFailure === 'continue'
  }

  get counts(): BatchCounts {
    const { total, completed, failed } = this
    return { total, completed, failed }
  }

  /**
   * Why it did not complete: a step that closing lost, as the flow is not over then; else the first step that ended badly of
   * itself. O(number of steps).
   */
  findFailure(): FlowFailure | undefined {
    const ended = [...this.settledBefore, ...this.steps]
    const bad = ended.filter(({ end }) => end !== undefined && end.state !== 'completed')
    const suspects = this.isTolerant ? bad.filter((step) => step === this.callback) : bad
    const step = bad.find(isLost) ?? suspects.find(({ endedByFlow }) => !endedByFlow) ?? suspects[0]
    const end = step?.end
    if (end !== undefined && end.state !== 'completed') return { step, state: end.state, error: end.error }
    // A flow that was restored knows only those steps that had settled before after which another comes.
    return this.failed > 0 && !this.isTolerant ? { step, state: 'failed', error: failedBefore } : undefined
  }

  get hasExpired(): boolean {
    return this.verdict?.state === 'expired'
  }

  handedTo(step: FlowStep): Handed | undefined {
    return handedTo(this, step)
  }

  placeOf(step: FlowStep, form: SnapshotForm): FlowPlace {
    return placeOf(this, step, form)
  }
}

function isLost({ end }: FlowStep): boolean {
  return end !== undefined && end.state !== 'completed' && isEndedByClose(end.state, end.error)
}

const failedBefore: SerializedError = Object.freeze({
  name: 'JobError',
  message: 'A step had failed before the flow was restored.',
  code: 'ERR_SIDEWORK_FAILED',
})

/** What is left of a flow that is kept no longer: its name, for the snapshots of jobs that still are. */
export class ForgottenFlow implements StepFlow {
  readonly id: string
  readonly hasExpired = false

  constructor(id: string) {
    this.id = id
  }

  handedTo(): Handed | undefined {
    return undefined
  }

  placeOf({ ref }: FlowStep): FlowPlace {
    return Object.freeze({ id: this.id, ref })
  }
}
