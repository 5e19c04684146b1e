/** When a response is over. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Calls back, after the current call, once the response was handed over whole, or its connection is gone. Of a lost connection
 * Node tells only the response whose turn it is to be sent: those that wait behind it (HTTP/1.1 pipelining) never hear.
 */
export function whenClosed(res: ServerResponse, run: () => void): void {
  // Node tells once: who asks later, behind a middleware that awaits something, would wait for ever.
  if (res.closed) return queueMicrotask(run)
  // Those that wait have no socket yet.
  const waiting = res.socket === null ? waitingOn(res.req.socket) : undefined
  const close = (): void => {
    res.off('close', close)
    waiting?.delete(close)
    run()
  }
  res.once('close', close)
  waiting?.add(close)
}

/** By connection, as there may be more than an emitter should have listeners. */
const waitingOf = new WeakMap<Socket, Set<() => void>>()

function waitingOn(socket: Socket): Set<() => void> {
  const known = waitingOf.get(socket)
  if (known !== undefined) return known
  const waiting = new Set<() => void>()
  const closeAll = (): void => {
    waitingOf.delete(socket)
    for (const close of [...waiting]) close()
  }
  waitingOf.set(socket, waiting)
  if (socket.closed) queueMicrotask(closeAll)
  else socket.once('close', closeAll)
  return waiting
}
