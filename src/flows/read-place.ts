/** Reads what a CloseReport's snapshot says of its step: it may have come from a file. */
import { OptionError } from '../errors.js'
import type { FlowRemains, RemainingEnd, StepEnd } from '../job/flow-step.js'
import { resultLimits } from '../job/payload-limits.js'
import { fromPortable } from '../job/portable.js'
import type { SerializedError } from '../job/serialized-error.js'
import { integer, key, show } from '../options.js'
import type { StepRemains, ToldEnd } from './rebuild.js'

/**
 * @returns undefined for a job that is no step, or whose snapshot does not say enough of its flow
 * @throws OptionError, PayloadError for what cannot have been in a report
 */
export function readPlace(flow: unknown): StepRemains | undefined {
  if (flow === undefined) return undefined
  const given = asObject('flow', flow)
  if (given['remains'] === undefined) return undefined
  const remains = readRemains(asObject('flow.remains', given['remains']))
  const ends = new Map<string, ToldEnd>()
  for (const end of remains.ends)
    ends.set(end.ref, { task: end.task, end: readEnd(end), isSensitive: end.isSensitive === true })
  return {
    id: key('restore: flow.id', given['id']),
    ref: key('restore: flow.ref', given['ref']),
    remains,
    ends,
  }
}

function readRemains(given: Record<string, unknown>): FlowRemains {
  const { kind, onFailure, deadlineMs, deadlineAt } = given
  if (kind !== 'flow' && kind !== 'chain' && kind !== 'batch') throw bad('kind', kind)
  if (onFailure !== 'cancel' && onFailure !== 'continue') throw bad('onFailure', onFailure)
  const count = (name: string): number => integer(`restore: flow.remains.${name}`, given[name], 0)
  return {
    kind,
    onFailure,
    total: count('total'),
    completed: count('completed'),
    failed: count('failed'),
    position: count('position'),
    ...(deadlineMs === undefined ? undefined : { deadlineMs: count('deadlineMs') }),
    ...(deadlineAt === undefined ? undefined : { deadlineAt: count('deadlineAt') }),
    after: list('after', given['after']).map((ref) => key('restore: flow.remains.after', ref)),
    ends: list('ends', given['ends']).map(asEnd),
    isWaiting: given['isWaiting'] === true,
    isCallback: given['isCallback'] === true,
  }
}

function asEnd(value: unknown): RemainingEnd {
  const { ref, task, state, result, refused, error, isSensitive } = asObject('flow.remains.ends', value)
  if (state !== 'completed' && state !== 'failed' && state !== 'cancelled' && state !== 'expired')
    throw bad('ends', state)
  return {
    ref: key('restore: flow.remains.ends', ref),
    task: String(task),
    state,
    result,
    ...(typeof refused === 'string' ? { refused } : undefined),
    // As it was written into the report; it is only handed on.
    ...(typeof error === 'object' && error !== null ? { error: error as SerializedError } : undefined),
    ...(isSensitive === true ? { isSensitive } : undefined),
  }
}

function readEnd({ state, result, refused, error }: RemainingEnd): StepEnd {
  if (state !== 'completed')
    return { state, error: error ?? { name: 'JobError', message: `The step ${state}.` } }
  const encoded = result === undefined ? undefined : fromPortable(result, resultLimits)
  return { state, result: encoded, ...(refused === undefined ? undefined : { refused }) }
}

function asObject(name: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw bad(name, value)
}

function list(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw bad(name, value)
}

function bad(name: string, value: unknown): OptionError {
  return new OptionError(
    `restore got a step whose ${name} is ${show(value)}. Give the \`lost\` list of a CloseReport, unchanged.`,
  )
}
