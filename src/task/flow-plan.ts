/**
 * Reads what `flow`, `chain` and `batch` are given into one form: steps, each with the steps it comes after. Whatever
 * can be refused by looking at the shape is refused here, also in a thread, before anything crosses.
 */
import { OptionError, saying } from '../errors.js'
import type { FlowKind, OnFailure } from '../job/flow-step.js'
import { durationMs, key, ownOptions, priorityLevel, show } from '../options.js'

/** One step, its payload and options as they were given. */
export interface PlannedStep {
  readonly ref: string
  readonly task: unknown
  readonly payload: unknown
  /** The payload is what its task's schema made of it, where a handler defers. */
  readonly isValidated?: boolean
  readonly options: Readonly<Record<string, unknown>> | undefined
  /** Positions in `FlowPlan.steps`. */
  readonly after: readonly number[]
}

/** A flow as its caller wants it. */
export interface FlowPlan {
  readonly kind: FlowKind
  readonly onFailure: OnFailure
  readonly deadlineMs: number | undefined
  /** As given. For a batch: its jobs. */
  readonly steps: readonly PlannedStep[]
  /** Positions of the steps, each after those it comes after. Undefined when that is the order given. */
  readonly order: readonly number[] | undefined
  /** Comes after all steps of a batch. */
  readonly callback: PlannedStep | undefined
}

const flowNames: ReadonlySet<string> = new Set(['onFailure', 'deadline', 'priority'])
const batchNames: ReadonlySet<string> = new Set([...flowNames, 'callback', 'options'])
const stepNames: ReadonlySet<string> = new Set(['task', 'payload', 'after', 'options'])
const chainNames: ReadonlySet<string> = new Set(['task', 'payload', 'ref', 'options'])
const callbackNames: ReadonlySet<string> = new Set(['task', 'payload', 'options'])

/** The ref of a batch's callback. */
const callbackRef = 'callback'

const none: readonly number[] = Object.freeze([])

/** @throws OptionError for what is no flow, unknown refs, and steps that wait for each other, naming their path */
export function planFlow(steps: unknown, options: unknown): FlowPlan {
  const own = ownOptions('flow', options, flowNames)
  if (typeof steps !== 'object' || steps === null || Array.isArray(steps)) {
    throw new OptionError(
      `flow got ${show(steps)}. Give an object of steps: { ref: { task, payload, after } }.`,
    )
  }
  const entries = Object.entries(steps as Record<string, unknown>)
  const positions = new Map(entries.map(([ref], position) => [ref, position]))
  const planned = entries.map(([ref, step]) => {
    key('A ref of a flow', ref)
    const given = ownOptions(
      `Step ${show(ref)}`,
      step ?? null,
      stepNames,
      '{ task, payload, after, options }',
    )
    return plannedStep(ref, given, own['priority'], readAfter(ref, given['after'], positions))
  })
  const order = inOrder(planned)
  return { kind: 'flow', ...readPolicy(own, 'cancel'), steps: planned, order, callback: undefined }
}

/** @throws OptionError for what is no chain, and for two steps of one ref */
export function planChain(steps: unknown, options: unknown): FlowPlan {
  const own = ownOptions('chain', options, flowNames)
  if (!Array.isArray(steps))
    throw new OptionError(`chain got ${show(steps)}. Give an array of { task, payload }.`)
  const refs = new Map<string, number>()
  const planned = Array.from(steps, (step: unknown, position): PlannedStep => {
    const given = ownOptions('A step of a chain', step ?? null, chainNames, '{ task, payload, ref, options }')
    const ref = chainRef(given, refs)
    return plannedStep(ref, given, own['priority'], position === 0 ? none : [position - 1])
  })
  return {
    kind: 'chain',
    ...readPolicy(own, 'cancel'),
    steps: planned,
    order: undefined,
    callback: undefined,
  }
}

/** @throws OptionError for what is no batch */
export function planBatch(task: unknown, payloads: unknown, options: unknown): FlowPlan {
  const own = ownOptions('batch', options, batchNames)
  if (!Array.isArray(payloads))
    throw new OptionError(`batch got ${show(payloads)} as payloads. Give an array of payloads of one task.`)
  const { priority } = own
  const shared = stepOptions('batch', own['options'], priority)
  if (shared?.['id'] !== undefined)
    throw new OptionError('batch got an id for all of its jobs. Leave it out, or use a flow.')
  // Unlike map(), it takes a gap for what is read there.
  const steps = Array.from(payloads, (payload: unknown, position): PlannedStep => ({
    ref: String(position),
    task,
    payload,
    options: shared,
    after: none,
  }))
  const given =
    own['callback'] === undefined
      ? undefined
      : ownOptions('callback', own['callback'] ?? null, callbackNames, '{ task, payload, options }')
  const callback = given === undefined ? undefined : plannedStep(callbackRef, given, priority, none)
  return { kind: 'batch', ...readPolicy(own, 'continue'), steps, order: undefined, callback }
}

/** The tasks of its steps as they were given, the callback's last. */
export function tasksOf({ steps, callback }: FlowPlan): readonly unknown[] {
  const all = callback === undefined ? steps : [...steps, callback]
  return all.map(({ task }) => task)
}

/** Does `work` for the step of this ref; a refusal names it. */
export function inStep<T>(ref: string, work: () => T): T {
  return saying(`Step ${show(ref)}`, work)
}

function plannedStep(
  ref: string,
  given: Record<string, unknown>,
  priority: unknown,
  after: readonly number[],
): PlannedStep {
  const options = stepOptions(`Step ${show(ref)}`, given['options'], priority)
  return { ref, task: given['task'], payload: given['payload'], options, after }
}

/** The options of a step; what is in them is read when its job is drafted. */
function stepOptions(where: string, value: unknown, priority: unknown): PlannedStep['options'] {
  if (value === undefined) return priority === undefined ? undefined : { priority }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new OptionError(`${where} has ${show(value)} as options. Give an object with options.`)
  const own: Record<string, unknown> = { ...value }
  if (own['dedupe'] !== undefined)
    throw new OptionError(
      `${where} has dedupe. A step of a flow is never taken for a duplicate: leave it out.`,
    )
  return priority === undefined || own['priority'] !== undefined ? own : { ...own, priority }
}

function readPolicy(
  own: Record<string, unknown>,
  usual: OnFailure,
): Pick<FlowPlan, 'onFailure' | 'deadlineMs'> {
  const { onFailure = usual, deadline, priority } = own
  if (onFailure !== 'cancel' && onFailure !== 'continue')
    throw new OptionError(`onFailure is ${show(onFailure)}. Give 'cancel' or 'continue'.`)
  if (priority !== undefined) priorityLevel(priority)
  return {
    onFailure,
    deadlineMs: deadline === undefined ? undefined : Math.ceil(durationMs('deadline', deadline)),
  }
}

function readAfter(ref: string, after: unknown, positions: ReadonlyMap<string, number>): readonly number[] {
  if (after === undefined) return none
  if (!Array.isArray(after))
    throw new OptionError(`Step ${show(ref)}: after is ${show(after)}. Give an array of refs.`)
  const found = new Set<number>()
  for (const other of after as unknown[]) {
    const position = typeof other === 'string' ? positions.get(other) : undefined
    if (position === undefined) {
      const known = [...positions.keys()].slice(0, 20).map(show).join(', ')
      throw new OptionError(
        `Step ${show(ref)} comes after ${show(other)}, which is no step. Known are: ${known}.`,
      )
    }
    found.add(position)
  }
  return found.size === 0 ? none : [...found]
}

/** @param taken the refs there are, each with how many steps got a name made from it */
function chainRef(given: Record<string, unknown>, taken: Map<string, number>): string {
  const { ref: own, task } = given
  const name: unknown = typeof task === 'object' && task !== null ? (task as { name?: unknown }).name : task
  const wanted = own === undefined ? (typeof name === 'string' ? name : 'step') : key('A ref of a chain', own)
  if (own !== undefined && taken.has(wanted))
    throw new OptionError(`Two steps of the chain have the ref ${show(wanted)}. Give each its own.`)
  let ref = wanted
  for (let number = taken.get(wanted) ?? 0; taken.has(ref); number++) {
    ref = `${wanted}#${number + 1}`
    taken.set(wanted, number + 1)
  }
  taken.set(ref, taken.get(ref) ?? 1)
  return ref
}

/**
 * Positions in an order in which each step comes after those it waits for (Kahn, 1962).
 * @throws OptionError naming the path, when steps wait for each other
 */
function inOrder(steps: readonly PlannedStep[]): readonly number[] | undefined {
  const waitsFor = steps.map(({ after }) => after.length)
  const next: number[][] = steps.map(() => [])
  for (const [position, { after }] of steps.entries())
    for (const before of after) next[before]?.push(position)
  const order = waitsFor.flatMap((count, position) => (count === 0 ? [position] : []))
  for (let at = 0; at < order.length; at++) {
    for (const position of next[order[at] ?? 0] ?? []) {
      const left = (waitsFor[position] ?? 0) - 1
      waitsFor[position] = left
      if (left === 0) order.push(position)
    }
  }
  if (order.length < steps.length) throw circle(steps, waitsFor)
  return order.every((position, at) => position === at) ? undefined : order
}

/** Whoever still waits, waits for somebody who does: going back from one must come round. */
function circle(steps: readonly PlannedStep[], waitsFor: readonly number[]): OptionError {
  const seen = new Set<number>()
  let at = waitsFor.findIndex((count) => count > 0)
  while (!seen.has(at)) {
    seen.add(at)
    at = steps[at]?.after.find((before) => (waitsFor[before] ?? 0) > 0) ?? at
  }
  const path = [...seen]
  const round = [...path.slice(path.indexOf(at)), at].reverse().map((position) => steps[position]?.ref)
  const shown = round.length > 12 ? [...round.slice(0, 6), '…', ...round.slice(-5)] : round
  return new OptionError(
    `The steps wait for each other: ${shown.join(' → ')}. Take one of these out of the other's after.`,
  )
}
