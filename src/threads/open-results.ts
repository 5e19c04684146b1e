/** What a step's handler sees of the steps before it. */
import { OptionError, ResultError } from '../errors.js'
import { endError } from '../job/end-error.js'
import type { Handed, HandedStep } from '../job/flow-step.js'
import { decodePayload } from '../job/payload.js'
import { show } from '../options.js'
import type { StepResult, StepResults } from '../task/context.js'
import { nameOf } from '../task/task-name.js'

/** `context.results`: fresh values for this attempt. */
export function openResults(handed: Handed | undefined): StepResults {
  const steps = (handed?.steps ?? []).map(({ ref, end }): [string, StepResult] => [ref, openEnd(end)])
  const batch = handed?.batch === undefined ? [] : [['batch', handed.batch] as const]
  return Object.freeze(Object.fromEntries([...steps, ...batch])) as StepResults
}

function openEnd(end: HandedStep['end']): StepResult {
  if (end.state !== 'completed') return end
  const { state, result, refused } = end
  return { state, result: decodePayload(result), ...(refused === undefined ? undefined : { refused }) }
}

/**
 * `context.result(task, ref?)`.
 * @throws OptionError when no step before this one is of the task, or several are and no ref says which; JobError when
 *   it did not complete; ResultError when its result was dropped
 */
export function resultOf(
  handed: Handed | undefined,
  task: { readonly name: string } | string,
  ref: string | undefined,
): unknown {
  const step = find(handed?.steps ?? [], nameOf('context.result', task), ref)
  const { end } = step
  if (end.state !== 'completed') {
    throw endError(end.state, `Step '${step.ref}' of task '${step.task}' ${end.state}`, step.ref, end.error)
  }
  if (end.refused !== undefined)
    throw new ResultError(`Step '${step.ref}' completed, but its result was dropped: ${end.refused}`)
  return decodePayload(end.result)
}

function find(steps: readonly HandedStep[], task: string, ref: string | undefined): HandedStep {
  const found = steps.filter((step) => step.task === task && (ref === undefined || step.ref === ref))
  const [step] = found
  if (step !== undefined && found.length === 1) return step
  const known =
    steps
      .map((one) => `'${one.ref}' (${one.task})`)
      .slice(0, 20)
      .join(', ') || 'none'
  const wanted = `task ${show(task)}${ref === undefined ? '' : ` and ref ${show(ref)}`}`
  throw new OptionError(
    found.length === 0
      ? `This step comes after no step of ${wanted}. Known are: ${known}. Name it in \`after\`.`
      : `This step comes after ${found.length} steps of ${wanted}: ${known}. Give a ref too.`,
  )
}
