/**
 * The public 'sidework/client', one ES module without dependencies for browsers.
 * `followJob(url)`: from the URL of a job or flow to how it ended, over whatever network and server do meanwhile.
 *
 *   stream ──the server refused, or streams are taken──▶ poll every second ──▶ settled, or gone
 *     ├──connection lost: the browser connects again, the stream begins with the current state
 *     └──silent for 45 s: a new stream
 */
import type { FlowStatus } from '../express/flow-status.js'
import type { JobStatus } from '../express/job-status.js'

export type { FlowStatus, JobStatus }

/** What the endpoints tell: `'flow' in status` says which of both it is. */
export type Status = JobStatus | FlowStatus

/** The server does not know the job: it was restarted without it, has dropped it, or never had it. */
export type GoneStatus = (Partial<Omit<JobStatus, 'state'>> | Partial<Omit<FlowStatus, 'state'>>) & {
  readonly state: 'gone'
}

/** How it ended: 'completed', 'failed', 'cancelled' or 'expired'; 'gone' with what was known last. */
export type FinalStatus = Status | GoneStatus

/** What a page wants to hear of. What a callback throws ends the following and rejects the promise. */
export interface FollowOptions {
  /** Each progress value that differs from the one before, with the whole status. A flow's is `{ total, completed, failed, ratio }`. */
  onProgress?: (progress: NonNullable<Status['progress']>, status: Status) => void
  /** Each change of the status, progress, the first and the last included. */
  onStatus?: (status: FinalStatus) => void
  /** Ends the following: the promise rejects with its reason. The job goes on. */
  signal?: AbortSignal | undefined
}

/** A browser opens six connections to one host over HTTP/1.1; two are left for other requests. */
const maxStreams = 4
/** Three heartbeats. */
const longestSilenceMs = 45_000
const pollEveryMs = 1000
const longestPauseMs = 30_000
let streams = 0

/**
 * Follows a job, flow, chain or batch to its end: by server-sent events, or by asking every second where they are refused or
 * four are open. An unreachable server is asked ever more rarely, at most every 30 s, until it answers.
 * @param url of the job, as `Location` and `links.self` of the 202 give it; of the page's own origin
 * @returns the final status, also of a failed job; state 'gone' when the server does not know it
 * @throws (rejects) the signal's reason; what a callback threw; an Error without a URL, or when the server refuses (4xx but
 *   404, 408, 410, 429)
 */
export function followJob(url: string, options: FollowOptions = {}): Promise<FinalStatus> {
  return new Promise((resolve, reject) => new Follower(url, options, resolve, reject).stream())
}

class Follower {
  readonly #url: string
  readonly #options: FollowOptions
  readonly #resolve: (status: FinalStatus) => void
  readonly #reject: (reason: unknown) => void
  #source: EventSource | undefined
  #request: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #isOver = false
  #pauseMs = pollEveryMs
  #last: Status | undefined
  #lastJson = ''
  #lastProgress = ''

  constructor(
    url: string,
    options: FollowOptions,
    resolve: (status: FinalStatus) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#url = url
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  stream(): void {
    const { signal } = this.#options
    if (!this.#url) throw new TypeError('followJob needs the URL of a job.')
    if (signal?.aborted) return this.#fail(signal.reason)
    signal?.addEventListener('abort', this.#aborted)
    if (typeof EventSource === 'undefined' || streams >= maxStreams) return void this.#poll()
    const source = (this.#source = new EventSource(this.#eventsUrl()))
    streams++
    this.#heard()
    // The events of a stream are MessageEvents; a beat has no status.
    const take = (event: Event): void => {
      this.#heard()
      this.#take(String((event as MessageEvent).data))
    }
    for (const name of ['state', 'progress', 'beat']) source.addEventListener(name, take)
    source.onerror = () => {
      // While it is connecting the browser tries again by itself; closed means that the server refused.
      if (source.readyState !== source.CLOSED) return
      this.#closeSource()
      void this.#poll()
    }
  }

  #heard(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#closeSource()
      this.stream()
    }, longestSilenceMs)
  }

  #eventsUrl(): string {
    return this.#url.replace(/(?=\?)|$/, '/events')
  }

  async #poll(): Promise<void> {
    const request = (this.#request = new AbortController())
    this.#timer = setTimeout(() => request.abort(), longestSilenceMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs)
    try {
      const response = await fetch(this.#url, {
        headers: { Accept: 'application/json' },
        signal: request.signal,
      })
      const { ok, status } = response
      if (status === 404 || status === 410) return this.#gone()
      if (ok) {
        if (this.#take(await response.text())) this.#pauseMs = pollEveryMs
      } else if (status < 500 && status !== 408 && status !== 429)
        return this.#fail(new Error(`${this.#url} answered ${status}.`))
    } catch {
      // The server is restarting or the network is away: the next try will tell.
    }
    clearTimeout(this.#timer)
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#poll(), this.#pauseMs)
  }

  /** Repetitions are not told. @returns false for what is no status */
  #take(json: string): boolean {
    if (this.#isOver || json === this.#lastJson) return true
    let status: Status | null
    try {
      status = JSON.parse(json) as Status | null // what the endpoints send, or somebody between
    } catch {
      return false // a page, say
    }
    if (!status?.state) return false
    this.#last = status
    this.#lastJson = json
    const progress = JSON.stringify(status.progress) as string | undefined // of undefined
    const hasProgressed = progress !== undefined && progress !== this.#lastProgress
    this.#lastProgress = progress ?? ''
    this.#tell(status, hasProgressed)
    if (['completed', 'failed', 'cancelled', 'expired'].includes(status.state)) this.#end(status)
    return true
  }

  #gone(): void {
    const status: GoneStatus = { ...this.#last, state: 'gone' }
    this.#tell(status, false)
    this.#end(status)
  }

  #tell(status: FinalStatus, hasProgressed: boolean): void {
    try {
      if (hasProgressed && status.state !== 'gone' && status.progress !== undefined)
        this.#options.onProgress?.(status.progress, status)
      if (!this.#isOver) this.#options.onStatus?.(status)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #aborted = (): void => this.#fail(this.#options.signal?.reason)

  #end(status: FinalStatus): void {
    this.#stop()
    this.#resolve(status)
  }

  #fail(reason: unknown): void {
    this.#stop()
    this.#reject(reason)
  }

  #stop(): void {
    this.#isOver = true
    this.#request?.abort()
    this.#closeSource()
    this.#options.signal?.removeEventListener('abort', this.#aborted)
  }

  #closeSource(): void {
    clearTimeout(this.#timer)
    if (this.#source === undefined) return
    this.#source.close()
    this.#source = undefined
    streams--
  }
}
