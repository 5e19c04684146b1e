import { readFileSync } from 'node:fs'

/**
 * Nanoseconds the main thread has spent on a CPU; `undefined` where there is no Linux `/proc`. Unlike
 * `process.cpuUsage()` it leaves out the worker threads, the compiler and the garbage collector's helpers.
 * Source: the first field of `/proc/<pid>/task/<tid>/schedstat`, kernel documentation `sched-stats`.
 */
export function mainThreadCpuNs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return undefined // no such file outside Linux: the figure is left out there
  }
}
