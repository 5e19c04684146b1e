/** What the pools have in common: a promise per job, whether anybody wants it or not. */
import { awaitEach, keepOffering } from '../load.mjs'
import { handlerOf } from '../tasks/pool-handlers.mjs'

const filename = new URL('../tasks/pool-handlers.mjs', import.meta.url).href

/** piscina and tinypool. */
export function startPool(Pool, threads, mode, options) {
  const pool = new Pool({ filename, minThreads: threads, maxThreads: threads, ...options })
  const runOptions = { name: handlerOf[mode] }
  return poolContender(
    mode,
    (payload) => pool.run(payload, runOptions),
    () => pool.destroy(),
  )
}

/** @param ask runs one job, answers a promise */
export function poolContender(mode, ask, close) {
  const offerAll = mode === 'awaited' ? awaitEach : keepOffering
  let done = 0
  const count = () => void done++
  return {
    run: (jobs, makePayload) => offerAll(jobs, ask, makePayload),
    ask,
    offer: (payload) => void ask(payload).then(count),
    done: () => done,
    close,
  }
}
