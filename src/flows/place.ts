/** A step's place in its flow, for snapshots; in a CloseReport's with all that `restore` needs to go on with the flow. */
import type { FlowPlace, FlowRemains, FlowStep, RemainingEnd } from '../job/flow-step.js'
import { isSettled } from '../job/lifecycle.js'
import { toPortable } from '../job/portable.js'
import type { SnapshotForm } from '../job/take-snapshot.js'
import type { Flow } from './flow.js'

/** @param form 'portable' for what `restore` reads; the others name flow and step */
export function placeOf(flow: Flow, step: FlowStep, form: SnapshotForm): FlowPlace {
  const { id } = flow
  const { ref } = step
  if (form !== 'portable') return Object.freeze({ id, ref })
  return Object.freeze({ id, ref, remains: remainsOf(flow, step) })
}

function remainsOf(flow: Flow, step: FlowStep): FlowRemains {
  const { kind, onFailure, deadlineMs } = flow.facts
  return Object.freeze({
    kind,
    onFailure,
    ...flow.counts,
    ...(deadlineMs === undefined ? undefined : { deadlineMs }),
    ...(flow.deadlineWallAt === undefined ? undefined : { deadlineAt: flow.deadlineWallAt }),
    after: step.after.map(({ ref }) => ref),
    ends: step.after.flatMap((before) => endOf(before, tells(step, before))),
    position: step.position,
    isWaiting: step.isWaiting,
    isCallback: step === flow.callback,
  })
}

/** Whether the result of `before` is told here: one that many steps wait for must not be written down for each. */
function tells(step: FlowStep, before: FlowStep): boolean {
  const { toldBy } = before
  if (toldBy?.job === undefined || isSettled(toldBy.job.state)) before.toldBy = step
  return before.toldBy === step
}

function endOf({ ref, task, end, isSensitive }: FlowStep, isTold: boolean): RemainingEnd[] {
  if (end === undefined) return []
  const whose = { ref, task, ...(isSensitive ? { isSensitive } : undefined) }
  if (end.state !== 'completed') return [{ ...whose, state: end.state, error: end.error }]
  const { state, result } = end
  const refused = result === undefined || isTold ? end.refused : toldElsewhere
  return [
    {
      ...whose,
      state,
      ...(result === undefined || !isTold ? undefined : { result: toPortable(result) }),
      ...(refused === undefined ? undefined : { refused }),
    },
  ]
}

/** What a step reads when only others of its flow were restored. */
const toldElsewhere = 'It was lost with another step, which was not restored.'
