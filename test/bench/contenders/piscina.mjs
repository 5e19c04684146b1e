/** piscina as it comes: one task at a time per thread. */
import { Piscina } from 'piscina'
import { startPool } from './pool.mjs'

export function start(threads, mode) {
  return startPool(Piscina, threads, mode)
}
