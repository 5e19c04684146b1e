/**
 * Jobs that compute for 5 to 2,000 µs on two threads: what share of the work of two bare loops gets done. The loops run
 * before and after in the same process, with the same number of rounds per job.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { loopRate } from './bare-loops.mjs'
import { roundsPerMicrosecond } from './burn-rate.mjs'
import { loadContender } from './not-available.mjs'
import { measureRate } from './rate.mjs'
import { spin } from './spin.mjs'

const threads = 2
const loopMs = 400
const contenders = ['sidework', 'piscina', 'piscina-tuned', 'poolifier']
/** No pool, but what its jobs would have at most. */
const bound = 'raw-paced'
const goals = { 5: 85, 20: 92, 100: 95, 2000: 97 }
const durationsUs = Object.keys(goals).map(Number)

const busyGroup = 'jobs of 2,000 µs, 1 thread, while the main thread works 6 of 10 ms'

const quietGroups = durationsUs.map((jobUs) => ({
  name: groupName(jobUs),
  parameters: { jobUs },
  contenders: [...contenders, bound],
  figures: [
    { key: 'sharePercent', label: '% of bare loops', digits: 1 },
    { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 },
    { key: 'mainPercent', label: 'main thread, % of a core', digits: 0 },
  ],
  base: 'piscina-tuned',
}))

export const groups = [
  ...quietGroups,
  {
    name: busyGroup,
    parameters: { jobUs: 2_000, isBusy: true },
    contenders,
    figures: [{ key: 'sharePercent', label: '% of a bare loop', digits: 0 }],
    base: 'piscina',
  },
]

const quietRows = durationsUs.flatMap((jobUs) =>
  [...contenders.slice(1), bound].map((contender) => ({
    name: `share of bare loops, ${groupName(jobUs)}, ${contender}`,
    unit: '%',
    figure: 'sharePercent',
    ours: { group: groupName(jobUs), contender: 'sidework' },
    peer: { group: groupName(jobUs), contender },
    goal: contender === 'piscina' ? { of: 'ours', sign: '≥', bound: goals[jobUs] } : undefined,
  })),
)

const busyRows = contenders.slice(1).map((contender) => ({
  name: `share of a bare loop, ${busyGroup}, ${contender}`,
  unit: '%',
  figure: 'sharePercent',
  ours: { group: busyGroup, contender: 'sidework' },
  peer: { group: busyGroup, contender },
}))

export const comparisons = [...quietRows, ...busyRows]

function groupName(jobUs) {
  return `jobs of ${jobUs.toLocaleString('en')} µs, ${threads} threads`
}

const measuredMs = 3_000
const keptWaiting = 20

/** The main thread works in stretches of 6 ms, as between requests, and hears of the ends of jobs in between. */
async function whileMainWorks({ contender, rounds }) {
  const { start } = await loadContender(contender)
  const pool = await start(1, 'burning')
  const alone = await loopRate(1, rounds, loopMs)
  await pool.run(500, () => ({ rounds }))
  const doneBefore = pool.done()
  const startedAt = performance.now()
  for (let offered = doneBefore; performance.now() - startedAt < measuredMs;) {
    for (; offered - pool.done() < keptWaiting; offered++) pool.offer({ rounds })
    spin(6_000)
    await delay(4)
  }
  const jobsPerSecond = ((pool.done() - doneBefore) / (performance.now() - startedAt)) * 1_000
  return { sharePercent: (jobsPerSecond / alone) * 100 }
}

export async function measure({ contender, jobUs, isBusy = false }) {
  const rounds = Math.max(1, Math.round(jobUs * roundsPerMicrosecond()))
  if (isBusy) return whileMainWorks({ contender, rounds })
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
