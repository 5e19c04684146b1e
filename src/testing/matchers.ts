/**
 * The public 'sidework/testing/matchers': importing it gives the global `expect` of vitest or jest three matchers more.
 * Where there is none, it only exports them.
 */
import type { SettledState } from '../job/lifecycle.js'
import type { Task } from '../task/define-task.js'
import type { ErrorPattern } from './matching.js'
import { toHaveDeferred, type ExpectedDefer } from './to-have-deferred.js'
import { toHaveRetried, type ExpectedRetries } from './to-have-retried.js'
import { toHaveSettled, type ExpectedEnd } from './to-have-settled.js'

export type { ErrorPattern, ExpectedDefer, ExpectedEnd, ExpectedRetries }

/** The matchers, for an `expect` that is not global: `expect.extend(matchers)`. */
export const matchers = { toHaveDeferred, toHaveSettled, toHaveRetried }

/** Matchers for what `createTestScheduler` returns. Asymmetric matchers may stand for payloads and results. */
export interface SideworkMatchers<R = unknown> {
  /**
   * A job of this task was deferred, whatever became of it. One that waits for its response counts from its release.
   * @param payload its payload, as the handler gets it; `undefined` for any
   */
  toHaveDeferred<I>(task: Task<I> | string, payload?: NoInfer<I>, expected?: ExpectedDefer): R
  /** A job of this task settled: in this state, or with all of this. */
  toHaveSettled(task: Task | string, expected?: SettledState | ExpectedEnd): R
  /** A job of this task failed attempts that are retried; a retry that is not due yet counts. */
  toHaveRetried(task: Task | string, expected?: ExpectedRetries): R
}

declare global {
  // vitest and jest both take matchers from this namespace, which needs no import of either.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace jest {
    // The parameters are those of the interface that is extended.
    // eslint-disable-next-line @typescript-eslint/no-unused-vars, @typescript-eslint/no-empty-object-type
    interface Matchers<R, T = {}> extends SideworkMatchers<R> {}
  }
}

interface Expect {
  extend(matchers: object): void
}

/** jest's global; or where vitest keeps its own, for tests that import it. */
function findExpect(): Expect | undefined {
  const realm = globalThis as { expect?: Expect; [kept: symbol]: Expect | undefined }
  return realm.expect ?? realm[Symbol.for('expect-global')]
}

findExpect()?.extend(matchers)
