/** What scripted handlers and threads do. */
import type { Handed } from '../../src/job/flow-step.js'
import type { SerializedError } from '../../src/job/serialized-error.js'
import type { Ending, FromThread } from '../../src/threads/protocol.js'
import type { ThreadExit } from '../../src/world.js'
import type { FakeThread } from './fake-thread.js'

/** One execution as a fake thread sees it. */
export interface Run {
  readonly thread: FakeThread
  readonly token: number
  readonly id: string
  readonly task: string
  readonly payload: unknown
  readonly attempt: number
  readonly maxAttempts: number
  /** What a step of a flow is told of the steps before it. */
  readonly handed: Handed | undefined
}

/** What one execution does. An empty one returns at once, without a result. */
export interface Behaviour {
  /** Default 0; Infinity for a handler that never ends by itself. */
  readonly takesMs?: number
  /** How it ends. Default null: well, without a result. */
  readonly ends?: Ending
  /** Instead of ending, the thread exits. */
  readonly crashes?: Partial<ThreadExit>
  /** The thread can say that it exits because of this execution. */
  readonly isBlamed?: boolean
  /** The thread's loop does not turn meanwhile: nothing it is told is read. */
  readonly spins?: boolean
  /** Otherwise an abort ends it at once. */
  readonly ignoresAbort?: boolean
  /** How it ends when it is aborted, perhaps by the code of the reason. Default: it throws the reason. */
  readonly onAbort?: Ending | ((code: string) => Ending)
  readonly says?: readonly { readonly afterMs?: number; readonly message: (token: number) => FromThread }[]
}

/** How one thread behaves. */
export interface ThreadScript {
  /** Ms until its modules are imported. Default 0; Infinity for never. */
  readonly startsInMs?: number
  readonly startFails?: SerializedError
  /** It exits with this code instead of becoming ready. */
  readonly exitsAtStart?: number
  /** It cannot even be started: `startThread` throws this. */
  readonly throwsAtStart?: Error
  /** Ms from `terminate()` to its end. Default 0; Infinity for never. */
  readonly exitsInMs?: number
  /** Its modules have a teardown that takes so long; Infinity for ever. Default: none. */
  readonly tearsDownInMs?: number
  /** What it says it holds. Default 0. */
  readonly memoryBytes?: number
  /** Tasks its modules define. Default: all of the simulation. */
  readonly tasks?: readonly string[]
}

export const failsWith = (message: string, code?: string): Behaviour => ({
  ends: { kind: 'threw', error: errorOf(message, code), permanent: false },
})

export const failsForGood = (message: string): Behaviour => ({
  ends: { kind: 'threw', error: errorOf(message, 'ERR_SIDEWORK_PERMANENT'), permanent: true },
})

export const snoozes = (delayMs: number): Behaviour => ({ ends: { kind: 'snoozed', delayMs } })

export const asksForRetry = (delayMs: number): Behaviour => ({
  ends: { kind: 'retry-later', delayMs, error: errorOf('later', 'ERR_SIDEWORK_RETRY_LATER') },
})

/** Goes on whatever it is told. */
export const neverEnds: Behaviour = { takesMs: Infinity, ignoresAbort: true }

export const returns = (value: unknown): Behaviour => ({ ends: JSON.stringify(value) })

function errorOf(message: string, code?: string): SerializedError {
  return { name: 'Error', message, ...(code === undefined ? undefined : { code }) }
}
