/**
 * What a long queue costs: nanoseconds of one push and one pop with up to a million jobs resident, and bytes of heap
 * per waiting job.
 */
import { loadContender } from './not-available.mjs'
import { memoryPerJob } from './scale-memory.mjs'
import { pushAndPop } from './scale-ready-queue.mjs'

const sizes = [1_000, 10_000, 100_000, 1_000_000]
const largest = sizes.at(-1)
const memoryGroup = 'memory per waiting job, 1,000,000 jobs'

const queueGroups = sizes.map((resident) => ({
  name: queueGroup(resident),
  parameters: { measured: 'push and pop', resident },
  contenders: ['ready-queue', 'heap-js'],
  figures: [{ key: 'pairNs', label: 'ns per push and pop', digits: 0 }],
  base: 'heap-js',
}))

export const groups = [
  ...queueGroups,
  {
    name: memoryGroup,
    parameters: { measured: 'memory', jobs: largest },
    contenders: ['sidework-paused', 'promise-per-job'],
    figures: [{ key: 'bytes', label: 'bytes beyond the JSON', digits: 0 }],
    base: 'promise-per-job',
  },
]

const queue = { unit: 'ns', figure: 'pairNs', ours: ours('ready-queue', queueGroup(largest)) }

export const comparisons = [
  ...sizes.map((resident) => ({
    ...queue,
    name: `${queueGroup(resident)}, heap-js`,
    ours: ours('ready-queue', queueGroup(resident)),
    peer: { group: queueGroup(resident), contender: 'heap-js' },
    goal: resident === largest ? { of: 'ours', sign: '≤', bound: 60 } : undefined,
  })),
  {
    ...queue,
    name: `${queueGroup(largest)}, itself with ${count(sizes[0])}`,
    peer: ours('ready-queue', queueGroup(sizes[0])),
    goal: { of: 'ratio', sign: '≤', bound: 1.5 },
  },
  {
    name: `${memoryGroup}, promise-per-job`,
    unit: 'bytes',
    figure: 'bytes',
    ours: ours('sidework-paused', memoryGroup),
    peer: { group: memoryGroup, contender: 'promise-per-job' },
    goal: { of: 'ours', sign: '≤', bound: 200 },
  },
]

function queueGroup(resident) {
  return `push and pop, ${count(resident)} resident`
}

function ours(contender, group) {
  return { group, contender }
}

function count(number) {
  return number.toLocaleString('en')
}

export async function measure({ contender, measured, resident, jobs }) {
  const loaded = await loadContender(contender)
  return measured === 'memory' ? memoryPerJob(loaded, jobs) : pushAndPop(loaded, resident)
}
