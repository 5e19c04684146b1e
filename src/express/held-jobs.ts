/**
 * Jobs that wait for their response. All held jobs of one request are decided at one moment: when the response has
 * finished, or when the connection closed before it could.
 *
 *      on           finished, status < 400    finished, status ≥ 400    closed before the end
 *      'success'    released                  discarded                 discarded
 *      'finish'     released                  released                  discarded
 *      'close'      released                  released                  released
 */
import type { ServerResponse } from 'node:http'
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { Job } from '../scheduler.js'
import { forgetExecution, wasGivenAgain } from './key-book.js'
import type { DeferPort } from './port.js'
import { whenClosed } from './when-closed.js'

/** When a deferred job is let go; see `RequestDeferOptions`. */
export type DeferMoment = 'now' | 'success' | 'finish' | 'close'

const moments: readonly unknown[] = ['now', 'success', 'finish', 'close'] satisfies DeferMoment[]

/** @throws OptionError unless `on` is one of the four moments, or undefined for the usual one */
export function readMoment(on: unknown, usual: DeferMoment): DeferMoment {
  if (on === undefined) return usual
  if (moments.includes(on)) return on as DeferMoment // it is in the list
  throw new OptionError(`on is ${show(on)}. Give 'now', 'success', 'finish' or 'close'.`)
}

type End = 'succeeded' | 'failed' | 'aborted'

/** The held jobs and flows of one request. */
export class HeldJobs {
  readonly #response: ServerResponse
  readonly #port: DeferPort
  #jobs: { readonly id: string; readonly on: DeferMoment }[] = []
  #isListening = false
  #ended: End | undefined

  constructor(response: ServerResponse, port: DeferPort) {
    this.#response = response
    this.#port = port
  }

  /** Holds the job until its moment; one whose moment is past is decided at once. */
  add(job: Pick<Job, 'id'>, on: DeferMoment): void {
    this.#jobs.push({ id: job.id, on })
    const end = this.#ended ?? this.#end()
    if (end !== undefined) this.#decide(end)
    else if (!this.#isListening) this.#listen()
  }

  /** Discards every job that is held at the moment. @returns how many */
  discard(): number {
    const ids = this.#jobs.map(({ id }) => id)
    this.#jobs = []
    return this.#port.discardHeld(ids, 'The request discarded the job.')
  }

  #listen(): void {
    this.#isListening = true
    const { req } = this.#response
    // 'finish' comes first when the response was handed over whole, but also when what was left of it was thrown away.
    this.#response.once('finish', () => this.#decide(req.socket.destroyed ? this.#lost() : this.#whole()))
    whenClosed(this.#response, () => this.#decide(this.#lost()))
  }

  /** How the response ended, if it has. */
  #end(): End | undefined {
    const { writableFinished, closed, destroyed, socket } = this.#response
    // To Node a response is finished too that was written to a connection that is gone; it still has its socket then.
    if (writableFinished && socket?.destroyed !== true) return this.#whole()
    return closed || destroyed ? this.#lost() : undefined
  }

  /** How a response ended whose connection is gone: its client may have come again and got it then. */
  #lost(): End {
    return wasGivenAgain(this.#response) ? this.#whole() : 'aborted'
  }

  /** How a response ended that was handed over whole. */
  #whole(): End {
    return this.#response.statusCode < 400 ? 'succeeded' : 'failed'
  }

  /** The first end counts. */
  #decide(end: End): void {
    this.#ended ??= end
    const jobs = this.#jobs
    this.#jobs = []
    const [released, discarded] = [true, false].map((wanted) =>
      jobs.filter(({ on }) => isReleased(on, end) === wanted).map(({ id }) => id),
    )
    const discardedCount = this.#port.discardHeld(discarded ?? [], reasons[end])
    if (end === 'aborted' && discardedCount > 0) forgetExecution(this.#response)
    this.#port.releaseHeld(released ?? [])
  }
}

function isReleased(on: DeferMoment, end: End): boolean {
  if (on === 'success') return end === 'succeeded'
  return on !== 'finish' || end !== 'aborted'
}

const reasons: Record<End, string> = {
  succeeded: '',
  failed: 'The response of its request failed.',
  aborted: 'The client went away before the response of its request was sent.',
}
