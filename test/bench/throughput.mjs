/**
 * No-op jobs with a small JSON payload on 1 and 2 threads: jobs per second, and what one job costs the main thread,
 * which is the better witness on a shared machine.
 */
import { loadContender } from './not-available.mjs'
import { measureRate, rateFigures } from './rate.mjs'

const contenders = [
  'sidework',
  'piscina',
  'piscina-tuned',
  'tinypool',
  'workerpool',
  'poolifier',
  'raw',
  'raw-kept',
]
const cases = ['fire-and-forget', 'awaited'].flatMap((mode) => [1, 2].map((threads) => ({ mode, threads })))

export const groups = cases.map((parameters) => ({
  name: groupName(parameters),
  parameters,
  contenders,
  figures: rateFigures,
  base: 'piscina-tuned',
}))

const rateGoals = {
  'fire-and-forget': { 'piscina-tuned': 12, piscina: 40, raw: 0.5 },
  awaited: { 'piscina-tuned': 5, raw: 0.7 },
}
const cpuGoals = { 'fire-and-forget': 0.7, awaited: 1.5 }

export const comparisons = cases.flatMap((parameters) => {
  const group = groupName(parameters)
  const ours = { group, contender: 'sidework' }
  const rates = contenders.slice(1).map((contender) => ({
    name: `throughput, ${group}, ${contender}`,
    unit: 'jobs/s',
    figure: 'jobsPerSecond',
    ours,
    peer: { group, contender },
    goal: atLeast(rateGoals[parameters.mode][contender]),
  }))
  const cpu = {
    name: `main-thread CPU, ${group}, piscina-tuned`,
    unit: 'µs/job',
    figure: 'mainCpuUs',
    ours,
    peer: { group, contender: 'piscina-tuned' },
    goal: { of: 'ours', sign: '≤', bound: cpuGoals[parameters.mode] },
  }
  return [...rates, cpu]
})

function groupName({ mode, threads }) {
  return `${mode}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`
}

function atLeast(bound) {
  return bound === undefined ? undefined : { of: 'ratio', sign: '≥', bound }
}

export async function measure({ contender, threads, mode }) {
  const { start } = await loadContender(contender)
  return measureRate(await start(threads, mode))
}
