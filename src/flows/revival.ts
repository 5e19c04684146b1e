/** What a retry means to a flow: which steps begin a new generation with the retried one, and what waits for them again. */
import type { FlowStep } from '../job/flow-step.js'
import { isSettled } from '../job/lifecycle.js'
import { Flow } from './flow.js'

/**
 * The steps after a settled one that its flow ended and that could run if it completed, each after those it waits for.
 * @returns undefined when the step cannot be retried: its flow is kept no longer or is ending, or it comes after one that
 *   keeps it from running
 */
export function revivedWith(step: FlowStep): FlowStep[] | undefined {
  const { flow } = step
  if (!(flow instanceof Flow) || (flow.verdict !== undefined && !flow.isSettled)) return undefined
  const revived = new Set([step])
  if (step.isWaiting && !mayHope(flow, step, revived)) return undefined
  const reached = new Set<FlowStep>()
  // A step reached over several ways is judged when all steps before it have been.
  for (const at of sortedFrom(flow, step, reached)) {
    if (at.endedByFlow && isEnded(at) && mayHope(flow, at, revived)) {
      revived.add(at)
      for (const next of at.next) reached.add(next)
    }
  }
  revived.delete(step)
  return [...revived]
}

/** The steps behind `first` in the order of the flow, as far as `reached` grows while they are gone through. */
function* sortedFrom(flow: Flow, first: FlowStep, reached: Set<FlowStep>): Generator<FlowStep> {
  for (const next of first.next) reached.add(next)
  if (reached.size === 0) return
  for (const step of flow.steps) if (reached.has(step)) yield step
}

/** Whether every step before it completed, can still, or does not matter. */
function mayHope(flow: Flow, step: FlowStep, revived: ReadonlySet<FlowStep>): boolean {
  if (flow.facts.onFailure === 'continue') return true
  const isLast = step === flow.callback
  const before = isLast ? flow.steps.filter((other) => other !== step) : step.after
  // A batch that was restored counts jobs that failed before, of which it knows no more.
  if (isLast && flow.failed > before.filter(hasFailed).length) return false
  return before.every((other) => revived.has(other) || !isEnded(other) || other.end?.state === 'completed')
}

function hasFailed(step: FlowStep): boolean {
  return isEnded(step) && step.end?.state !== 'completed'
}

function isEnded({ job }: FlowStep): boolean {
  return job === undefined || isSettled(job.state)
}

/**
 * The steps have begun a new generation, state `ready`: the counts follow.
 * @returns those of them that wait, to be blocked
 */
export function reopen(flow: Flow, revived: readonly FlowStep[]): FlowStep[] {
  const isRevived = new Set(revived)
  flow.unsettled += revived.length
  for (const step of revived) {
    step.endedByFlow = false
    if (step !== flow.callback) flow.failed-- // what completed is never retried
    for (const other of step.next)
      if (other.isWaiting && !isRevived.has(other) && !isEnded(other)) other.waitsFor++
  }
  const waiting = revived.filter(({ isWaiting }) => isWaiting)
  for (const step of waiting) {
    const { callback, total, completed, failed } = flow
    step.waitsFor =
      step === callback
        ? total - completed - failed
        : step.after.reduce((count, other) => (isEnded(other) ? count : count + 1), 0)
  }
  return waiting
}
