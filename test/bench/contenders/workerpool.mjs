/** workerpool on threads, as it comes: one task at a time per thread. */
import { fileURLToPath } from 'node:url'
import workerpool from 'workerpool'
import { handlerOf } from '../tasks/pool-handlers.mjs'
import { poolContender } from './pool.mjs'

const script = fileURLToPath(new URL('../tasks/workerpool-handlers.mjs', import.meta.url))

export function start(threads, mode) {
  const pool = workerpool.pool(script, { workerType: 'thread', minWorkers: threads, maxWorkers: threads })
  const handler = handlerOf[mode]
  return poolContender(
    mode,
    (payload) => pool.exec(handler, [payload]),
    () => pool.terminate(true),
  )
}
