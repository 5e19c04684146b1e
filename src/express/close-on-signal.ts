/**
 * `closeOnSignal(server, scheduler)`: from SIGTERM or SIGINT to the exit, in numbered steps.
 *
 *   0 ───────────── up to timeout/2 ─────────────┬───────── the rest of timeout ─────────┐
 *   │ 1 stop listening                           │ 3 scheduler.close({ timeout: rest })  │ 5 onClosed  6 exit
 *   │ 2 finish requests in flight ──all done──▶  │   (begins earlier by what 2 saved)    │
 *   │   whoever waits for a job goes on until it settles ──────────────────────────▶  │ 4 their last words
 */
import { after, monotonicMs } from '../clock.js'
import { fromLineOf, OptionError } from '../errors.js'
import { durationMs, ownOptions, show, type Duration } from '../options.js'
import type { CloseReport, Scheduler } from '../scheduler.js'
import { endStreams, leaveStreams } from './job-streams.js'
import { withPort, type DeferPort } from './port.js'
import { RequestsInFlight, type ClosableServer } from './requests-in-flight.js'

/** How `closeOnSignal` behaves. */
export interface CloseOnSignalOptions {
  /**
   * For requests and jobs together, default '25s', 0 allowed. Requests get at most half of it; jobs what is left.
   * Jobs that must be forced to end take up to a second more; `onClosed` is not counted.
   */
  timeout?: Duration | undefined
  /** Runs after the scheduler has closed and is awaited: store `report.lost`, close databases. */
  onClosed?(this: void, report: CloseReport): void | Promise<void>
}

const signals = ['SIGTERM', 'SIGINT'] as const
/**
 * The same signal within this time is the same request: Ctrl-C and service managers signal the whole process group, and a
 * launcher in it, tsx for one, passes what it gets on.
 */
const echoMs = 1_000
/** For answers that wait for a job which has settled as closing ended, to a client that reads them. */
const lastWordsMs = 1_000

/** Servers that are being left, as a process may have several: it ends with the last of them. */
const leaving = new Set<RequestsInFlight>()
let exitCode = 0

/**
 * On SIGTERM or SIGINT: stops listening, finishes the requests in flight (which may still defer), closes the
 * scheduler, awaits `onClosed` and exits with 0, or with 1 when closing or `onClosed` failed. A second signal exits
 * with 1 at once and says so on stderr; the same one within a second of the first does not count. Call it right after
 * `listen`: only requests that begin later are waited for. Called for several servers or schedulers, the process ends when all
 * have closed.
 * @returns a function that takes the handlers off again
 * @throws OptionError for what is no HTTP/1 server or no scheduler, and for unknown and bad options
 * @example
 * closeOnSignal(createApp(scheduler).listen(3000), scheduler, { onClosed: () => database.end() })
 */
export function closeOnSignal(
  server: ClosableServer,
  scheduler: Scheduler,
  options: CloseOnSignalOptions = {},
): () => void {
  const { port, timeoutMs, onClosed } = fromLineOf(closeOnSignal, () => read(server, scheduler, options))
  const requests = new RequestsInFlight(server)
  let first: { readonly signal: NodeJS.Signals; readonly at: number } | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (first !== undefined) {
      if (signal === first.signal && monotonicMs() - first.at < echoMs) return
      const { unsettled } = port.backlog()
      console.error(
        `sidework: a second signal (${signal}) ends the process at once; jobs not settled: ${unsettled}.`,
      )
      return process.exit(1)
    }
    first = { signal, at: monotonicMs() }
    leaving.add(requests)
    leave(requests, scheduler, timeoutMs, onClosed)
      .catch(failed)
      .finally(() => endWithLast(requests))
  }
  for (const signal of signals) process.on(signal, onSignal)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
    requests.forget()
    leaving.delete(requests)
  }
}

function read(
  server: ClosableServer,
  scheduler: Scheduler,
  options: CloseOnSignalOptions,
): {
  readonly port: DeferPort
  readonly timeoutMs: number
  readonly onClosed: CloseOnSignalOptions['onClosed']
} {
  if (!isServer(server))
    throw new OptionError(
      `closeOnSignal() got ${show(server)} as server. Give what app.listen() returned, or another HTTP/1 server of Node.`,
    )
  const port = withPort('closeOnSignal()', scheduler)
  const own: CloseOnSignalOptions = ownOptions('closeOnSignal()', options, new Set(['timeout', 'onClosed']))
  const timeoutMs = durationMs('timeout', own.timeout ?? '25s', { zero: true })
  return { port, timeoutMs, onClosed: readOnClosed(own.onClosed) }
}

/** Whether it has what `RequestsInFlight` calls. */
function isServer(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { prependListener, close, closeIdleConnections } = value as Partial<ClosableServer>
  return [prependListener, close, closeIdleConnections].every((method) => typeof method === 'function')
}

async function leave(
  requests: RequestsInFlight,
  scheduler: Scheduler,
  timeoutMs: number,
  onClosed: CloseOnSignalOptions['onClosed'],
): Promise<void> {
  const startedAt = monotonicMs()
  requests.stop()
  leaveStreams(scheduler)
  await within(timeoutMs / 2, (done) => requests.whenOnlyFollowers(done))
  const report = await scheduler.close({ timeout: Math.max(0, timeoutMs - (monotonicMs() - startedAt)) })
  endStreams(scheduler)
  await within(lastWordsMs, (done) => requests.whenNoFollowers(done))
  await onClosed?.(report)
}

/** Resolves when it is done, at the latest after `limitMs`. */
function within(limitMs: number, whenDone: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const cancel = after(limitMs, resolve)
    whenDone(() => {
      cancel()
      resolve()
    })
  })
}

/** The process ends soon and nobody is left to throw at. */
function failed(error: unknown): void {
  console.error('sidework: closing failed.', error)
  exitCode = 1
}

function endWithLast(requests: RequestsInFlight): void {
  leaving.delete(requests)
  if (leaving.size === 0) process.exit(exitCode)
}

function readOnClosed(value: unknown): CloseOnSignalOptions['onClosed'] {
  // What a function takes cannot be seen at run time; it gets the report.
  if (value === undefined || typeof value === 'function') return value as CloseOnSignalOptions['onClosed']
  throw new OptionError(`onClosed is ${show(value)}. Give a function (report) => void or a promise.`)
}
