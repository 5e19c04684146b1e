/** One job at a time: the time from handing it over to holding its answer, on one thread that is otherwise idle. */
import { payloadOf } from './load.mjs'
import { loadContender } from './not-available.mjs'
import { percentile } from './percentile.mjs'

const warmUpMs = 500
const measuredMs = 1_500
const group = 'one job at a time, round trip'
const peers = ['raw-one', 'raw-one-busy', 'piscina', 'piscina-tuned', 'tinypool', 'workerpool', 'poolifier']

export const groups = [
  {
    name: group,
    parameters: {},
    contenders: ['sidework', ...peers],
    figures: [
      { key: 'p50Us', label: 'µs p50', digits: 1 },
      { key: 'p99Us', label: 'p99', digits: 1 },
    ],
    base: 'raw-one',
  },
]

const goals = { p50Us: 1.15, p99Us: 1.25 }

export const comparisons = peers.flatMap((contender) =>
  Object.keys(goals).map((figure) => ({
    name: `latency, ${figure.slice(0, 3)}, ${contender}`,
    unit: 'µs',
    figure,
    ours: { group, contender: 'sidework' },
    peer: { group, contender },
    goal: contender === 'raw-one' ? { of: 'ratio', sign: '≤', bound: goals[figure] } : undefined,
  })),
)

export async function measure({ contender }) {
  const { start } = await loadContender(contender)
  const pool = await start(1, 'awaited')
  await roundTrips(pool, warmUpMs)
  const tripsUs = await roundTrips(pool, measuredMs)
  await pool.close()
  return { p50Us: percentile(tripsUs, 0.5), p99Us: percentile(tripsUs, 0.99) }
}

async function roundTrips({ ask }, durationMs) {
  const tripsUs = []
  const end = performance.now() + durationMs
  for (let n = 0, now = performance.now(); now < end; n++) {
    const answer = await ask(payloadOf(n))
    const after = performance.now()
    if (answer !== n) throw new Error(`Job ${n} was answered with ${answer}.`)
    tripsUs.push((after - now) * 1_000)
    now = after
  }
  return tripsUs
}
