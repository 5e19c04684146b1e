/** Who is to blame when a thread is gone. A pure reading of what was on it. */
import type { Job } from '../job/job.js'
import type { Outcome } from '../job/outcome.js'
import { serializeError } from '../job/serialized-error.js'
import type { ThreadExit } from '../world.js'
import { SideworkError } from '../errors.js'
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

/** Every job that was with the thread, with how its execution ended. */
export function blame(thread: LaneThread, exit: ThreadExit): Casualty[] {
  const executions = thread.places.values()
  const begun = begunCount(thread, executions)
  const culprit = thread.stopReason === undefined ? findCulprit(thread, executions, begun) : undefined
  const isUnexplained = thread.stopReason === undefined && culprit === undefined && begun > 1
  return executions.flatMap((execution, index) => {
    const { job } = execution
    if (job === undefined) return []
    const outcome = index < begun ? endOf(execution, execution === culprit, exit) : undefined
    if (isUnexplained && outcome !== undefined) job.more().runsAlone = true
    return [{ job, isValid: execution.isValid, isStarted: execution.phase !== 'prefetched', outcome }]
  })
}

/** Executions that had begun: on a cpu thread those taken, and the one that was given the place. */
function begunCount(thread: LaneThread, executions: readonly Execution[]): number {
  if (thread.window === undefined || thread.claims === undefined) return executions.length
  return Math.max(Math.min(1, executions.length), thread.claims.takenSince(thread.window.oldest))
}

/** A cpu thread runs one job at a time; a shared one is only sure when it had one. */
function findCulprit(
  thread: LaneThread,
  executions: readonly Execution[],
  begun: number,
): Execution | undefined {
  if (thread.window !== undefined && thread.claims !== undefined) {
    const taken = thread.claims.takenSince(thread.window.oldest)
    return taken === 0 ? undefined : executions[taken - 1]
  }
  return begun === 1 ? executions[0] : undefined
}

function endOf(execution: Execution, isCulprit: boolean, exit: ThreadExit): Outcome {
  if (!isCulprit || execution.phase === 'stopping') return { kind: 'interrupted' }
  return { kind: 'lost-thread', error: exitError(exit) }
}

function exitError(exit: ThreadExit): ReturnType<typeof serializeError> {
  const cause = exit.error
  if (isOutOfMemory(cause)) {
    return serializeError(
      new SideworkError(
        'ERR_SIDEWORK_OUT_OF_MEMORY',
        'The thread ran out of memory during this attempt. Raise threads.resourceLimits or let the task hold less.',
        { cause },
      ),
    )
  }
  const how = cause === undefined ? `with code ${exit.exitCode}` : 'after an error nobody caught'
  return serializeError(
    new SideworkError('ERR_SIDEWORK_THREAD_EXITED', `The thread exited ${how} during this attempt.`, {
      cause,
    }),
  )
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
}
