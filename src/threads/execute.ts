/** Calls one handler and turns whatever happens into data. Used by threads and by the main lane alike. */
import { outcomeOfThrown } from '../job/outcome.js'
import { encodeResult, isResultRefusal } from '../job/payload.js'
import type { TaskDefinition } from '../task/define-task.js'
import { attemptChannel, traceAttempt, type AttemptTrace } from '../task/trace-channels.js'
import type { Attempt } from './attempt.js'
import type { Ending } from './protocol.js'

/** The reasons of a signal with which the scheduler ends an attempt as cancelled: the latter at the deadline of its flow. */
const cancelCodes: ReadonlySet<string> = new Set(['ERR_SIDEWORK_CANCELLED', 'ERR_SIDEWORK_EXPIRED'])

/** Runs the handler; answers at once when it did not return a promise. */
export function execute(
  task: TaskDefinition,
  payload: unknown,
  attempt: Attempt,
  isSensitive: boolean,
): Ending | Promise<Ending> {
  if (!attemptChannel.hasSubscribers) return run(task, payload, attempt)
  const { id, attempt: number, maxAttempts, request } = attempt
  return traceAttempt(
    { id, task: attempt.task, attempt: number, maxAttempts, request },
    () => run(task, payload, attempt),
    (trace, ending) => noteEnding(trace, ending, attempt, isSensitive),
  )
}

function noteEnding(
  trace: AttemptTrace,
  ending: Ending,
  { abortReason }: Attempt,
  isSensitive: boolean,
): void {
  if (abortReason !== undefined && cancelCodes.has(abortReason.code)) {
    trace.outcome = 'cancelled'
    return
  }
  if (abortReason !== undefined && isTimeout(abortReason.code)) {
    trace.outcome = 'timed-out'
    trace.error = { name: abortReason.name, code: abortReason.code, message: abortReason.message }
    return
  }
  const isBrief = ending === null || typeof ending === 'string'
  trace.outcome = isBrief ? 'completed' : ending.kind
  if (isBrief || (ending.kind !== 'threw' && ending.kind !== 'retry-later')) return
  const { name, code } = ending.error
  trace.error = isSensitive ? { name, ...(code === undefined ? undefined : { code }) } : ending.error
}

function isTimeout(code: string): boolean {
  return code === 'ERR_SIDEWORK_TIMEOUT' || code === 'ERR_SIDEWORK_VISIBILITY_TIMEOUT'
}

function run(task: TaskDefinition, payload: unknown, attempt: Attempt): Ending | Promise<Ending> {
  try {
    const returned = task.run(payload, attempt)
    if (isThenable(returned)) return settle(returned, attempt)
    return ended(attempt, returned)
  } catch (thrown) {
    return failed(attempt, thrown)
  }
}

async function settle(returned: PromiseLike<unknown>, attempt: Attempt): Promise<Ending> {
  try {
    return ended(attempt, await returned)
  } catch (thrown) {
    return failed(attempt, thrown)
  }
}

function ended(attempt: Attempt, value: unknown): Ending {
  attempt.end()
  if (value === undefined) return null
  const result = encodeResult(value)
  if (typeof result === 'string') return result
  if (result === undefined) return null
  return isResultRefusal(result)
    ? { kind: 'completed', resultRefused: result.refused }
    : { kind: 'completed', result }
}

function failed(attempt: Attempt, thrown: unknown): Ending {
  attempt.end()
  return outcomeOfThrown(thrown)
}

/** Whether the handler has not ended yet. Told by its shape, as an app may put another `Promise` in the place of the global. */
export function isPending(ending: Ending | Promise<Ending>): ending is Promise<Ending> {
  return typeof ending === 'object' && ending !== null && !('kind' in ending)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function'
  if (!mayBe) return false
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    return false // the work is done; as a result it is looked at once more, and refused
  }
}
