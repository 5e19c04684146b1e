/**
 * All event streams of one router: a map from job to its streams, fed by one set of listeners on the scheduler that
 * exists only while there is a stream. What a stream tells is the job's status at that moment, so what a slow or late
 * listener missed never matters.
 */
import type { ServerResponse } from 'node:http'
import { every } from '../clock.js'
import type { FlowEvent, JobEvent, SchedulerEvents } from '../events/event-types.js'
import { isSettled } from '../index.js'
import type { Scheduler } from '../scheduler.js'
import { dataLimitBytes, EventStream, type Frame } from './event-stream.js'
import type { FlowStatus } from './flow-status.js'
import { statusJson, type JobStatus } from './job-status.js'
import type { DeferPort } from './port.js'

const heartbeatMs = 15_000

const jobEvents = [
  'started',
  'progress',
  'retrying',
  'snoozed',
  'interrupted',
  'completed',
  'failed',
  'cancelled',
  'expired',
] as const
type JobEventName = (typeof jobEvents)[number]

/** The status of a job or a flow. */
export type Status = JobStatus | FlowStatus

/** Most streams at a time. */
export interface StreamCaps {
  readonly perJob: number
  readonly inAll: number
}

interface FollowedJob {
  readonly streams: Set<EventStream>
  /** What its streams were told last. */
  last: Status
}

/** The streams of schedulers that are being left, see `endStreams`. */
const roomsOf = new WeakMap<Scheduler, Set<JobStreams>>()
const left = new WeakSet<Scheduler>()

/** Ends all streams of a scheduler; later ones end after the first event. */
export function endStreams(scheduler: Scheduler): void {
  left.add(scheduler)
  for (const room of roomsOf.get(scheduler) ?? []) room.endAll()
}

/** The streams of one router. */
export class JobStreams {
  readonly #scheduler: Scheduler & DeferPort
  readonly #statusOf: (id: string) => Status | undefined
  readonly #caps: StreamCaps
  readonly #jobs = new Map<string, FollowedJob>()
  #count = 0
  /** Takes the listeners off the scheduler and stops the heartbeat; there while there is a stream. */
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

  /** Tells the status and, unless it is final, everything that follows, until one of the three sides ends. */
  open(res: ServerResponse, status: Status): void {
    const stream = new EventStream(res)
    this.#add(stream, status)
    res.on('close', () => this.#remove(stream, status.id))
    stream.send(stateFrame(status))
    if (this.#scheduler.isClosing || left.has(this.#scheduler)) stream.send(closedFrame(status))
  }

  /** Ends every stream with a 'closed' event. */
  endAll(): void {
    for (const { streams, last } of this.#jobs.values())
      for (const stream of streams) stream.close(closedFrame(last))
  }

  #add(stream: EventStream, status: Status): void {
    const job = this.#jobs.get(status.id) ?? { streams: new Set(), last: status }
    job.streams.add(stream)
    job.last = status
    this.#jobs.set(status.id, job)
    this.#count++
    this.#stop ??= this.#start()
  }

  #remove(stream: EventStream, id: string): void {
    const job = this.#jobs.get(id)
    if (!job?.streams.delete(stream)) return
    this.#count--
    if (job.streams.size === 0) this.#jobs.delete(id)
    if (this.#count > 0) return
    this.#stop?.()
    this.#stop = undefined
  }

  #start(): () => void {
    const scheduler = this.#scheduler
    const listeners = jobEvents.map((name) => {
      const listener = (event: JobEvent): void =>
        this.#tell(event, name === 'progress', (last) => lastWords(name, event, last))
      return [name, listener] as const
    })
    const flowProgressed = (event: FlowEvent): void => this.#tell(event, true, () => undefined)
    const flowSettled = (event: SchedulerEvents['flow:settled']): void =>
      this.#tell(event, false, (last) => ({ ...last, state: event.state, settledAt: event.at }))
    const endAll = () => this.endAll()
    for (const [name, listener] of listeners) scheduler.on(name, listener)
    scheduler.on('flow:progress', flowProgressed).on('flow:settled', flowSettled).on('closing', endAll)
    const stopBeating = every(heartbeatMs, () => this.#beat())
    const rooms = roomsOf.get(scheduler) ?? new Set()
    roomsOf.set(scheduler, rooms.add(this))
    return () => {
      for (const [name, listener] of listeners) scheduler.off(name, listener)
      scheduler.off('flow:progress', flowProgressed).off('flow:settled', flowSettled).off('closing', endAll)
      stopBeating()
      rooms.delete(this)
    }
  }

  /** @param lastWords what the event itself says, when the scheduler keeps its job no longer */
  #tell(
    event: { readonly id: string; readonly at: number },
    maySayProgress: boolean,
    lastWords: (last: Status) => Status | undefined,
  ): void {
    const job = this.#jobs.get(event.id)
    if (job === undefined) return
    const status = this.#statusOf(event.id) ?? lastWords(job.last)
    if (status === undefined) return
    const isProgress = maySayProgress && status.state === job.last.state
    job.last = status
    const frame = { ...stateFrame(status, event.at), ...(isProgress && { event: 'progress' as const }) }
    for (const stream of job.streams) stream.send(frame)
  }

  #beat(): void {
    for (const { streams, last } of this.#jobs.values()) {
      for (const stream of streams) {
        if (stream.isServed) stream.beat()
        else stream.close(closedFrame(last))
      }
    }
  }
}

/** The end of a job that the scheduler no longer keeps, from the event that told it. */
function lastWords(name: JobEventName, event: JobEvent, last: Status): Status | undefined {
  if (name !== 'completed' && name !== 'failed' && name !== 'cancelled' && name !== 'expired')
    return undefined
  const ended = { state: name, attempt: event.attempt, settledAt: event.at }
  return { ...last, ...ended }
}

function stateFrame(status: Status, at?: number): Frame {
  const latestAt = status.settledAt ?? at ?? status.startedAt ?? status.acceptedAt
  return { event: 'state', data: boundedJson(status), at: latestAt, last: isSettled(status.state) }
}

function closedFrame(status: Status): Frame {
  return { ...stateFrame(status), event: 'closed', last: true }
}

/** A result, then a progress value, that would not fit into a frame is left to `GET /:id`. */
function boundedJson(status: Status): string {
  const whole = statusJson(status)
  if (Buffer.byteLength(whole) <= dataLimitBytes) return whole
  const withoutResult = statusJson({ ...status, result: undefined })
  if (Buffer.byteLength(withoutResult) <= dataLimitBytes) return withoutResult
  return statusJson({ ...status, result: undefined, progress: undefined })
}
