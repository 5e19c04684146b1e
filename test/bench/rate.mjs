/** Jobs per second, and the main thread's CPU per job, of anything that can run a number of jobs. */
import { mainThreadCpuNs } from './main-thread-cpu.mjs'

const warmUpMs = 800
const measuredMs = 900

export const rateFigures = [
  { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 },
  { key: 'mainCpuUs', label: 'main-thread CPU µs/job', digits: 2 },
]

/** Warms the pool up, then measures about a second of it. */
export async function measureRate(pool) {
  const rate = await warmUp(pool)
  const measured = await timed(pool, Math.ceil((rate * measuredMs) / 1000))
  await pool.close()
  return measured
}

/** Doubles the number of jobs until they take long enough to be compiled and counted; answers jobs per second. */
async function warmUp(pool) {
  for (let count = 2_000; ; count *= 2) {
    const { jobsPerSecond } = await timed(pool, count)
    if ((count / jobsPerSecond) * 1000 >= warmUpMs) return jobsPerSecond
  }
}

/** Runs so many jobs. */
export async function timed(pool, count) {
  const cpuBefore = mainThreadCpuNs()
  const startedAt = performance.now()
  await pool.run(count)
  const elapsedMs = performance.now() - startedAt
  const cpuAfter = mainThreadCpuNs()
  return {
    jobsPerSecond: (count / elapsedMs) * 1000,
    mainCpuUs: cpuBefore === undefined ? undefined : (cpuAfter - cpuBefore) / 1000 / count,
  }
}
