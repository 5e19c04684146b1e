/**
 * All event streams of one router: a map from job to its streams, fed by one set of listeners on the scheduler that
 * exists only while there is a stream, and a minute longer for readers whose connection was lost.
 */
import type { ServerResponse } from 'node:http'
import { every } from '../clock.js'
import type { FlowEvent, JobEvent, SchedulerEvents } from '../events/event-types.js'
import { isSettled } from '../index.js'
import type { FlowProgress } from '../flows/flow-snapshot.js'
import type { SettledState } from '../job/lifecycle.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { Scheduler } from '../scheduler.js'
import { EventStream } from './event-stream.js'
import { FollowedJob, type Status } from './followed-job.js'
import type { DeferPort } from './port.js'
import { whenClosed } from './when-closed.js'

const heartbeatMs = 15_000

const changes = ['started', 'progress', 'retrying', 'snoozed', 'interrupted'] as const
const ends = ['completed', 'failed', 'cancelled', 'expired'] as const

/** Most streams at a time. */
export interface StreamCaps {
  readonly perJob: number
  readonly inAll: number
}

/** A job without a stream is kept in mind for so many heartbeats, for a reader whose connection was lost. */
const keptBeats = 4
/** Most such jobs. */
const maxAlone = 256

/** The streams of schedulers. */
const roomsOf = new WeakMap<Scheduler, Set<JobStreams>>()
/** Schedulers whose servers do not listen any more, see `leaveStreams`. */
const left = new WeakSet<Scheduler>()

/** The server of a scheduler stops listening: its streams go on, later ones end after the first event. */
export function leaveStreams(scheduler: Scheduler): void {
  left.add(scheduler)
}

/** Ends all streams of a scheduler. */
export function endStreams(scheduler: Scheduler): void {
  for (const room of roomsOf.get(scheduler) ?? []) room.endAll()
}

/** The streams of one router. */
export class JobStreams {
  readonly #scheduler: Scheduler & DeferPort
  readonly #statusOf: (id: string) => Status | undefined
  readonly #caps: StreamCaps
  /** Jobs with streams. */
  readonly #jobs = new Map<string, FollowedJob>()
  /** Jobs whose last stream was lost, the longest alone first. */
  readonly #alone = new Map<string, FollowedJob>()
  #count = 0
  /** Takes the listeners off the scheduler and stops the heartbeat; there while there is a job of either kind. */
  #stop: (() => void) | undefined

  constructor(
    scheduler: Scheduler & DeferPort,
    statusOf: (id: string) => Status | undefined,
    caps: StreamCaps = { perJob: 100, inAll: 1000 },
  ) {
    this.#scheduler = scheduler
    this.#statusOf = statusOf
    this.#caps = caps
  }

  /** Whether one more stream of this job would be one too many. */
  isFull(id: string): boolean {
    return this.#count >= this.#caps.inAll || (this.#jobs.get(id)?.streams.size ?? 0) >= this.#caps.perJob
  }

  /**
   * Tells what a reader that has seen the event `seenId` has not, at least the status of now to a new one, and everything
   * that follows, until one of the three sides ends.
   */
  open(res: ServerResponse, status: Status, seenId: number | undefined): void {
    const stream = new EventStream(res)
    const isKnown = this.#find(status.id) !== undefined
    const job = this.#add(stream, status)
    whenClosed(res, () => this.#remove(stream, status.id, res.writableFinished))
    const frames = job.after(isKnown ? seenId : undefined) // or the id may be that of an earlier run of the job
    for (const frame of frames) stream.send(frame)
    if (isSettled(status.state) && frames.length === 0) stream.end()
    else if (this.#scheduler.isClosing || left.has(this.#scheduler)) stream.send(job.lastWords)
  }

  /** Ends every stream with a 'closed' event. */
  endAll(): void {
    this.#alone.clear()
    for (const job of this.#jobs.values()) job.close()
    this.#rest()
  }

  #add(stream: EventStream, status: Status): FollowedJob {
    const { id } = status
    const job = this.#find(id) ?? new FollowedJob(status, this.#scheduler.isSensitive(id))
    job.tell('state', status) // events are told later than they happen
    job.streams.add(stream)
    job.beatsAlone = 0
    this.#alone.delete(id)
    this.#jobs.set(id, job)
    this.#count++
    this.#stop ??= this.#start()
    return job
  }

  /** @param isWhole the stream was handed over to its end */
  #remove(stream: EventStream, id: string, isWhole: boolean): void {
    const job = this.#jobs.get(id)
    if (!job?.streams.delete(stream)) return
    this.#count--
    job.hasLostReader ||= !isWhole
    if (job.streams.size > 0) return
    this.#jobs.delete(id)
    const isLeft = this.#scheduler.isClosing || left.has(this.#scheduler)
    if (job.hasLostReader && !isLeft) this.#alone.set(id, job)
    this.#forget(this.#alone.size - maxAlone)
    this.#rest()
  }

  /** Of the jobs without streams the first so many. */
  #forget(count: number): void {
    for (const id of [...this.#alone.keys()].slice(0, Math.max(0, count))) this.#alone.delete(id)
  }

  #rest(): void {
    if (this.#jobs.size > 0 || this.#alone.size > 0) return
    this.#stop?.()
    this.#stop = undefined
  }

  #start(): () => void {
    const scheduler = this.#scheduler
    const listeners = [
      ...changes.map((name) => [name, (event: Told) => this.#tell(event, name === 'progress')] as const),
      ...ends.map((name) => {
        const listener = (event: JobEvent & Told): void =>
          this.#tellEnd(event, name, { attempt: event.attempt })
        return [name, listener] as const
      }),
    ]
    const flowProgressed = (event: FlowEvent): void => this.#tell(event, true)
    const flowSettled = (event: SchedulerEvents['flow:settled']): void =>
      this.#tellEnd(event, event.state, { progress: progressOf(event) })
    const endAll = () => this.endAll()
    for (const [name, listener] of listeners) scheduler.on(name, listener)
    scheduler.on('flow:progress', flowProgressed).on('flow:settled', flowSettled).on('closed', endAll)
    const stopBeating = every(heartbeatMs, () => this.#beat())
    const rooms = roomsOf.get(scheduler) ?? new Set()
    roomsOf.set(scheduler, rooms.add(this))
    return () => {
      for (const [name, listener] of listeners) scheduler.off(name, listener)
      scheduler.off('flow:progress', flowProgressed).off('flow:settled', flowSettled).off('closed', endAll)
      stopBeating()
      rooms.delete(this)
    }
  }

  #find(id: string): FollowedJob | undefined {
    return this.#jobs.get(id) ?? this.#alone.get(id)
  }

  /** A change. Events are told later than they happen: where the end has come meanwhile, that is told as well. */
  #tell({ id, at }: Told, maySayProgress: boolean): void {
    const job = this.#find(id)
    const status = job && this.#statusOf(id)
    if (status === undefined || isSettled(status.state)) return
    const isProgress = maySayProgress && status.state === job?.status.state
    job?.tell(isProgress ? 'progress' : 'state', status, at)
  }

  /** @param told what the event itself says, in case that the scheduler keeps the job or flow no longer */
  #tellEnd({ id, at, error }: Told, state: SettledState, told: object): void {
    const isLost = state === 'cancelled' && error?.code === 'ERR_SIDEWORK_CLOSED'
    if (isLost) return this.#jobs.get(id)?.close() // it goes on where it is restored
    const job = this.#find(id)
    if (job === undefined) return
    const lastWords = { ...job.status, ...told, state, settledAt: at, error: job.shown(error) }
    const status = this.#statusOf(id) ?? lastWords
    job.tell('state', status, status.settledAt ?? at)
  }

  #beat(): void {
    for (const job of this.#jobs.values()) {
      for (const stream of job.streams) {
        if (stream.isOver || stream.isServed || left.has(this.#scheduler)) stream.beat()
        else stream.close(job.lastWords)
      }
    }
    for (const [id, job] of this.#alone) if (++job.beatsAlone >= keptBeats) this.#alone.delete(id)
    this.#rest()
  }
}

/** What all of these events have, and those of a bad end besides. */
interface Told {
  readonly id: string
  readonly at: number
  readonly error?: SerializedError
}

/** Of a flow that has settled. */
function progressOf({ total, completed, failed }: FlowEvent): FlowProgress {
  return { total, completed, failed, ratio: 1 }
}
