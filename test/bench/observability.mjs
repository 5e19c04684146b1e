/**
 * What it costs to be seen: main-thread CPU per no-op job with metrics (scraped once a second) and logs (pino at `info`)
 * on and off. Nobody awaits a job; one thread.
 */
import { loadContender } from './not-available.mjs'
import { measureRate } from './rate.mjs'

const figures = [
  { key: 'mainCpuUs', label: 'main-thread CPU µs/job', digits: 3 },
  { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 },
]

const shown = {
  off: { metrics: false, logs: false },
  metrics: { metrics: true, logs: false },
  'metrics and logs': { metrics: true, logs: true },
}
const group = 'no-op jobs, seen or not'

export const groups = [
  { name: group, parameters: { threads: 1 }, contenders: Object.keys(shown), figures, base: 'off' },
]

export const comparisons = ['metrics', 'metrics and logs'].map((contender) => ({
  name: `main-thread CPU, ${contender}, off`,
  unit: 'µs/job',
  figure: 'mainCpuUs',
  ours: { group, contender },
  peer: { group, contender: 'off' },
  goal: { of: 'ratio', sign: '≤', bound: 1.1 },
}))

export async function measure({ contender, threads }) {
  const { start } = await loadContender('sidework-observed')
  return measureRate(await start(threads, shown[contender]))
}
