/** Knows which requests of a server have not ended, so that closing can wait for them and for nothing else. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { isFollower, whenFollows } from './followers.js'
import { whenClosed } from './when-closed.js'

/** An HTTP/1 server of Node, e.g. what `app.listen()` returns. */
export type ClosableServer = HttpServer | HttpsServer

/** The requests of a server that began after this was made and whose response has not ended. */
export class RequestsInFlight {
  readonly #server: ClosableServer
  readonly #responses = new Set<ServerResponse>()
  #isStopping = false
  #whenOnlyFollowers: (() => void) | undefined
  #whenNoFollowers: (() => void) | undefined

  constructor(server: ClosableServer) {
    this.#server = server
    server.prependListener('request', this.#began)
  }

  /** Stops looking. */
  forget(): void {
    this.#server.off('request', this.#began)
  }

  /** Stops listening; each connection is closed as soon as it has no request. */
  stop(): void {
    this.#isStopping = true
    this.#server.close()
    this.#server.closeIdleConnections()
    // Of those that were pipelined on one connection the last: what stands behind the word would be thrown away.
    const lastOf = new Map([...this.#responses].map((res) => [res.req.socket, res]))
    for (const res of lastOf.values()) endConnectionAfter(res)
    for (const res of this.#responses) whenFollows(res, () => this.#look())
  }

  /** Calls back once nothing is in flight but what waits for a job, at once if that is so. */
  whenOnlyFollowers(run: () => void): void {
    this.#whenOnlyFollowers = run
    this.#look()
  }

  /** Calls back once nothing in flight waits for a job, at once if that is so. */
  whenNoFollowers(run: () => void): void {
    this.#whenNoFollowers = run
    this.#look()
  }

  #look(): void {
    const followers = [...this.#responses].filter(isFollower)
    if (followers.length === this.#responses.size) this.#whenOnlyFollowers?.()
    if (followers.length === 0) this.#whenNoFollowers?.()
  }

  readonly #began = (_req: IncomingMessage, res: ServerResponse): void => {
    this.#responses.add(res)
    if (this.#isStopping) {
      endConnectionAfter(res)
      whenFollows(res, () => this.#look())
    }
    whenClosed(res, () => this.#ended(res))
  }

  #ended(res: ServerResponse): void {
    this.#responses.delete(res)
    if (!this.#isStopping) return
    // A response whose headers were out could not say 'Connection: close'; its connection is idle in the next turn.
    setImmediate(() => this.#server.closeIdleConnections())
    this.#look()
  }
}

function endConnectionAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
