/** Carries `AsyncLocalStorage` contexts over the queue, which knows nothing of them. */
import { AsyncResource } from 'node:async_hooks'

const manual = { requireManualDestroy: true }

/**
 * The context of the moment it is made in, far cheaper than `AsyncLocalStorage.snapshot()`, which binds a function. Holds
 * on to its stores for as long as it is kept.
 */
export class CapturedContext extends AsyncResource {
  constructor() {
    super('SideworkContext', manual)
  }

  run<T>(task: () => T): T {
    return this.runInAsyncScope(task)
  }
}
