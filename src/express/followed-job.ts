/**
 * One job, or flow, as its streams tell it: each change becomes a frame with a number, and the latest frames are kept for readers
 * that come back. What a frame tells is the job's whole status, so to miss one is no harm; to have it again would be.
 */
import { isSettled } from '../index.js'
import { dataLimitBytes, type EventStream, type Frame } from './event-stream.js'
import type { FlowStatus } from './flow-status.js'
import { shownError, statusJson, type JobStatus, type ShownError } from './job-status.js'

/** The status of a job or a flow. */
export type Status = JobStatus | FlowStatus

/** Most frames kept of one job, and most bytes of their data: together they fit into what a stream may buffer. */
const maxFrames = 256
const maxBytes = dataLimitBytes

export class FollowedJob {
  readonly streams = new Set<EventStream>()
  /** A stream was lost before its end: its reader may come back. */
  hasLostReader = false
  /** Beats without a stream. */
  beatsAlone = 0
  readonly #isSensitive: boolean
  #status: Status
  #latest: Frame
  /** Oldest first; the last is `#latest`. */
  readonly #frames: Frame[]
  #sizeBytes: number

  /** @param isSensitive whether messages of its errors must not leave the process; not to be asked once it is not kept */
  constructor(status: Status, isSensitive: boolean) {
    this.#isSensitive = isSensitive
    this.#status = status
    this.#latest = frameOf('state', status, idOf(status, momentOf(status)))
    this.#frames = [this.#latest]
    this.#sizeBytes = sizeOf(this.#latest)
  }

  /** What was told last. */
  get status(): Status {
    return this.#status
  }

  /** What may be shown of an error of it. */
  shown(error: ShownError | undefined): ShownError | undefined {
    return shownError(error, !this.#isSensitive)
  }

  /** Tells every stream what has changed, if anything has. @param at ms since the epoch */
  tell(event: Frame['event'], status: Status, at = momentOf(status)): void {
    this.#status = status
    const frame = frameOf(event, status, Math.max(this.#latest.id + 1, idOf(status, at)))
    if (frame.data === this.#latest.data) return
    this.#keep(frame)
    for (const stream of this.streams) stream.send(frame)
  }

  /** What a reader that has seen the frame `id` has not: only the state of now, unless that frame is kept. */
  after(id: number | undefined): readonly Frame[] {
    const seen = this.#frames.findIndex((frame) => frame.id === id)
    return seen < 0 ? [{ ...this.#latest, event: 'state' }] : this.#frames.slice(seen + 1)
  }

  /** Ends every stream, as the server is closing. */
  close(): void {
    for (const stream of this.streams) stream.close(this.lastWords)
  }

  /** What a stream says when the server is closing. */
  get lastWords(): Frame {
    return { ...this.#latest, event: 'closed', isLast: true }
  }

  #keep(frame: Frame): void {
    this.#latest = frame
    this.#frames.push(frame)
    this.#sizeBytes += sizeOf(frame)
    while (this.#frames.length > maxFrames || this.#sizeBytes > maxBytes) {
      const oldest = this.#frames.shift()
      this.#sizeBytes -= oldest === undefined ? 0 : sizeOf(oldest)
    }
  }
}

function frameOf(event: Frame['event'], status: Status, id: number): Frame {
  return { event, id, data: boundedJson(status), isLast: isSettled(status.state) }
}

/** In a thousandth of a ms there is room for all changes of one ms, and for the end after them. */
function idOf(status: Status, at: number): number {
  return endIdOf(status) ?? at * 1000
}

/** The id of the frame that tells how the job ended, the same whenever it is told; `undefined` before. */
export function endIdOf({ state, settledAt }: Status): number | undefined {
  return isSettled(state) && settledAt !== undefined ? settledAt * 1000 + 999 : undefined
}

function sizeOf(frame: Frame): number {
  return Buffer.byteLength(frame.data)
}

/** Of the last change, as far as the status tells: a job that was retried has become ready since it was accepted. */
function momentOf(status: Status): number {
  const { settledAt, startedAt, acceptedAt, state } = status
  const readyAt = state === 'ready' && 'runAt' in status ? status.runAt : acceptedAt
  return settledAt ?? startedAt ?? readyAt
}

/** A result, then a progress value, that would not fit into a frame is left to `GET /:id`. */
function boundedJson(status: Status): string {
  const whole = statusJson(status)
  if (Buffer.byteLength(whole) <= dataLimitBytes) return whole
  const withoutResult = statusJson({ ...status, result: undefined })
  if (Buffer.byteLength(withoutResult) <= dataLimitBytes) return withoutResult
  return statusJson({ ...status, result: undefined, progress: undefined })
}
