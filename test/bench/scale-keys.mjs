/** Jobs on many ordering keys: main-thread CPU per job from entering its line to leaving it after all before it. */
import { mainThreadCpuNs } from './main-thread-cpu.mjs'

const warmUpJobs = 50_000

export async function onKeys({ start }, count, keys) {
  await cpuNsPerJob(start, warmUpJobs, keys)
  return { keyedNs: await cpuNsPerJob(start, count, keys) }
}

/** @throws Error when a job is missing or overtook another of its key */
async function cpuNsPerJob(start, count, keys) {
  // Spread so that neighbours have different keys; 7,919 is a prime.
  const keyNumber = (seq) => (seq * 7_919) % keys
  const runAll = await start(count, (seq) => `customer:${keyNumber(seq)}`)
  const latest = new Int32Array(keys).fill(-1)
  let ran = 0
  const before = mainThreadCpuNs()
  await runAll((seq) => {
    const key = keyNumber(seq)
    if (seq <= latest[key]) throw new Error(`Job ${seq} ran after job ${latest[key]} of its key.`)
    latest[key] = seq
    ran++
  })
  const after = mainThreadCpuNs()
  if (ran !== count) throw new Error(`${ran} of ${count} jobs ran.`)
  return (after - before) / count
}
