/**
 * How a flow goes on: a step has settled, so those after it are let go or cancelled; all have, so the flow has settled.
 *
 *      settled ──▶ count down each step after it ──▶ none left, or doomed ──▶ due ──▶ let go (acceptance) | cancelled
 *         └──────▶ no step left ──▶ the flow has settled ──▶ told, kept, whoever waits
 *
 * What is due is done at once if it is little, else a slice per turn of the loop; never by recursion.
 */
import type { FlowStep, StepEnd } from '../job/flow-step.js'
import { heldBytes } from '../job/held-bytes.js'
import type { Disarmable, Job } from '../job/job.js'
import { isSettled } from '../job/lifecycle.js'
import { encodedSizeBytes } from '../job/payload.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Clock } from '../world.js'
import { Flow, type FlowVerdict } from './flow.js'
import { Slice } from '../slice.js'

/** What the course of flows needs of the other rooms. */
export interface CoursePort {
  readonly clock: Clock
  nextTurn(task: () => void): void
  alarm(at: number, run: () => void): Disarmable
  /** A blocked step may go on: its delay, its line and its expiry begin. */
  letGo(job: Job): void
  cancel(job: Job, error: SerializedError): void
  /** Its flow's deadline has passed: what waits expires, what runs is stopped. */
  expire(job: Job, error: SerializedError): void
  /** Whether anybody listens. */
  wantsProgress(): boolean
  progressed(flow: Flow): void
  /** All steps of the flow have settled. */
  settled(flow: Flow): void
  /** Nothing is due any more. */
  moved(): void
}

/** Steps dealt with per turn, and how long that may take. */
const sliceSteps = 1024
const progressEveryMs = 100
/** Bytes of results that one flow keeps. */
const mostResultBytes = 64 * 2 ** 20

const completedEnd: StepEnd = Object.freeze({ state: 'completed', result: undefined })

export class Course {
  readonly #port: CoursePort
  readonly #mostBytes: number
  /** Bytes of results of all flows that have not settled. */
  resultBytes = 0
  #due: FlowStep[] = []
  #next = 0
  /** Being done, or to be done in a later turn: whoever adds something need do no more. */
  #isBusy = false
  /** Every step is being settled: no step follows another. */
  isClosed = false

  /** @param mostBytes of results, for all flows together */
  constructor(port: CoursePort, mostBytes: number) {
    this.#port = port
    this.#mostBytes = mostBytes
  }

  /** Steps that will be let go or cancelled in a later turn. */
  get pending(): number {
    return this.#due.length - this.#next
  }

  /** Runs `task`; what falls due meanwhile is done afterwards. */
  after(task: () => void): void {
    const wasBusy = this.#isBusy
    this.#isBusy = true
    try {
      task()
    } finally {
      this.#isBusy = wasBusy
    }
    this.goOn()
  }

  /** Looks at the step soon: perhaps it may go on, or cannot any more. */
  push(step: FlowStep): void {
    this.#due.push(step)
  }

  /** The step's job has settled. */
  settled(step: FlowStep, job: Job): void {
    const { flow } = step
    if (!(flow instanceof Flow)) return
    this.#noteEnd(flow, step, job)
    flow.heldBytes += heldBytes(job)
    const isBad = job.state !== 'completed'
    flow.unsettled--
    if (step !== flow.callback) {
      if (isBad) flow.failed++
      else flow.completed++
    }
    const cancels = isBad && flow.facts.onFailure === 'cancel'
    for (const other of step.next) {
      if (!other.isWaiting) continue
      other.waitsFor--
      if (other.waitsFor === 0 || cancels) this.#due.push(other)
    }
    if (flow.unsettled === 0) this.settle(flow)
    else this.#tellProgress(flow)
    this.goOn()
  }

  /** Does what is due. */
  goOn(): void {
    if (this.#isBusy || this.pending === 0) return
    this.#isBusy = true
    this.#slice()
  }

  #slice(): void {
    const slice = new Slice(this.#port.clock, 64)
    for (let count = 1; this.#next < this.#due.length; count++) {
      const step = this.#due[this.#next++]
      if (step !== undefined) this.#decide(step)
      if (count === sliceSteps || slice.step()) break
    }
    if (this.#next < this.#due.length) return this.#port.nextTurn(() => this.#slice())
    this.#due = []
    this.#next = 0
    this.#isBusy = false
    this.#port.moved()
  }

  #decide(step: FlowStep): void {
    const { flow, job } = step
    if (this.isClosed || !step.isWaiting || job?.state !== 'blocked' || !(flow instanceof Flow)) return
    if (flow.verdict !== undefined) return // whoever gave the verdict ends its steps
    const doom = doomOf(flow, step)
    if (doom !== undefined) {
      step.endedByFlow = true
      this.#port.cancel(job, doom)
    } else if (step.waitsFor === 0) {
      step.isWaiting = false
      this.#port.letGo(job)
    }
  }

  /** Ends every step of a flow. @returns false when it has settled or is ending */
  stop(flow: Flow, verdict: FlowVerdict): boolean {
    if (flow.isSettled || flow.verdict !== undefined) return false
    flow.verdict = verdict
    flow.isHeld = false
    this.after(() => this.#stopFrom(flow, verdict, 0, verdict.state === 'expired' ? sliceSteps : Infinity))
    return true
  }

  /** @param most how many per turn: nobody waits for a deadline's end, so that it must not hold a turn */
  #stopFrom(flow: Flow, verdict: FlowVerdict, from: number, most: number): void {
    const to = Math.min(flow.steps.length, from + most)
    for (let at = from; at < to; at++) {
      const step = flow.steps[at]
      const job = step?.job
      if (step === undefined || job === undefined || isSettled(job.state)) continue
      step.endedByFlow = step.isWaiting
      if (verdict.state === 'expired') this.#port.expire(job, verdict.error)
      else this.#port.cancel(job, verdict.error)
    }
    if (to < flow.steps.length) {
      this.#port.nextTurn(() => {
        if (flow.verdict === verdict) this.#stopFrom(flow, verdict, to, most)
      })
    }
  }

  /** The flow's time begins. */
  begin(flow: Flow, deadlineAt: number | undefined): void {
    flow.deadlineAt = deadlineAt
    if (deadlineAt === undefined) return
    flow.deadlineWallAt = this.#port.clock.wallAt(deadlineAt)
    flow.deadline?.disarm()
    flow.deadline = this.#port.alarm(deadlineAt, () => {
      flow.deadline = undefined
      this.stop(flow, { state: 'expired', error: deadlineError })
    })
  }

  /** No step is left. */
  settle(flow: Flow): void {
    flow.isHeld = false
    flow.settledAt = this.#port.clock.now()
    flow.failure = flow.verdict === undefined ? flow.findFailure() : undefined
    flow.deadline?.disarm()
    flow.telling?.disarm()
    flow.deadline = flow.telling = undefined
    this.resultBytes -= flow.resultBytes
    this.#port.settled(flow)
    const { waiters } = flow
    flow.waiters = []
    for (const waiter of waiters) waiter.settled()
  }

  #noteEnd(flow: Flow, step: FlowStep, job: Job): void {
    const { details } = job
    if (job.state !== 'completed') {
      const state = job.state as Exclude<StepEnd['state'], 'completed'> // it has settled
      step.end = { state, error: details?.error ?? noReason }
      return
    }
    const result = details?.result
    const refused = details?.resultRefused
    const isKept = result !== undefined && flow.facts.kind !== 'batch'
    if (!isKept && refused === undefined) step.end = completedEnd
    else if (refused !== undefined) step.end = { state: 'completed', result: undefined, refused }
    else this.#keepResult(flow, step, result)
  }

  #keepResult(flow: Flow, step: FlowStep, result: Exclude<StepEnd, { error: unknown }>['result']): void {
    const bytes = encodedSizeBytes(result)
    if (flow.resultBytes + bytes > mostResultBytes || this.resultBytes + bytes > this.#mostBytes) {
      step.end = { state: 'completed', result: undefined, refused: tooMuch }
      return
    }
    flow.resultBytes += bytes
    this.resultBytes += bytes
    step.end = { state: 'completed', result }
  }

  /** At most ten times a second, the last one included. */
  #tellProgress(flow: Flow): void {
    if (!this.#port.wantsProgress() || flow.telling !== undefined) return
    const now = this.#port.clock.now()
    const tell = (): void => {
      flow.telling = undefined
      flow.toldAt = this.#port.clock.now()
      this.#port.progressed(flow)
    }
    if (now - flow.toldAt >= progressEveryMs) tell()
    else flow.telling = this.#port.alarm(flow.toldAt + progressEveryMs, tell)
  }
}

/** Why the step can never run, if it cannot. O(steps before it). */
function doomOf(flow: Flow, step: FlowStep): SerializedError | undefined {
  if (flow.facts.onFailure !== 'cancel') return undefined
  const isLast = step === flow.callback
  if (isLast && flow.failed === 0) return undefined
  const culprit = (isLast ? flow.steps : step.after).find(endedBadly)
  if (culprit !== undefined) return becauseOf(culprit)
  return isLast ? failedBefore : undefined // a flow that was restored does not know those that had settled
}

function endedBadly({ end, job }: FlowStep): boolean {
  if (end === undefined || end.state === 'completed') return false
  return job === undefined || isSettled(job.state) // else it is being retried
}

/** Why a step is cancelled: the step that began it, however far before. What a sensitive task said stays with it. */
function becauseOf({ ref, end, endedByFlow, isSensitive }: FlowStep): SerializedError {
  if (end === undefined || end.state === 'completed') return noReason
  if (endedByFlow) return end.error
  const { name, message, code } = end.error
  return Object.freeze({
    name: 'JobError',
    message: `Step '${ref}' before it ${end.state === 'cancelled' ? 'was cancelled' : end.state}.`,
    code: 'ERR_SIDEWORK_CANCELLED',
    ...(isSensitive
      ? undefined
      : { cause: { name, message, ...(code === undefined ? undefined : { code }) } }),
  })
}

const failedBefore: SerializedError = Object.freeze({
  name: 'JobError',
  message: 'A job of the batch failed before it was restored.',
  code: 'ERR_SIDEWORK_CANCELLED',
})

const noReason: SerializedError = Object.freeze({
  name: 'JobError',
  message: 'The reason was not recorded.',
  code: 'ERR_SIDEWORK_CANCELLED',
})

const deadlineError: SerializedError = Object.freeze({
  name: 'JobError',
  message: "The flow's deadline has passed.",
  code: 'ERR_SIDEWORK_EXPIRED',
})

const tooMuch =
  `The results of its flow are over ${mostResultBytes} bytes, or those of all flows over maxQueuedBytes. ` +
  'Store them where they belong and return ids or file names.'
