/** Who is to blame when a thread is gone. A pure reading of what was on it. */
import type { Job } from '../job/job.js'
import type { Outcome } from '../job/outcome.js'
import { serializeError } from '../job/serialized-error.js'
import type { ThreadExit } from '../world.js'
import { OutOfMemoryError, ThreadExitedError } from '../errors.js'
import type { Execution } from './execution.js'
import type { LaneThread } from './lane-thread.js'

/** One job that was with the thread. */
export interface Casualty {
  readonly job: Job
  /** Whether its token still counts. */
  readonly isValid: boolean
  /** Whether its attempt was known to have begun. */
  readonly isStarted: boolean
  /** How its execution ended; absent when the thread had not begun it. */
  readonly outcome: Outcome | undefined
}

/**
 * Every job that was with the thread, with how its execution ended. The one to blame comes last: its task's backoff function
 * is asked then, and may do something to the others.
 */
export function blame(thread: LaneThread, exit: ThreadExit): Casualty[] {
  const executions = thread.places.values()
  const begun = begunCount(thread, executions)
  const { stopReason } = thread
  const isItsFault = stopReason === undefined || stopReason === 'memory'
  const culprit = isItsFault ? findCulprit(thread, executions, begun) : undefined
  const isUnexplained =
    culprit === undefined && ((isItsFault && thread.culprit === 0) || (begun > 1 && mayBeAmongThem(thread)))
  const casualties = executions.flatMap((execution, index): Casualty[] => {
    const { job } = execution
    if (job === undefined) return []
    const outcome = index < begun ? endOf(execution, execution === culprit, thread, exit) : undefined
    if (isUnexplained && outcome !== undefined) job.more().runsAlone = true
    return [{ job, isValid: execution.isValid, isStarted: execution.phase !== 'prefetched', outcome }]
  })
  return casualties.sort((a, b) => Number(a.job === culprit?.job) - Number(b.job === culprit?.job))
}

/** Whether one of them could have ended the thread, or have held it. Otherwise they may share one again. */
function mayBeAmongThem({ stopReason, culprit }: LaneThread): boolean {
  return (
    stopReason === 'stuck' || stopReason === 'memory' || (stopReason === undefined && culprit === undefined)
  )
}

/** Executions that had begun: on a cpu thread those taken, and the one that was given the place. */
function begunCount(thread: LaneThread, executions: readonly Execution[]): number {
  if (thread.window === undefined || thread.claims === undefined) return executions.length
  return Math.max(Math.min(1, executions.length), thread.claims.takenSince(thread.window.oldest))
}

/** A cpu thread runs one job at a time; a shared one says whose context it was, or is sure when it had one job. */
function findCulprit(
  thread: LaneThread,
  executions: readonly Execution[],
  begun: number,
): Execution | undefined {
  if (thread.window !== undefined && thread.claims !== undefined) {
    const taken = thread.claims.takenSince(thread.window.oldest)
    const atWork = taken === 0 ? undefined : executions[taken - 1]
    if (thread.culprit !== 0) return atWork
    // Something an earlier job left behind: not this one's fault. On a fresh thread, which it has next, there was none.
    return atWork?.job?.details?.runsAlone === true && !thread.hasEnded ? atWork : undefined
  }
  // It may be an execution that has ended, and left a timer behind.
  if (thread.culprit !== undefined) return executions.find(({ token }) => token === thread.culprit)
  return begun === 1 ? executions[0] : undefined
}

function endOf(execution: Execution, isCulprit: boolean, thread: LaneThread, exit: ThreadExit): Outcome {
  if (!isCulprit || execution.phase === 'stopping') return { kind: 'interrupted' }
  return { kind: 'lost-thread', error: exitError(thread, exit) }
}

function exitError(
  { stopReason }: LaneThread,
  { exitCode, error }: ThreadExit,
): ReturnType<typeof serializeError> {
  return serializeError(
    stopReason === 'memory' || isOutOfMemory(error)
      ? new OutOfMemoryError(error)
      : new ThreadExitedError(exitCode, error === undefined ? undefined : serializeError(error)),
  )
}

function isOutOfMemory(error: unknown): boolean {
  return serializeError(error).code === 'ERR_WORKER_OUT_OF_MEMORY'
}
