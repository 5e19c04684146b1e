/** What a planned act is to a fake thread. */
import type { Lane } from '../../src/job/snapshot.js'
import type { Act, Plan } from './plan.js'
import type { Behaviour } from './script.js'
import type { Ending, FromThread } from '../../src/threads/protocol.js'

/** @param nextPayload a number for the payload of a child */
export function behaviourOf(
  act: Act | undefined,
  areFaultsOn: boolean,
  nextPayload: () => number,
  plan: Plan,
  lane: Lane,
): Behaviour {
  if (act === undefined) return {}
  if (!areFaultsOn) return { takesMs: 'ms' in act && act.ms < 20 ? act.ms : 0 }
  switch (act.do) {
    case 'return':
      return {
        takesMs: act.ms,
        ...(act.says === true ? { says: [progress] } : undefined),
      }
    case 'result':
      return { takesMs: act.ms, ends: '"done"' }
    case 'fail':
      return { takesMs: act.ms, ends: threw('no') }
    case 'fail-for-good':
      return { takesMs: act.ms, ends: threw('never', 'ERR_SIDEWORK_PERMANENT') }
    case 'spin':
      // On the main lane the scheduler itself would stand still.
      return lane === 'main' ? { takesMs: act.ms, ignoresAbort: true } : { takesMs: act.ms, spins: true }
    case 'snooze':
      return { takesMs: act.ms, ends: { kind: 'snoozed', delayMs: act.delay } }
    case 'retry-later': {
      const error = { name: 'Error', message: String(act.delay), code: 'ERR_SIDEWORK_RETRY_LATER' }
      return { takesMs: act.ms, ends: { kind: 'retry-later', delayMs: act.delay, error } }
    }
    case 'crash': {
      if (lane === 'main') return { takesMs: act.ms, ends: threw('no') } // there it would be the end of the process
      const error =
        act.memory === true
          ? { error: Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }) }
          : undefined
      return { takesMs: act.ms, crashes: { exitCode: act.code, ...error } }
    }
    case 'hang': {
      const onAbort: Ending | undefined =
        act.onAbort === 'return' ? null : act.onAbort === 'fail' ? threw('aborted') : undefined
      return {
        takesMs: act.ms,
        ignoresAbort: act.deaf,
        ...(act.deaf ? { says: [{ ...progress, afterMs: 38 }] } : undefined),
        ...(onAbort === undefined ? undefined : { onAbort }),
      }
    }
    case 'defer': {
      const task = `t${act.task % plan.tasks.length}`
      const payload = JSON.stringify({ n: nextPayload(), g: 0 })
      return {
        takesMs: act.ms,
        says: [{ message: (token) => ({ kind: 'defer', token, call: 1, task, payload }) }],
      }
    }
  }
}

const progress = { message: (token: number): FromThread => ({ kind: 'progress', token, value: '0.5' }) }

function threw(message: string, code?: string): Ending {
  const error = { name: 'Error', message, ...(code === undefined ? undefined : { code }) }
  return { kind: 'threw', error, permanent: code !== undefined }
}
