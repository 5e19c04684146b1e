/**
 * Memory over ten million no-op jobs that nobody awaits: what is used after each million and a forced collection, and
 * how much the main thread allocates per job. The first two million fill what is kept on purpose and compile the code.
 *
 * What was allocated is read off the heap while nothing is collected: the young generation is made large enough for the
 * jobs of one reading, and a reading during which the collector ran anyway is thrown away.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { loadContender } from './not-available.mjs'
import { usedBytes } from './used-bytes.mjs'

export const flags = ['--min-semi-space-size=128', '--max-semi-space-size=128']

const million = 1_000_000
const millions = 10
const settledAfterMillions = 2
const jobsPerReading = 50_000
const readings = 8
const group = '10,000,000 no-op jobs, 1 thread'

export const groups = [
  {
    name: group,
    parameters: {},
    contenders: ['sidework'],
    figures: [
      { key: 'growthKb', label: 'KB grown over the last 8,000,000', digits: 0 },
      { key: 'rssGrowthMb', label: 'MB of RSS grown', digits: 1 },
      { key: 'usedMb', label: 'MB used at the end', digits: 1 },
      { key: 'allocatedBytes', label: 'bytes allocated per job', digits: 0 },
    ],
    base: 'sidework',
  },
]

export const comparisons = [row('growthKb', 'KB', 1_000), row('allocatedBytes', 'bytes', undefined)]

function row(figure, unit, bound) {
  const side = { group, contender: 'sidework' }
  return {
    name: `${group}, ${figure}`,
    unit,
    figure,
    ours: side,
    peer: side,
    goal: bound && { of: 'ours', sign: '≤', bound },
  }
}

export async function measure({ contender }) {
  const { start } = await loadContender(contender)
  const pool = await start(1, 'fire-and-forget')
  const used = []
  const resident = []
  for (let n = 0; n < millions; n++) {
    await pool.run(million)
    used.push(await usedBytes())
    resident.push(process.memoryUsage.rss())
  }
  const allocatedBytes = await allocatedPerJob(pool)
  await pool.close()
  const grown = (figures) => figures.at(-1) - figures[settledAfterMillions - 1]
  return {
    growthKb: grown(used) / 1_000,
    rssGrowthMb: grown(resident) / 1e6,
    usedMb: used.at(-1) / 1e6,
    allocatedBytes,
  }
}

/** The payload is in it. @throws Error when the collector ran during every reading */
async function allocatedPerJob(pool) {
  let collections = 0
  new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] })
  const perJob = []
  for (let n = 0; n < readings; n++) {
    globalThis.gc()
    await nextTurn()
    await nextTurn()
    const collectionsBefore = collections
    const before = process.memoryUsage().heapUsed
    await pool.run(jobsPerReading)
    const after = process.memoryUsage().heapUsed
    await nextTurn()
    await nextTurn()
    if (collections === collectionsBefore) perJob.push((after - before) / jobsPerReading)
  }
  if (perJob.length === 0) throw new Error('The collector ran during every reading.')
  return Math.min(...perJob)
}
