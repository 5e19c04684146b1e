import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Heap and external memory after a forced collection: twice, with a turn between, because what finalizers let go is only
 * collected the second time.
 */
export async function usedBytes() {
  globalThis.gc()
  await nextTurn()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
