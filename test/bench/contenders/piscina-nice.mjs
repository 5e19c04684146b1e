/** piscina as it comes, its threads as nice as sidework's are by default. */
import { Piscina } from 'piscina'
import { startPool } from './pool.mjs'

export function start(threads, mode) {
  return startPool(Piscina, threads, mode, { niceIncrement: 10 })
}
