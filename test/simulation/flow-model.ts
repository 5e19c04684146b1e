/** A second account of flows, kept from what goes in and out, and what must be so in it. */
import type { JobState } from '../../src/index.js'
import type { FlowPlanOfSeed, StepPlan } from './flow-plan.js'
import type { Run } from './script.js'

const settled: readonly string[] = ['completed', 'failed', 'cancelled', 'expired']
export const isOver = (state: string): boolean => settled.includes(state)

interface JobEvent {
  readonly id: string
  /** Ms since the epoch. */
  readonly at: number
}

export interface ModelStep {
  readonly flow: ModelFlow
  readonly plan: StepPlan
  readonly ref: string
  readonly id: string
  readonly isCallback: boolean
  readonly before: ModelStep[]
  state: JobState
  /** How it ended, each time. */
  readonly ends: string[]
  /** When it ended last, ms since the epoch. */
  endedAt: number
  accepts: number
  executions: number
  /** Whether it is still to be let go; then what it must wait for: so many ends of each step before it. */
  needs: Map<ModelStep, number>
}

export interface ModelFlow {
  readonly id: string
  readonly plan: FlowPlanOfSeed
  readonly steps: ModelStep[]
  /** As told by flow:settled. */
  ends: string[]
  /** Its deadline has passed, and not all of its steps have ended. */
  isEnding: boolean
}

export class FlowModel {
  readonly flows: ModelFlow[] = []
  readonly byId = new Map<string, ModelStep>()
  broken: { invariant: string; what: string } | undefined
  readonly reached = new Set<string>()
  /** Some of the lost steps were not restored. */
  hasForgotten = false

  wrong(invariant: string, what: string): void {
    this.broken ??= { invariant, what }
  }

  /** @param ids by ref */
  add(id: string, plan: FlowPlanOfSeed, ids: ReadonlyMap<string, string>): ModelFlow {
    const flow: ModelFlow = { id, plan, steps: [], ends: [], isEnding: false }
    const made = (ref: string, step: StepPlan, isCallback: boolean): ModelStep => {
      const before = isCallback ? [...flow.steps] : step.after.flatMap((at) => flow.steps[at] ?? [])
      const needs = new Map(before.map((one) => [one, 1]))
      const state = 'ready' as JobState // until the scheduler says
      const own = ids.get(ref) ?? ''
      const it = {
        flow,
        plan: step,
        ref,
        id: own,
        isCallback,
        before,
        state,
        ends: [],
        endedAt: -1,
        accepts: 0,
        executions: 0,
        needs,
      }
      this.byId.set(own, it)
      return it
    }
    for (const [at, step] of plan.steps.entries()) flow.steps.push(made(`s${at}`, step, false))
    if (plan.callback !== undefined) flow.steps.push(made('callback', plan.callback, true))
    this.flows.push(flow)
    return flow
  }

  /** @param stateOf the state of each job at this moment */
  told(name: string, { id, at }: JobEvent, stateOf: (id: string) => JobState | undefined): void {
    const step = this.byId.get(id)
    if (step === undefined) return
    if (name === 'accepted') {
      step.accepts++
      if (step.accepts > step.ends.length + 1)
        this.wrong('I1', `${nameOf(step)} was accepted while it was unsettled`)
      for (const other of step.flow.steps)
        // One with a key may be blocked by its line, let go by its flow before.
        if (other.needs.has(step) && other.plan.orderingKey === undefined && stateOf(other.id) === 'blocked')
          other.needs.set(step, step.ends.length + 1)
    }
    if (!isOver(name)) return
    step.ends.push(name)
    step.endedAt = at
    if (step.ends.length > step.accepts)
      this.wrong('I1', `${nameOf(step)} settled ${step.ends.length} times in ${step.accepts} generations`)
  }

  /**
   * I17: what waits when its flow's deadline passes ends with it, also while that is being done, a slice per turn: a step
   * is not let go by the end that the deadline gave to one before it. (One that was let go before stays so when a step
   * before it is retried, so flows with a retried step are not judged.)
   */
  checkEnding({ steps }: ModelFlow, deadlineAt: number, stateOf: (id: string) => JobState | undefined): void {
    const hasEnded = ({ ends, endedAt }: ModelStep): boolean =>
      ends.at(-1) === 'expired' && endedAt >= deadlineAt
    if (steps.some((step) => stateOf(step.id) === 'blocked'))
      this.reached.add('a deadline took several turns')
    if (steps.some(({ accepts }) => accepts > 1)) return
    for (const step of steps) {
      const culprit = step.before.find(hasEnded)
      const state = culprit === undefined ? undefined : stateOf(step.id)
      if (culprit !== undefined && state !== undefined && state !== 'blocked' && !isOver(state))
        this.wrong('I17', `${nameOf(step)} is ${state}: ${nameOf(culprit)} before it ended by the deadline`)
    }
  }

  /** I17: an execution begins after the steps before it, and is told how they ended. */
  began(run: Run): void {
    const step = this.byId.get(run.id)
    if (step === undefined) return this.wrong('I2', `${run.id} was never accepted`)
    step.executions++
    const { onFailure } = step.flow.plan
    for (const [before, needed] of step.needs)
      if (before.ends.length < needed)
        this.wrong('I17', `${nameOf(step)} began before ${nameOf(before)} had settled`)
    step.needs = new Map()
    for (const before of step.before)
      if (onFailure === 'cancel' && before.ends.at(-1) !== 'completed')
        this.wrong('I17', `${nameOf(step)} began, though ${nameOf(before)} ${before.ends.at(-1)}`)
    if (step.isCallback) this.#checkCounts(step, run)
    else this.#checkHanded(step, run)
  }

  #checkCounts(step: ModelStep, { handed }: Run): void {
    const { total = -1, completed = -1, failed = -1 } = handed?.batch ?? {}
    const items = step.before.length
    if (total !== items || completed < 0 || completed + failed > items)
      this.wrong('I17', `${nameOf(step)} was told ${JSON.stringify(handed?.batch)} of ${items}`)
    this.reached.add(items === 0 ? 'an empty batch' : 'a callback ran')
  }

  #checkHanded(step: ModelStep, { handed }: Run): void {
    const told = new Map(handed?.steps.map(({ ref, end }) => [ref, end]))
    if (told.size !== step.before.length)
      this.wrong('I17', `${nameOf(step)} was told of ${told.size} steps, not of ${step.before.length}`)
    for (const before of step.before) {
      const end = told.get(before.ref)
      if (end === undefined || !before.ends.includes(end.state))
        this.wrong(
          'I17',
          `${nameOf(step)} was told that ${nameOf(before)} ${end?.state}: it ${before.ends.join()}`,
        )
      // A result may have been lost with a step that was not restored.
      const isGone = this.hasForgotten && end?.state === 'completed' && end.refused !== undefined
      if (end?.state === 'completed' && !isGone && end.result !== JSON.stringify(before.ref))
        this.wrong('I17', `${nameOf(step)} got ${String(end.result)} as the result of ${nameOf(before)}`)
      if (end !== undefined && end.state !== 'completed')
        this.reached.add('a step saw one that did not complete')
    }
  }

  /**
   * When nothing can happen any more.
   * @param isUndisturbed nothing was cancelled from outside, and nothing was too late
   * @param isRetried a job began another generation
   */
  checkEnd(isUndisturbed: boolean, isRetried: boolean): void {
    for (const step of this.byId.values()) {
      const last = step.ends.at(-1)
      if (step.ends.length !== step.accepts)
        this.wrong('I1', `${nameOf(step)} settled ${step.ends.length} times in ${step.accepts} generations`)
      const bad = step.before.filter((before) => before.ends.at(-1) !== 'completed')
      if (last === 'completed' && bad.length > 0 && step.flow.plan.onFailure === 'cancel')
        this.wrong('I17', `${nameOf(step)} completed after one that did not`)
      if (step.isCallback && step.ends.filter((end) => end === 'completed').length > 1)
        this.wrong('I17', `${nameOf(step)} ran to its end more than once`)
      if (step.isCallback && !isRetried && step.accepts !== 1)
        this.wrong('I17', `${nameOf(step)} was accepted ${step.accepts} times`)
      if (!isUndisturbed) continue
      const isDoomed = bad.length > 0 && step.flow.plan.onFailure === 'cancel'
      if (isDoomed !== (last === 'cancelled'))
        this.wrong('I17', `${nameOf(step)} ${last}, with ${bad.length} before it that did not complete`)
    }
  }
}

export function nameOf({ flow, ref }: ModelStep): string {
  return `${flow.plan.kind} ${flow.id.slice(0, 4)} ${ref}`
}
