/**
 * Heap and external memory per waiting job, after a forced collection, less the characters of the payloads' JSON. What
 * else a string takes (its header, its padding) counts as the queue's.
 */
import { payloadOf } from './load.mjs'
import { usedBytes } from './used-bytes.mjs'

const warmUpJobs = 1_000

export async function memoryPerJob({ fill }, jobs) {
  const queue = await fill()
  let jsonBytes = 0
  for (let n = 0; n < warmUpJobs; n++) queue.add(payloadOf(n))
  const before = await usedBytes()
  for (let n = 0; n < jobs; n++) {
    const payload = payloadOf(n)
    jsonBytes += JSON.stringify(payload).length
    queue.add(payload)
  }
  const after = await usedBytes()
  if (queue.size() !== warmUpJobs + jobs)
    throw new Error(`${queue.size()} jobs wait instead of ${warmUpJobs + jobs}.`)
  return { bytes: (after - before - jsonBytes) / jobs }
}
