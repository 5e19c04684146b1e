/**
 * A thread that is none: it runs handlers on the main thread, so that spies and module mocks work. It gets the messages
 * that a worker thread gets and answers as one: the same packing, codec, context and outcomes. What differs is force: a
 * handler that ignores its signal cannot be stopped, so it goes on unheard.
 */
import { MainLane, type MainLanePorts } from '../main-lane/main-lane.js'
import type { Lane } from '../job/snapshot.js'
import type { ToThread } from '../threads/protocol.js'
import type { ThreadListener, ThreadPort } from '../world.js'

export function startHandlerThread(lane: Lane, ports: MainLanePorts, listener: ThreadListener): ThreadPort {
  // The budget is virtual time, of which handlers take none.
  const runner = new MainLane(ports, { budgetMs: 1, maxDelayMs: Infinity }, listener)
  const thread: ThreadPort = {
    shared: undefined,
    drain: () => runner.drain(),
    terminate: () => runner.terminate(),
    post(message: ToThread) {
      runner.post(message)
      // As worker threads do: it shows that the thread's loop still answers.
      if (message.kind === 'abort' && lane !== 'main') {
        listener.message({ kind: 'aborted', token: message.token })
      }
    },
  }
  return thread
}
