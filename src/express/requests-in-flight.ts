/** Knows which requests of a server have not ended, so that closing can wait for them and for nothing else. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { isEventStream } from './event-stream.js'
import { whenClosed } from './when-closed.js'

/** An HTTP/1 server of Node, e.g. what `app.listen()` returns. */
export type ClosableServer = HttpServer | HttpsServer

/** The requests of a server that began after this was made and whose response has not ended. */
export class RequestsInFlight {
  readonly #server: ClosableServer
  readonly #responses = new Set<ServerResponse>()
  #isStopping = false
  #whenNone: (() => void) | undefined

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
    for (const res of this.#responses) endConnectionAfter(res)
  }

  /** Calls back once nothing but event streams is in flight, at once if that is so. */
  whenNone(run: () => void): void {
    if (this.#isNone) run()
    else this.#whenNone = run
  }

  get #isNone(): boolean {
    for (const res of this.#responses) if (!isEventStream(res)) return false
    return true
  }

  readonly #began = (_req: IncomingMessage, res: ServerResponse): void => {
    this.#responses.add(res)
    if (this.#isStopping) endConnectionAfter(res)
    whenClosed(res, () => this.#ended(res))
  }

  #ended(res: ServerResponse): void {
    this.#responses.delete(res)
    if (!this.#isStopping) return
    // A response whose headers were out could not say 'Connection: close'; its connection is idle in the next turn.
    setImmediate(() => this.#server.closeIdleConnections())
    if (this.#isNone) this.#whenNone?.()
  }
}

function endConnectionAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
