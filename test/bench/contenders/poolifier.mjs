/** poolifier's fixed pool, as it comes. */
import { fileURLToPath } from 'node:url'
import { FixedThreadPool } from 'poolifier'
import { handlerOf } from '../tasks/pool-handlers.mjs'
import { poolContender } from './pool.mjs'

const script = fileURLToPath(new URL('../tasks/poolifier-handlers.mjs', import.meta.url))

export function start(threads, mode) {
  const pool = new FixedThreadPool(threads, script)
  const handler = handlerOf[mode]
  return poolContender(
    mode,
    (payload) => pool.execute(payload, handler),
    () => pool.destroy(),
  )
}
