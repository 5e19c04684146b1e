/**
 * Jobs that compute for 5 to 2,000 µs on two threads: what share of the work of two bare loops gets done. The loops run
 * before and after in the same process, with the same number of rounds per job.
 */
import { loopRate } from './bare-loops.mjs'
import { roundsPerMicrosecond } from './burn-rate.mjs'
import { loadContender } from './not-available.mjs'
import { measureRate } from './rate.mjs'

const threads = 2
const loopMs = 400
const contenders = ['sidework', 'piscina', 'piscina-tuned', 'poolifier']
const goals = { 5: 85, 20: 92, 100: 95, 2000: 97 }
const durationsUs = Object.keys(goals).map(Number)

export const groups = durationsUs.map((jobUs) => ({
  name: groupName(jobUs),
  parameters: { jobUs },
  contenders,
  figures: [
    { key: 'sharePercent', label: '% of bare loops', digits: 1 },
    { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 },
    { key: 'mainPercent', label: 'main thread, % of a core', digits: 0 },
  ],
  base: 'piscina-tuned',
}))

export const comparisons = durationsUs.flatMap((jobUs) =>
  contenders.slice(1).map((contender) => ({
    name: `share of bare loops, ${groupName(jobUs)}, ${contender}`,
    unit: '%',
    figure: 'sharePercent',
    ours: { group: groupName(jobUs), contender: 'sidework' },
    peer: { group: groupName(jobUs), contender },
    goal: contender === 'piscina' ? { of: 'ours', sign: '≥', bound: goals[jobUs] } : undefined,
  })),
)

function groupName(jobUs) {
  return `jobs of ${jobUs.toLocaleString('en')} µs, ${threads} threads`
}

export async function measure({ contender, jobUs }) {
  const rounds = Math.max(1, Math.round(jobUs * roundsPerMicrosecond()))
  const { start } = await loadContender(contender)
  const pool = await start(threads, 'burning')
  const before = await loopRate(threads, rounds, loopMs)
  const { jobsPerSecond, mainCpuUs = NaN } = await measureRate({
    run: (count) => pool.run(count, () => ({ rounds })),
    close: () => {},
  })
  const after = await loopRate(threads, rounds, loopMs)
  await pool.close()
  return {
    jobsPerSecond,
    sharePercent: (jobsPerSecond / ((before + after) / 2)) * 100,
    mainPercent: (jobsPerSecond * mainCpuUs) / 10_000,
  }
}
