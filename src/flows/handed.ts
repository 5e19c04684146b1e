/** What a step's execution is told of the steps before it, bounded: results travel to a thread with each attempt. */
import { encodedJsonBytes, type EncodedPayload } from '../job/payload.js'
import type { FlowStep, Handed, HandedStep, StepEnd } from '../job/flow-step.js'
import { resultLimits } from '../job/payload-limits.js'
import type { Flow } from './flow.js'

const tooMuch =
  `The results handed to one step are over ${resultLimits.maxJsonBytes} bytes of JSON together. ` +
  'Store them where they belong and return ids or file names.'

/** The ends of the steps before this one, as they are at this moment. */
export function handedTo(flow: Flow, step: FlowStep): Handed | undefined {
  if (step === flow.callback) return { steps: [], batch: flow.counts }
  if (step.after.length === 0) return undefined
  let jsonBytes = 0
  const steps: HandedStep[] = []
  for (const { ref, task, end } of step.after) {
    if (end === undefined) continue // it was never let go before that one had settled
    jsonBytes += end.state === 'completed' ? encodedJsonBytes(end.result) : 0
    steps.push({ ref, task, end: jsonBytes > resultLimits.maxJsonBytes ? withoutResult(end) : end })
  }
  return { steps }
}

function withoutResult(end: StepEnd): StepEnd {
  if (end.state !== 'completed' || end.result === undefined) return end
  const result: EncodedPayload = undefined
  return { state: 'completed', result, refused: tooMuch }
}
