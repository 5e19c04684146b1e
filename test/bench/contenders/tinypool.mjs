/** tinypool as it comes. */
import { Tinypool } from 'tinypool'
import { startPool } from './pool.mjs'

export function start(threads, mode) {
  return startPool(Tinypool, threads, mode)
}
