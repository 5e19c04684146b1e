/** What piscina and tinypool have in common: `run` answers a promise per job, whether anybody wants it or not. */
import { awaitEach, keepOffering } from '../load.mjs'

const filename = new URL('../tasks/pool-handlers.mjs', import.meta.url).href

export async function startPool(Pool, threads, mode, options) {
  const pool = new Pool({ filename, minThreads: threads, maxThreads: threads, ...options })
  const offerAll = mode === 'awaited' ? awaitEach : keepOffering
  const runOptions = { name: mode === 'awaited' ? 'answer' : 'noop' }
  const run = (payload) => pool.run(payload, runOptions)
  return {
    run: (count) => offerAll(count, run),
    close: () => pool.destroy(),
  }
}
