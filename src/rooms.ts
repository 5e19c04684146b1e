/**
 * The rooms of one scheduler, built and connected; and what happens between them: a job has settled, the timer fired.
 */
import { Acceptance } from './defer/acceptance.js'
import { DedupeIndex } from './defer/dedupe-index.js'
import { Duplicate } from './defer/duplicates.js'
import { AddOnRoom } from './add-on-room.js'
import { Drafts } from './defer/draft.js'
import { Admission } from './defer/admission.js'
import { JobHandle, type Job } from './defer/job-handle.js'
import { TaskBook } from './defer/task-book.js'
import { Closing } from './closing.js'
import { Dispatcher } from './dispatch/dispatcher.js'
import { LaneRoom } from './dispatch/lane-room.js'
import { ClosedError, SideworkError } from './errors.js'
import { Announcements } from './events/announcements.js'
import { Emitter } from './events/emitter.js'
import { History } from './events/history.js'
import { LogBook } from './events/log-book.js'
import { ThreadLines } from './events/thread-lines.js'
import { FlowRoom } from './flow-room.js'
import type { FlowBook } from './flows/flow-book.js'
import type { Job as JobRecord } from './job/job.js'
import { JobIds } from './job/job-ids.js'
import { JobTable } from './job/job-table.js'
import { Journal } from './job/journal.js'
import { isSettled } from './job/lifecycle.js'
import { serializeError, type SerializedError } from './job/serialized-error.js'
import type { JobSnapshot, Lane } from './job/snapshot.js'
import { takeSnapshot, type SnapshotForm, type SnapshotView } from './job/take-snapshot.js'
import type { PayloadLimits } from './job/payload-limits.js'
import { Operations } from './operations.js'
import { Agenda } from './queue/agenda.js'
import { LimitBook } from './queue/limit-book.js'
import { Queue } from './queue/queue.js'
import { otherRefusals } from './measurements.js'
import type { WorldNeeds } from './real-world.js'
import { Rest } from './rest.js'
import type { Settings } from './read-settings.js'
import { Settler } from './settle/settler.js'
import { Slice } from './slice.js'
import type { TaskDefinition } from './task/define-task.js'
import { taskNameOf } from './task/task-name.js'
import { threadListener } from './thread-listener.js'
import type { World } from './world.js'

/** Everything a scheduler consists of. Its public methods are in scheduler.ts. */
export class Rooms {
  readonly settings: Settings
  readonly payloadLimits: PayloadLimits
  readonly world: World
  readonly book: TaskBook
  readonly emitter: Emitter
  readonly log: LogBook
  readonly threadLines: ThreadLines
  readonly announce: Announcements
  readonly table: JobTable
  readonly history: History
  readonly admission: Admission
  readonly journal: Journal
  readonly agenda: Agenda
  readonly queue: Queue
  readonly settler: Settler
  readonly dispatcher: Dispatcher
  readonly drafts: Drafts
  readonly dedupe: DedupeIndex
  readonly limits: LimitBook
  readonly acceptance: Acceptance
  readonly operations: Operations
  readonly flowRoom: FlowRoom
  readonly flows: FlowBook
  readonly rest: Rest
  readonly #view: SnapshotView
  readonly #ids: JobIds
  /** Defers that were refused, by code. */
  readonly refusals = new Map<string, number>()
  readonly addOns = new AddOnRoom(this)
  /** How late the one timer last fired. */
  eventLoopDelayMs = 0
  /** Set by `close()`. */
  closing: Closing | undefined

  constructor(settings: Settings, makeWorld: (needs: WorldNeeds) => World) {
    this.settings = settings
    this.payloadLimits = settings.threads.payloadLimits
    this.book = new TaskBook(settings.defaults)
    this.world = makeWorld({
      settings,
      definitionOf: (task, cell) => this.#definitionOf(task, cell),
      contextOf: (cell) => this.table.at(cell)?.mainWork?.context,
      held: (task, ms) => this.threadLines.heldMainThread(task, ms),
      unwatched: (error) => this.threadLines.unwatched(error),
    })
    const world = this.world
    const idOf = (job: JobRecord): string => this.table.idOf(job)
    this.log = new LogBook(settings.logger, idOf, {
      now: () => world.clock.now(),
      later: (delayMs, run) => this.agenda.alarm(world.clock.now() + delayMs, run),
    })
    this.threadLines = new ThreadLines(this.log)
    this.emitter = new Emitter(world, (event, error) => this.log.listenerThrew(event, error))
    this.announce = new Announcements(this.emitter, world.clock, this.log, idOf)
    this.#ids = new JobIds(world.idKey)
    this.table = new JobTable(this.#ids)
    this.history = new History(settings.keep, world.clock, (job) => this.table.remove(job))
    this.admission = new Admission(settings.maxQueued, settings.maxQueuedBytes)
    this.journal = new Journal(this.announce, world.clock)
    this.rest = new Rest(world, this.journal, () => this.closing?.moved())
    this.agenda = new Agenda(world, () => this.#timerFired())
    this.limits = new LimitBook(settings.limits, this.agenda, world.clock)
    this.queue = new Queue(
      { agenda: this.agenda, journal: this.journal, limits: this.limits, clock: world.clock },
      settings.agingMs,
      (lane) => this.dispatcher.wake(lane),
    )
    this.settler = new Settler(world, this.journal, this.queue, {
      settled: (job) => this.#settled(job),
      moved: () => this.rest.look(),
      backoffFault: (job, fault) => this.log.backoffFault(job, fault),
      resultRefused: (job, why) => this.log.resultRefused(job, why),
      keyHalted: (job, key) => this.#keyHalted(job, key),
    })
    this.dispatcher = new Dispatcher(this.#makeLanes(), {
      world,
      maxRssBytes: settings.maxRssBytes,
      agenda: this.agenda,
      queue: this.queue,
      journal: this.journal,
      settler: this.settler,
      listener: threadListener(this),
    })
    this.drafts = new Drafts({
      clock: world.clock,
      payloadLimits: this.payloadLimits,
      hasTaskModules: settings.hasTaskModules,
      hasSharedLimit: (name) => this.limits.hasShared(name),
      sharedLimitNames: this.limits.sharedNames,
    })
    this.dedupe = new DedupeIndex(this.agenda, settings.maxQueued, settings.maxQueuedBytes)
    const rooms = {
      clock: world.clock,
      table: this.table,
      history: this.history,
      journal: this.journal,
      queue: this.queue,
      agenda: this.agenda,
      admission: this.admission,
      dedupe: this.dedupe,
      settler: this.settler,
      dispatcher: this.dispatcher,
      book: this.book,
      renew: (job: JobRecord, now: number) => this.acceptance.renew(job, now),
      listenAgain: (job: JobRecord) => this.acceptance.listenAgain(job),
    }
    this.acceptance = new Acceptance({
      ...rooms,
      nextSeq: () => this.drafts.nextSeq(),
      refuseWhenClosed: () => {
        if (this.closing?.acceptsChildren === false) throw new ClosedError()
      },
      find: (id) => this.operations.find(id),
      reclaim: (job) => this.operations.reclaim(job),
      cancelHeld: (job, error) => this.operations.cancelWith(job, error),
      deduplicated: (job) => this.journal.deduplicate(job),
      hurry: (job) => void this.operations.runNow(job),
      expire: (job, now) => this.#expire(job, now),
      abort: (job, reason) =>
        this.operations.cancel(job, typeof reason === 'string' ? reason : messageOf(reason)),
    })
    this.flowRoom = new FlowRoom(this, this.#ids)
    this.flows = this.flowRoom.book
    this.operations = new Operations({ ...rooms, flows: this.flows })
    this.#view = { idOf, clock: world.clock, startError: (job) => this.#startErrorOf(job) }
  }

  /** The handle that a defer answers. */
  handle(accepted: JobRecord | Duplicate): Job {
    return accepted instanceof Duplicate
      ? new JobHandle(accepted.of, this.#handlePort, true)
      : new JobHandle(accepted, this.#handlePort)
  }

  readonly #handlePort = {
    idOf: (job: JobRecord): string => this.table.idOf(job),
    cancel: (job: JobRecord, reason: string | undefined): boolean => this.operations.cancel(job, reason),
    snapshot: (job: JobRecord): JobSnapshot => this.snapshot(job, 'plain'),
    startError: (job: JobRecord): SerializedError | undefined => this.#startErrorOf(job),
    heldAwaited: (job: JobRecord): void => this.log.heldAwaited({ task: job.task.name }),
    paused: ({ task }: JobRecord) => this.#pausedFor(task.name),
    isHalted: (job: JobRecord) => this.queue.lines.isHalted(job),
    alarm: (delayMs: number, run: () => void) => this.agenda.alarm(this.world.clock.now() + delayMs, run),
  }

  /** @param form 'plain' shows nothing of a sensitive task's payload and result */
  snapshot(job: JobRecord, form: SnapshotForm): JobSnapshot {
    return takeSnapshot(job, this.#view, form === 'plain' && job.task.policy.sensitive ? 'bare' : form)
  }

  #expire(job: JobRecord, now: number): void {
    if (isSettled(job.state) || job.state === 'running' || job.token !== 0) return
    this.settler.expireWaiting(job, now)
  }

  #timerFired(): void {
    const { clock } = this.world
    this.eventLoopDelayMs = Math.max(0, clock.now() - this.agenda.nextAt - clock.resolutionMs)
    this.#tick()
  }

  /** The one timer fired: everything due is done in order, then the timer is set anew. */
  #tick(): void {
    const { clock } = this.world
    const now = clock.now()
    const slice = new Slice(clock, 128)
    const due = (job: JobRecord): void => this.settler.due(job, now)
    while (this.agenda.doNext(now, due)) {
      if (slice.step()) {
        this.world.nextTurn(() => this.#tick())
        return
      }
    }
    this.agenda.rearm()
  }

  #settled(job: JobRecord): void {
    this.admission.release(job.payload, job.readyAt, job.endedAt)
    const { details } = job
    const follower = details?.dedupe === undefined ? undefined : this.dedupe.settled(job, job.endedAt)
    const waiters = details?.waiters
    this.history.keep(job)
    if (waiters !== undefined && details !== undefined) {
      details.waiters = undefined
      for (const waiter of waiters) waiter.settled()
    }
    if (follower !== undefined) this.acceptance.releaseFollower(follower, job.endedAt)
    if (details?.step !== undefined) this.flows.settled(job)
    this.rest.look()
  }

  /** Tells that a defer was refused, and hands the error back. */
  refused(task: unknown, error: unknown): unknown {
    const code = error instanceof SideworkError ? error.code : otherRefusals
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
    if (code === 'ERR_SIDEWORK_QUEUE_FULL') this.log.queueFull(taskNameOf(task))
    if (this.emitter.wants.refused && error instanceof SideworkError) {
      this.emitter.emit('refused', { task: taskNameOf(task), code: error.code, at: this.world.clock.wall() })
    }
    return error
  }

  #keyHalted(job: JobRecord, key: string): void {
    this.haltKey(key, this.table.idOf(job))
    this.log.keyHalted(job, key)
  }

  /** Nobody of the key starts until `releaseKey`. @param id of the job because of which */
  haltKey(key: string, id: string): void {
    this.queue.lines.halt(key, id)
    if (this.emitter.wants['key:halted'])
      this.emitter.emit('key:halted', { key, id, at: this.world.clock.wall() })
  }

  #definitionOf(task: string, cell: number): TaskDefinition | undefined {
    const job = this.table.at(cell)
    const closure = job?.mainWork?.closure
    if (closure === undefined) return job === undefined ? undefined : this.book.definitionOf(job.task)
    // Only the closure matters here; it was deferred as `(context) => result`.
    return { name: task, options: {}, run: (_payload, context) => closure(context as never) }
  }

  #pausedFor(task: string): 'scheduler' | 'task' | undefined {
    if (this.dispatcher.isPaused) return 'scheduler'
    return this.limits.isTaskPaused(task) ? 'task' : undefined
  }

  #startErrorOf(job: JobRecord): SerializedError | undefined {
    const error = this.dispatcher.lanes[job.task.policy.lane].startError
    return error === undefined ? undefined : serializeError(error)
  }

  #makeLanes(): Record<Lane, LaneRoom> {
    const make = (lane: Lane): LaneRoom =>
      new LaneRoom(lane, this.settings.lanes[lane], this.queue.ready[lane])
    return { cpu: make('cpu'), io: make('io'), main: make('main') }
  }

  /** Sizes of everything that grows with jobs: all 0 when all have settled, the kept history excepted. */
  inspect(): Record<string, number> {
    const { lanes } = this.dispatcher
    return {
      history: this.history.size,
      jobs: this.table.size - this.history.size,
      agenda: this.agenda.size,
      lines: this.queue.lines.size,
      halted: this.queue.lines.halted.size,
      groups: lanes.cpu.ready.groupCount + lanes.io.ready.groupCount + lanes.main.ready.groupCount,
      limits: this.limits.size,
      dedupe: this.dedupe.size,
      flows: this.flows.size,
      flowResultBytes: this.flows.resultBytes,
      flowStepsDue: this.flows.pending,
      queuedBytes: this.admission.bytes,
      idlers: this.rest.idlers,
    }
  }
}

/** What an error says; undefined for anything else. */
function messageOf(reason: unknown): string | undefined {
  return reason instanceof Error ? serializeError(reason).message : undefined
}
