/** `setup()` and `teardown()` of task modules: each runs once per thread. */
import { fileURLToPath } from 'node:url'
import { ThreadStartError } from '../errors.js'
import { tell, type TaskModule } from './loader.js'

/**
 * Runs the modules' `setup()`, one after the other in the order of `createScheduler({ tasks })`.
 * `begin` is told of each before it runs.
 * @throws ThreadStartError naming the file, with what was thrown as `cause`
 */
export async function setUp(modules: readonly TaskModule[], begin: (url: string) => void): Promise<void> {
  for (const { url, exports } of modules) {
    const { setup } = exports
    if (typeof setup !== 'function') continue
    begin(url)
    try {
      await (setup as () => unknown)()
    } catch (error) {
      throw new ThreadStartError(`setup() of ${fileURLToPath(url)} failed: ${tell(error)}`, error)
    }
  }
}

export function hasTeardown(modules: readonly TaskModule[]): boolean {
  return modules.some(({ exports }) => typeof exports['teardown'] === 'function')
}

/** Runs the modules' `teardown()`, the last module's first. One that fails does not keep the others from theirs. */
export async function tearDown(modules: readonly TaskModule[]): Promise<void> {
  for (const { url, exports } of [...modules].reverse()) {
    const { teardown } = exports
    if (typeof teardown !== 'function') continue
    try {
      await (teardown as () => unknown)()
    } catch (error) {
      console.error(`teardown() of ${fileURLToPath(url)} failed:`, error)
    }
  }
}
