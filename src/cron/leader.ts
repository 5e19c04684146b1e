/** Asks the user's `leader` hook, which may take its time, throw, or never answer. */
import type { Disarmable } from '../job/job.js'

/** Whether this process may run what is due. */
export type Leadership = 'leader' | 'not-leader' | 'leader-failed'

/** The hook of `createCron`. */
export type LeaderHook = () => boolean | Promise<boolean>

/** Ms after which a hook that has not answered has failed. */
const longestAnswerMs = 10_000

export interface LeaderPort {
  alarm(delayMs: number, run: () => void): Disarmable
  failed(error: unknown): void
  /** Calls it. @throws what it throws */
  ask(hook: LeaderHook): unknown
}

/** Calls `answered` exactly once: at once when the hook answers at once, at the latest after 10 s. */
export function askLeader(
  hook: LeaderHook,
  port: LeaderPort,
  answered: (leadership: Leadership) => void,
): void {
  let answer: unknown
  let isLater: boolean
  try {
    answer = port.ask(hook)
    isLater = isThenable(answer) // a getter, or what a proxy makes of it, may throw
  } catch (error) {
    port.failed(error)
    return answered('leader-failed')
  }
  if (!isLater) return answered(answer === true ? 'leader' : 'not-leader')
  let isOpen = true
  const close = (leadership: Leadership): void => {
    if (!isOpen) return
    isOpen = false
    alarm.disarm()
    answered(leadership)
  }
  const fail = (error: unknown): void => {
    if (isOpen) port.failed(error)
    close('leader-failed')
  }
  const alarm = port.alarm(longestAnswerMs, () =>
    fail(new Error(`leader() has not answered within ${longestAnswerMs} ms.`)),
  )
  // By a promise of our own, as the `then` of another's may throw.
  Promise.resolve(answer).then((value) => close(value === true ? 'leader' : 'not-leader'), fail)
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
