/** Real threads, as built, keep the contract. */
import { idKeyBytes } from '../../src/job/job-ids.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import type { ThreadSettings } from '../../src/threads/thread.js'
import type { ThreadListener } from '../../src/world.js'
import { threadContract, type ThreadRig } from '../dispatch/thread-contract.js'

// The thread's entry must be JavaScript, so this is the one internal file that is taken from the build.
const built = new URL('../../dist/threads/thread.js', import.meta.url).href
const { startThread } = (await import(/* @vite-ignore */ built)) as {
  startThread: (
    lane: string,
    idKey: Uint8Array,
    settings: ThreadSettings,
    listener: ThreadListener,
  ) => ReturnType<ThreadRig['start']>
}

const settings = (module: string): ThreadSettings => ({
  tasks: new URL(`../fixtures/tasks/${module}.mjs`, import.meta.url),
  nice: 10,
  resourceLimits: undefined,
  execArgv: undefined,
  entry: undefined,
  payloadLimits: payloadLimits(),
  sensitiveByDefault: false,
})

threadContract('real', () => {
  let look = (): void => undefined
  /** Whatever arrives may be what is waited for. */
  const looking = (listener: ThreadListener): ThreadListener => ({
    message(message) {
      listener.message(message)
      look()
    },
    exited(exit) {
      listener.exited(exit)
      look()
    },
  })
  // Threads do not keep the process alive, so the test does.
  const start =
    (module: string): ThreadRig['start'] =>
    (lane, listener) =>
      startThread(lane, new Uint8Array(idKeyBytes), settings(module), looking(listener))
  return {
    start: start('contract'),
    startBroken: start('broken'),
    until: (holds) =>
      new Promise((resolve) => {
        // What is seen through shared memory only announces itself by no message.
        const timer = setInterval(() => look(), 5)
        look = () => {
          if (!holds()) return
          look = () => undefined
          clearInterval(timer)
          resolve()
        }
        look()
      }),
  }
})
