/**
 * One server-sent event stream (WHATWG HTML §9.2) over one response. What its reader has not taken yet is bounded: a
 * frame that does not fit waits, replaced by each later one, so a slow reader skips to the latest state.
 *
 *   send ──fits──▶ write           waiting ──room again──▶ write as 'state'
 *     └──does not fit──▶ waiting      └──two beats without room, or closing──▶ destroyed (the browser connects again)
 */
import type { ServerResponse } from 'node:http'
import { endpointHeaders } from './answer.js'
import { nowFollows } from './followers.js'

/** What is told at once. */
export interface Frame {
  readonly event: 'state' | 'progress' | 'closed'
  /** The moment of the change, 1/1000 ms since the epoch, made strictly increasing within a job. */
  readonly id: number
  /** One line of JSON. */
  readonly data: string
  /** It ends the stream. */
  readonly isLast: boolean
}

/** Most bytes that one connection may have buffered. */
const bufferLimitBytes = 64 * 1024

/** An event, as comments do not reach the scripts that are to know that the connection lives. */
const heartbeat = 'event: beat\ndata: {}\n\n'

/** Most bytes of one frame's data. */
export const dataLimitBytes = 32 * 1024

const streamHeaders = {
  ...endpointHeaders,
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
}

/** Begins a stream's answer: headers only. */
export function answerStreamHead(res: ServerResponse): void {
  res.writeHead(200, streamHeaders)
}

/** One open stream. */
export class EventStream {
  readonly #res: ServerResponse & { flush?: () => void }
  #waiting: Frame | undefined
  #isEnded = false
  /** The last beat found the reader behind, or the stream was closed since. */
  #isBehind = false

  /** Sends the headers and the reconnection time of 2 s. */
  constructor(res: ServerResponse) {
    this.#res = res
    nowFollows(res)
    answerStreamHead(res)
    res.on('drain', () => this.#sendWaiting())
    this.#write('retry: 2000\n\n')
  }

  /** False once `server.close()` was called, of which a connection hears nothing and which waits for it. */
  get isServed(): boolean {
    // Node sets `server` on the sockets that a server accepts; its types do not show it.
    const socket = this.#res.socket as { server?: { listening?: boolean } } | null
    return socket?.server?.listening !== false
  }

  /** Tells, or keeps for later what does not fit. */
  send(frame: Frame): void {
    if (this.isOver) return
    const { event, id, data, isLast } = frame
    // A reader that comes back after 'closed' has still to hear what comes after the frame before.
    const text = `event: ${event}\n${event === 'closed' ? '' : `id: ${id}\n`}data: ${data}\n\n`
    if (!this.#fits(text)) {
      // Several frames in one are a change of state, whatever the last of them is.
      this.#waiting = event === 'progress' ? { ...frame, event: 'state' } : frame
      return
    }
    this.#waiting = undefined
    this.#write(text)
    if (isLast) this.end()
  }

  /** Keeps proxies from closing a silent stream; ends one whose reader has been behind since the last beat. */
  beat(): void {
    this.#sendWaiting()
    const isBehind = this.#waiting !== undefined || this.isOver
    if (isBehind && this.#isBehind) this.#res.destroy()
    else if (!isBehind && this.#fits(heartbeat)) this.#write(heartbeat)
    this.#isBehind = isBehind
  }

  /** Ends the stream; what is buffered is still sent. */
  end(): void {
    this.#isEnded = true
    this.#waiting = undefined
    this.#res.end()
  }

  /** Tells that no more will come and ends. A reader that is behind is cut off: at once, or if it is by the next beat. */
  close(frame: Frame): void {
    this.send(frame)
    // What is buffered is no sign: a frame of this very turn is until the turn ends.
    if (this.#waiting !== undefined) this.#res.destroy()
    this.#isBehind = true
  }

  /** Ended here, or by somebody else who has the response. */
  get isOver(): boolean {
    return this.#isEnded || this.#res.writableEnded
  }

  #fits(text: string): boolean {
    return this.#res.writableLength + Buffer.byteLength(text) <= bufferLimitBytes
  }

  #sendWaiting(): void {
    const waiting = this.#waiting
    if (waiting !== undefined) this.send(waiting)
  }

  /** The callback finds room also where no 'drain' comes, which needs a buffer over the high-water mark. */
  #write(text: string): void {
    this.#res.write(text, () => this.#sendWaiting())
    this.#res.flush?.() // a compressing middleware would keep it
  }
}
