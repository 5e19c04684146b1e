/**
 * Flows from the snapshots of their unsettled steps. Each remembers how the steps before it ended; one that neither
 * settled nor was restored counts as cancelled, so that nobody waits for it.
 */
import { OptionError } from '../errors.js'
import { FlowStep, follow, type FlowPlace, type FlowRemains, type StepEnd } from '../job/flow-step.js'
import type { Job } from '../job/job.js'
import { show } from '../options.js'
import type { Clock } from '../world.js'
import { Flow } from './flow.js'

/** What a snapshot said about its step. */
export interface StepRemains extends FlowPlace {
  readonly remains: FlowRemains
  /** How steps before it ended, by ref. */
  readonly ends: ReadonlyMap<string, ToldEnd>
}

/** What a step's snapshot tells of one before it. */
export interface ToldEnd {
  readonly task: string
  readonly end: StepEnd
  readonly isSensitive: boolean
}

/** A restored job that is a step. */
export interface StoredStep {
  readonly job: Job
  readonly place: StepRemains
}

/** @throws OptionError for what no report says: nobody would ever go on */
export function checkOrder(places: readonly StepRemains[]): void {
  const nameOf = (id: string, ref: string): string => `${id}\n${ref}` // neither can hold a control character
  const positions = new Map(places.map(({ id, ref, remains }) => [nameOf(id, ref), remains.position]))
  const withCallback = new Set<string>()
  for (const { id, ref, remains } of places) {
    const { after, isCallback, kind, position } = remains
    const wrong = after.find((before) => (positions.get(nameOf(id, before)) ?? -1) >= position)
    if (wrong !== undefined)
      throw unreadable(ref, `that comes after ${show(wrong)}, which does not stand before it`)
    if (kind === 'batch' && after.length > 0) throw unreadable(ref, 'of a batch that comes after another')
    if (!isCallback) continue
    if (kind !== 'batch' || withCallback.has(id)) throw unreadable(ref, 'that cannot be its callback')
    withCallback.add(id)
  }
}

function unreadable(ref: string, what: string): OptionError {
  return new OptionError(
    `restore got a step ${show(ref)} ${what}. Give the \`lost\` list of a CloseReport, unchanged.`,
  )
}

/** Makes the flows and gives the jobs their steps. */
export function rebuild(stored: readonly StoredStep[], clock: Clock): Flow[] {
  const groups = new Map<string, StoredStep[]>()
  for (const one of stored) {
    const { id } = one.place
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [one])
    else group.push(one)
  }
  return [...groups].map(([id, members]) => rebuildFlow(id, members, clock))
}

function rebuildFlow(id: string, members: StoredStep[], clock: Clock): Flow {
  members.sort((a, b) => a.place.remains.position - b.place.remains.position)
  const [first] = members
  if (first === undefined) throw new RangeError('a flow without steps')
  const { kind, onFailure, deadlineMs, total, completed, failed } = first.place.remains
  const request = first.job.details?.request
  const flow = new Flow({ id, kind, onFailure, deadlineMs, acceptedAt: clock.now(), request })
  const steps = new Map<string, FlowStep>()
  for (const { job, place } of members) {
    const step = new FlowStep(flow, place.ref, job.task.name, job)
    job.more().step = step
    if (place.remains.isCallback) {
      flow.endWith(step)
      step.isWaiting = place.remains.isWaiting
    } else {
      steps.set(place.ref, step)
      flow.add(step)
    }
  }
  const ends = endsOf(members)
  for (const member of members) joinUp(flow, steps, member, ends)
  flow.unsettled = flow.steps.length
  flow.total = total
  flow.completed = completed
  const lost = flow.unsettled - (flow.callback === undefined ? 0 : 1)
  flow.failed = Math.max(failed, total - completed - lost) // who is missing failed
  const { deadlineAt = deadlineMs === undefined ? undefined : clock.wall() + deadlineMs } =
    first.place.remains
  if (deadlineAt !== undefined)
    flow.deadlineAt = clock.now() + Math.max(0, Math.ceil(deadlineAt - clock.wall()))
  return flow
}

/** How steps ended that have settled before. Several tell of one, and one of them with its result. */
function endsOf(members: readonly StoredStep[]): StepRemains['ends'] {
  const ends = new Map<string, ToldEnd>()
  for (const { place } of members) {
    for (const [ref, told] of place.ends) {
      const isWhole = told.end.state !== 'completed' || told.end.refused === undefined
      if (isWhole || !ends.has(ref)) ends.set(ref, told)
    }
  }
  return ends
}

/** Ties a step to those before it; who is not there is made from what was said of its end. */
function joinUp(
  flow: Flow,
  steps: Map<string, FlowStep>,
  { job, place }: StoredStep,
  ends: StepRemains['ends'],
): void {
  const step = job.details?.step
  const { after, isWaiting } = place.remains
  if (step === undefined || after.length === 0) return
  step.isWaiting = isWaiting
  step.isHanded = true
  step.after = after.map((ref) => {
    const told = ends.get(ref)
    const there = steps.get(ref)
    if (there !== undefined) {
      there.end ??= told?.end // of the generation before, while it is being retried
      return there
    }
    const before = new FlowStep(flow, ref, told?.task ?? '', undefined, told?.isSensitive)
    before.end = told?.end ?? { state: 'cancelled', error: notRestored }
    steps.set(ref, before)
    if (told !== undefined) flow.settledBefore.push(before)
    return before
  })
  for (const before of step.after) {
    if (before.job === undefined) continue
    follow(before, step)
    if (isWaiting) step.waitsFor++
  }
}

const notRestored = Object.freeze({
  name: 'JobError',
  message: 'The step was not among the restored jobs of its flow.',
  code: 'ERR_SIDEWORK_CANCELLED',
})
