/** Flows among the other rooms: the book of them, their handles, and what is told of them. */
import { FlowBook } from './flows/flow-book.js'
import { FlowHandle } from './flows/flow-handle.js'
import { snapshotOf } from './flows/flow-snapshot.js'
import type { Flow } from './flows/flow.js'
import type { Job as JobHandle } from './defer/job-handle.js'
import { toldError } from './events/shown.js'
import type { Job } from './job/job.js'
import type { JobIds } from './job/job-ids.js'
import { cancelError } from './operations.js'
import type { Rooms } from './rooms.js'

export class FlowRoom {
  readonly book: FlowBook
  readonly #rooms: Rooms
  readonly #handlePort = {
    handle: (job: Job): JobHandle => this.#rooms.handle(job),
    idOf: (job: Job): string => this.#rooms.table.idOf(job),
    cancel: (flow: Flow, reason: unknown): boolean => this.cancel(flow, reason),
    heldAwaited: (flow: Flow): void => this.#rooms.log.heldAwaited({ flow: flow.id }),
    snapshot: (flow: Flow) => snapshotOf(flow, this.#rooms.world.clock, this.#handlePort.idOf),
    alarm: (delayMs: number, run: () => void) =>
      this.#rooms.agenda.alarm(this.#rooms.world.clock.now() + delayMs, run),
  }

  constructor(rooms: Rooms, ids: JobIds) {
    this.#rooms = rooms
    this.book = this.#makeBook(rooms, ids)
  }

  /** The handle that `flow`, `chain` and `batch` answer. */
  handle(flow: Flow): FlowHandle {
    return new FlowHandle(flow, this.#handlePort)
  }

  /** @returns false when it has settled @throws OptionError for a reason that is no text */
  cancel(flow: Flow, reason: unknown): boolean {
    return this.book.cancel(flow, cancelError(reason, 'The flow was cancelled.'))
  }

  #makeBook(rooms: Rooms, ids: JobIds): FlowBook {
    const { world, settings, drafts, journal, announce } = rooms
    return new FlowBook(
      {
        clock: world.clock,
        acceptance: rooms.acceptance,
        drafts,
        journal,
        newId: () => this.#newId(ids),
        taskOf: (task) => rooms.book.find(task),
        course: {
          clock: world.clock,
          nextTurn: (task) => world.nextTurn(task),
          alarm: (at, run) => rooms.agenda.alarm(at, run),
          cancel: (job, error) => void rooms.operations.cancelWith(job, error),
          expire: (job, error) => rooms.operations.expireWith(job, error),
          wantsProgress: () => announce.wantsFlowProgress,
          progressed: (flow) => announce.flowProgressed(flow.id, flow.facts.kind, flow.counts),
          settled: (flow) => this.#settled(flow),
          moved: () => rooms.rest.look(),
        },
      },
      settings.keep,
      settings.maxQueuedBytes,
    )
  }

  /** Numbered as jobs are, so that no job and no other flow of this scheduler has the id. */
  #newId(ids: JobIds): string {
    for (;;) {
      const id = ids.of(this.#rooms.drafts.nextSeq(), 0)
      // What was restored keeps ids that another scheduler made, and test schedulers of one seed make the same ids.
      if (this.book.find(id) === undefined && this.#rooms.table.find(id) === undefined) return id
    }
  }

  #settled(flow: Flow): void {
    const { id, facts, counts, state, settledAt, verdict, failure } = flow
    if (state === 'held' || state === 'running') return
    const durationMs = settledAt - facts.acceptedAt
    const { step } = failure ?? {}
    const failed = step === undefined ? undefined : { ref: step.ref, task: step.task }
    const end = { state, durationMs, ...failed, reason: verdict?.error.message }
    const { announce, rest } = this.#rooms
    const error = verdict?.error ?? (failure && toldError(step?.isSensitive === true, failure.error))
    announce.flowSettled(id, facts.kind, counts, end, error)
    rest.look()
  }
}
