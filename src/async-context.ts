/** Carries `AsyncLocalStorage` contexts over the queue, which knows nothing of them. */
import { AsyncResource } from 'node:async_hooks'

/** Calls a function in the context that was captured. */
export type RunIn = <T>(run: () => T) => T

/**
 * The context of this moment, far cheaper than `AsyncLocalStorage.snapshot()`, which binds a function. Holds on to its
 * stores for as long as it is kept.
 */
export function captureContext(): RunIn {
  const resource = new AsyncResource('SideworkContext', { requireManualDestroy: true })
  return (run) => resource.runInAsyncScope(run)
}
