/** The thread's half of protocol.ts. */
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { after, every, loopUtilization, monotonicMs } from '../clock.js'
import { JobIds } from '../job/job-ids.js'
import type { PayloadLimits } from '../job/payload-limits.js'
import { serializeError } from '../job/serialized-error.js'
import type { Lane } from '../job/snapshot.js'
import { markThread, registeredTasks } from '../task/registry.js'
import { ConsoleGate, tapConsole } from './console-tap.js'
import { LeakWatch } from './leak-watch.js'
import { importTaskModules, type TaskModule } from './loader.js'
import type { LoaderHint } from './loader-hint.js'
import { hasTeardown, setUp, tearDown } from './module-hooks.js'
import type { FromThread, StartingMessage, ToThread, UncaughtMessage } from './protocol.js'
import { SharedRunner } from './shared-runner.js'
import { SoloRunner, type RunnerPort } from './solo-runner.js'
import { ThreadHost } from './thread-host.js'
import { WaitWatch } from './wait-watch.js'

/** What a thread is told when it is started. */
export interface ThreadData {
  readonly lane: Lane
  /** Hrefs of the task modules. */
  readonly modules: readonly string[]
  readonly loader: LoaderHint
  readonly port: MessagePort
  /** See claims.ts. */
  readonly shared: Int32Array
  /** See job-ids.ts. */
  readonly idKey: Uint8Array
  /** Of what its handlers defer. */
  readonly payloadLimits: PayloadLimits
  /** Whether tasks are sensitive that do not say. */
  readonly sensitiveByDefault: boolean
  /** Niceness on Linux; 0 leaves it as it is. */
  readonly nice: number
}

/** Imports the task modules, runs their `setup()`, and serves the scheduler until the thread is stopped. */
export async function startThreadSide(data: ThreadData): Promise<void> {
  const send = (message: FromThread): void => data.port.postMessage(message)
  let speaker = (): number | undefined => undefined
  tapConsole(new ConsoleGate({ send, every, now: monotonicMs, token: () => speaker() }))
  let isRejection = false
  process.on('uncaughtExceptionMonitor', (thrown, origin) => {
    isRejection = origin === 'unhandledRejection'
    tellUncaught(thrown, data.port)
  })
  markThread()
  lowerPriority(data.nice)
  data.port.ref()
  const starts = (step: StartingMessage['step']) => (url: string) =>
    send({ kind: 'starting', step, file: fileURLToPath(url) })
  let modules: readonly TaskModule[]
  try {
    const imported = await importTaskModules(data.modules, data.loader, starts('import'))
    modules = imported.modules
    await setUp(modules, starts('setup'))
    await nextTurn() // a rejection that they leave unhandled has ended the thread by then
  } catch (error) {
    send({ kind: 'start-failed', error: serializeError(error) })
    return
  }
  const runner = serve(data, modules, send, () => isRejection)
  speaker = () => runner.speaker()
  const tasks = [...registeredTasks().keys()]
  send({ kind: 'ready', tasks, ...(hasTeardown(modules) ? { hasTeardown: true } : undefined) })
}

/**
 * Nobody catches this, so the thread exits. Told and done here, because Node cannot tell every error: over one that is its
 * own cause it hangs for seconds, and what it then posts makes the main thread throw.
 */
function tellUncaught(thrown: unknown, port: MessagePort): void {
  if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return
  const message: UncaughtMessage = { kind: 'uncaught', error: serializeError(thrown) }
  port.postMessage(message)
  process.exit(1)
}

function serve(
  data: ThreadData,
  modules: readonly TaskModule[],
  send: (message: FromThread) => void,
  isRejection: () => boolean,
): SoloRunner | SharedRunner {
  // What is finished is told first, so that the scheduler never hears of a job it believes to be waiting.
  const tell = (message: FromThread): void => {
    runner.report()
    send(message)
  }
  const hostPorts = { yieldNow: nextTurn, after, now: monotonicMs }
  const ids = new JobIds(data.idKey)
  const host = new ThreadHost(tell, ids, data.payloadLimits, hostPorts, data.sensitiveByDefault)
  const read = (message: ToThread): void => {
    switch (message.kind) {
      case 'run':
        return runner.receive(message)
      case 'abort':
        runner.abort(message.token, message.code, message.message)
        return tell({ kind: 'aborted', token: message.token })
      case 'ping':
        return tell({ kind: 'pong', memoryBytes: ownMemoryBytes() })
      case 'deferred':
        return host.answer(message)
      case 'close':
        return void tearDown(modules).then(() => process.exit(0))
    }
  }
  const port: RunnerPort = {
    send,
    now: monotonicMs,
    definitionOf: (task) => registeredTasks().get(task),
    host,
    readWaiting: () => readAll(data.port, read),
    ended: (task, now) => leaks.ended(task, now),
  }
  const waits = new WaitWatch({ send, utilization: loopUtilization })
  const runner: SoloRunner | SharedRunner =
    data.lane === 'cpu' ? new SoloRunner(port, data.shared, waits) : new SharedRunner(port)
  // Runs in the context of whatever ends the thread: process.exit, an error or a rejection that nobody caught.
  process.on('exit', () => {
    runner.report()
    const culprit = runner.culprit(isRejection())
    if (culprit !== undefined) send({ kind: 'culprit', token: culprit })
  })
  data.port.on('message', read)
  const leaks = new LeakWatch({
    send,
    openResources: () => process.getActiveResourcesInfo(),
  })
  return runner
}

function readAll(port: MessagePort, read: (message: ToThread) => void): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    read(next.message as ToThread) // the other end is this package's scheduler
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Process-wide figures are left out: `rss` is that of all threads together. */
function ownMemoryBytes(): number {
  const { heapTotal, external } = process.memoryUsage()
  return heapTotal + external
}

/** On Linux a thread can lower its own priority; elsewhere this would touch the whole process. */
function lowerPriority(nice: number): void {
  if (process.platform !== 'linux' || nice === 0) return
  try {
    os.setPriority(nice)
  } catch {
    // Refused by the system (a container's policy, say): the thread runs at the process's priority.
  }
}
