/** A real worker thread behind the `ThreadPort`. */
import {
  MessageChannel,
  receiveMessageOnPort,
  Worker,
  type ResourceLimits,
  type WorkerOptions,
} from 'node:worker_threads'
import { ThreadStartError } from '../errors.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import { serializeError } from '../job/serialized-error.js'
import type { Lane } from '../job/snapshot.js'
import type { ThreadListener, ThreadPort } from '../world.js'
import { sharedCells } from './claims.js'
import { detectLoader, loaderEnv } from './loader-hint.js'
import { threadExecArgv } from './node-flags.js'
import type { FromThread, ToThread, UncaughtMessage } from './protocol.js'
import { resolveTaskModules, type TaskModules } from './task-modules.js'
import type { ThreadData } from './thread-side.js'

/** How the threads of a scheduler are started. */
export interface ThreadSettings {
  readonly tasks: TaskModules | undefined
  readonly nice: number
  readonly resourceLimits: ResourceLimits | undefined
  readonly execArgv: readonly string[] | undefined
  /** A bundled thread entry of the user's own; default is the package's. */
  readonly entry: URL | undefined
  /** Of what handlers defer. */
  readonly payloadLimits: PayloadLimits
  /** Whether tasks are sensitive that do not say. */
  readonly sensitiveByDefault: boolean
}

/** Starts a thread. It is not usable before it has said `ready`. */
export function startThread(
  lane: Lane,
  idKey: Uint8Array,
  settings: ThreadSettings,
  listener: ThreadListener,
): ThreadPort {
  const modules = resolveTaskModules(settings.tasks)
  const loader = detectLoader(loaderEnv(settings.execArgv))
  const entry = settings.entry ?? new URL('./thread-entry.js', import.meta.url)
  const shared = new Int32Array(new SharedArrayBuffer(sharedCells * Int32Array.BYTES_PER_ELEMENT))
  const { port1, port2 } = new MessageChannel()
  const data: ThreadData = {
    lane,
    modules,
    loader,
    port: port2,
    shared,
    idKey,
    payloadLimits: settings.payloadLimits,
    sensitiveByDefault: settings.sensitiveByDefault,
    nice: settings.nice,
  }
  const options: WorkerOptions = {
    workerData: { sidework: data },
    transferList: [port2],
    name: `sidework ${lane}`,
    // By this condition `import 'sidework'` in a thread finds index-in-threads.ts.
    execArgv: [...threadExecArgv(process.execArgv, settings.execArgv), '--conditions=sidework-thread'],
    ...(settings.resourceLimits === undefined ? undefined : { resourceLimits: settings.resourceLimits }),
  }
  try {
    return connect(new Worker(entry, options), port1, shared, listener)
  } catch (error) {
    port1.close() // Node would keep both ends for ever
    throw refusal(error)
  }
}

/** Node gave no thread. */
function refusal(error: unknown): ThreadStartError {
  const { code, message } = serializeError(error)
  return new ThreadStartError(whyRefused(code, message), error)
}

function whyRefused(code: string | undefined, message: string): string {
  if (code === 'ERR_WORKER_INVALID_EXEC_ARGV')
    return `Node starts no thread: ${message}. Look at threads.execArgv.`
  if (code === 'ERR_ACCESS_DENIED')
    return `Node may start no thread (${message}). Start it with --allow-worker.`
  return `The system gave no thread (${message}). Look at the limits of this process for threads and memory.`
}

function connect(
  worker: Worker,
  port: import('node:worker_threads').MessagePort,
  shared: Int32Array,
  listener: ThreadListener,
): ThreadPort {
  let error: unknown
  const hear = (message: FromThread | UncaughtMessage): void => {
    if (typeof message === 'object' && message.kind === 'uncaught') error = message.error
    else listener.message(message)
  }
  const drain = (): void => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      hear(next.message as FromThread) // the other end is this package's thread side
    }
  }
  worker.on('error', (thrown: unknown) => {
    error = thrown ?? new Error('undefined was thrown')
  })
  worker.once('exit', (exitCode) => {
    drain()
    port.close()
    listener.exited(error === undefined ? { exitCode } : { exitCode, error })
  })
  port.on('message', hear)
  port.unref()
  worker.unref()
  return {
    shared,
    drain,
    post: (message: ToThread) => port.postMessage(message),
    terminate: () => void worker.terminate(),
  }
}
