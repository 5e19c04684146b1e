/**
 * The flows there are. Accepting one makes a job of each step, all or none: steps that come after others begin as
 * `blocked`, a batch's callback too, so that nothing can be refused later.
 */
import type { Acceptance } from '../defer/acceptance.js'
import type { Drafts } from '../defer/draft.js'
import { OptionError } from '../errors.js'
import { FlowStep, follow } from '../job/flow-step.js'
import { heldBytes } from '../job/held-bytes.js'
import type { Job } from '../job/job.js'
import type { Journal } from '../job/journal.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { RequestContext } from '../job/snapshot.js'
import type { TaskRecord } from '../job/task-record.js'
import { inStep, type FlowPlan, type PlannedStep } from '../task/flow-plan.js'
import type { Clock } from '../world.js'
import { Course, type CoursePort } from './course.js'
import { Flow } from './flow.js'
import type { KeepSettings } from '../shelf.js'
import { KeptFlows } from './kept-flows.js'
import { reopen, revivedWith } from './revival.js'
import { rebuild, type StepRemains, type StoredStep } from './rebuild.js'

/** The rooms that flows work with. */
export interface FlowRooms {
  readonly clock: Clock
  readonly acceptance: Acceptance
  readonly drafts: Drafts
  readonly journal: Journal
  readonly course: Omit<CoursePort, 'letGo'>
  newId(): string
  taskOf(task: unknown): TaskRecord
}

export class FlowBook {
  readonly #rooms: FlowRooms
  readonly #course: Course
  /** Flows that have not settled. */
  readonly #open = new Map<string, Flow>()
  readonly #kept: KeptFlows

  /** @param mostResultBytes of results, for all flows that have not settled together */
  constructor(rooms: FlowRooms, keep: KeepSettings, mostResultBytes: number) {
    this.#rooms = rooms
    this.#kept = new KeptFlows(keep, rooms.clock)
    const port: CoursePort = {
      ...rooms.course,
      letGo: (job) => rooms.acceptance.letGo(job),
      settled: (flow) => this.#settled(flow),
    }
    this.#course = new Course(port, mostResultBytes)
  }

  /** Flows that have not settled. */
  get size(): number {
    return this.#open.size
  }

  /** Steps that will be let go or cancelled in a later turn. */
  get pending(): number {
    return this.#course.pending
  }

  /** Bytes of results that unsettled flows keep. */
  get resultBytes(): number {
    return this.#course.resultBytes
  }

  /** A flow that has not settled or is still kept. */
  find(id: string): Flow | undefined {
    return this.#open.get(id) ?? this.#kept.find(id)
  }

  /**
   * All of it, or nothing.
   * @param isHeld until `release`, or `stop`
   * @throws OptionError, UnknownTaskError, PayloadError, PayloadTooLargeError, QueueFullError
   */
  accept(plan: FlowPlan, request: RequestContext | undefined, isHeld: boolean): Flow {
    const { acceptance, clock } = this.#rooms
    const { kind, onFailure, deadlineMs } = plan
    const acceptedAt = clock.now()
    const flow = new Flow({ id: this.#rooms.newId(), kind, onFailure, deadlineMs, acceptedAt, request })
    const jobs = this.#draft(flow, plan, request)
    acceptance.admitAll(jobs)
    this.#open.set(flow.id, flow)
    flow.isHeld = isHeld
    this.#course.after(() => {
      for (const job of jobs) {
        const isWaiting = job.details?.step?.isWaiting === true
        acceptance.enter(job, isHeld ? 'held' : isWaiting ? 'blocked' : undefined)
      }
      if (!isHeld) this.#begin(flow)
    })
    if (jobs.length === 0) this.#course.settle(flow)
    return flow
  }

  /** A held flow goes on, as a whole. Never refused. */
  release(flow: Flow): void {
    if (!flow.isHeld) return
    flow.isHeld = false
    this.#course.after(() => {
      for (const { job, isWaiting } of flow.steps) {
        if (job?.state !== 'held') continue
        if (isWaiting) this.#rooms.journal.block(job)
        else this.#rooms.acceptance.letGo(job)
      }
      this.#begin(flow)
    })
  }

  /** Cancels every step that has not settled. @returns false when it has settled */
  cancel(flow: Flow, error: SerializedError): boolean {
    return this.#course.stop(flow, { state: 'cancelled', error })
  }

  /** A job that is a step has settled. */
  settled(job: Job): void {
    const step = job.details?.step
    if (step !== undefined) this.#course.settled(step, job)
  }

  /** The jobs that begin a new generation with this one; undefined when it cannot be retried. */
  revivedWith(job: Job): Job[] | undefined {
    const step = job.details?.step
    return step === undefined ? noJobs : revivedWith(step)?.flatMap(({ job: other }) => other ?? [])
  }

  /** The jobs are about to begin a new generation: what they hold on to is counted again when that has settled. */
  reopening(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const flow = job.details?.step?.flow
      if (flow instanceof Flow) flow.heldBytes -= heldBytes(job)
    }
  }

  /** They have begun it: their flow goes on, and those that wait for others are blocked. */
  reopened(jobs: readonly Job[]): void {
    const steps = jobs.flatMap(({ details }) => details?.step ?? [])
    const flow = steps[0]?.flow
    if (!(flow instanceof Flow)) return
    if (flow.isSettled) this.#reopen(flow)
    this.#course.after(() => {
      for (const step of reopen(flow, steps)) {
        if (step.job !== undefined) this.#rooms.journal.block(step.job)
        if (step.waitsFor === 0) this.#course.push(step)
      }
    })
  }

  /** @throws OptionError when a flow to be restored is there already */
  refuseKnown(places: readonly StepRemains[]): void {
    for (const { id } of places) {
      if (this.find(id) !== undefined)
        throw new OptionError(
          `A flow with id '${id}' exists already. Restore all lost jobs of a flow in one call.`,
          'ERR_SIDEWORK_ID_TAKEN',
        )
    }
  }

  /** Gives restored jobs their steps again, before they are stored. */
  rebuild(stored: readonly StoredStep[]): void {
    for (const flow of rebuild(stored, this.#rooms.clock)) {
      this.#open.set(flow.id, flow)
      this.#course.begin(flow, flow.deadlineAt)
    }
  }

  /** Restored jobs are stored: their flows go on. */
  resume(jobs: readonly Job[]): void {
    this.#course.after(() => {
      for (const { details } of jobs) if (details?.step?.isWaiting === true) this.#course.push(details.step)
    })
  }

  /** Every job is about to be cancelled: no step follows another any more. */
  close(): void {
    this.#course.isClosed = true
  }

  /** Its time begins, and steps that wait for nothing are looked at. */
  #begin(flow: Flow): void {
    if (flow.isSettled) return // its signals had aborted already
    const { deadlineMs } = flow.facts
    this.#course.begin(flow, deadlineMs === undefined ? undefined : this.#rooms.clock.now() + deadlineMs)
    const mayBeDoomed = flow.failed > 0
    for (const step of flow.steps)
      if (step.isWaiting && (mayBeDoomed || step.waitsFor === 0)) this.#course.push(step)
  }

  #settled(flow: Flow): void {
    this.#open.delete(flow.id)
    this.#rooms.course.settled(flow)
    this.#kept.keep(flow)
  }

  #reopen(flow: Flow): void {
    const { deadlineMs } = flow.facts
    this.#kept.take(flow)
    this.#open.set(flow.id, flow)
    flow.settledAt = -1
    flow.verdict = flow.failure = undefined
    this.#course.resultBytes += flow.resultBytes
    this.#course.begin(flow, deadlineMs === undefined ? undefined : this.#rooms.clock.now() + deadlineMs)
  }

  /** A job for each step, in the order given; nothing is stored. */
  #draft(flow: Flow, plan: FlowPlan, request: RequestContext | undefined): Job[] {
    const jobs = plan.steps.map((planned) => this.#draftStep(flow, planned, request))
    const given = jobs.flatMap(({ details }) => details?.step ?? [])
    link(given, plan)
    for (const step of inOrder(given, plan.order)) flow.add(step)
    flow.total = given.length
    if (plan.callback !== undefined) {
      const callback = this.#draftStep(flow, plan.callback, request)
      jobs.push(callback)
      const last = callback.details?.step
      if (last !== undefined) flow.endWith(last)
    }
    flow.unsettled = flow.steps.length
    return jobs
  }

  #draftStep(flow: Flow, planned: PlannedStep, request: RequestContext | undefined): Job {
    const { ref, task, payload, isValidated, options } = planned
    return inStep(ref, () => {
      if (typeof task === 'function')
        throw new OptionError('its task is a closure. Give a task made by defineTask, or its name.')
      const record = this.#rooms.taskOf(task)
      const job = this.#rooms.drafts.draft(record, payload, options, request, isValidated)
      const details = job.more()
      details.dedupe = undefined // nobody else's job can stand for a step
      details.step = new FlowStep(flow, ref, record.name, job)
      return job
    })
  }
}

const noJobs: Job[] = []

function link(steps: readonly FlowStep[], plan: FlowPlan): void {
  for (const [position, step] of steps.entries()) {
    const after = (plan.steps[position]?.after ?? []).flatMap((before) => steps[before] ?? [])
    if (after.length === 0) continue
    step.after = after
    step.waitsFor = after.length
    step.isWaiting = step.isHanded = true
    for (const before of after) follow(before, step)
  }
}

function inOrder(steps: readonly FlowStep[], order: readonly number[] | undefined): readonly FlowStep[] {
  return order === undefined ? steps : order.flatMap((position) => steps[position] ?? [])
}
