/**
 * What a long queue costs: nanoseconds of one push and one pop with up to a million jobs resident, bytes of heap per
 * waiting job, and a million jobs that wait for their time or for others of their key.
 */
import { loadContender } from './not-available.mjs'
import { delayed } from './scale-delayed.mjs'
import { onKeys } from './scale-keys.mjs'
import { memoryPerJob } from './scale-memory.mjs'
import { pushAndPop } from './scale-ready-queue.mjs'

const sizes = [1_000, 10_000, 100_000, 1_000_000]
const largest = sizes.at(-1)
const memoryGroup = 'memory per waiting job, 1,000,000 jobs'
const delayedGroup = '1,000,000 delayed jobs'
const keysGroup = '1,000,000 jobs on 100,000 ordering keys'
const wholeWayGroup = '100,000 jobs on 10,000 ordering keys, the whole way'

const queueGroups = sizes.map((resident) => ({
  name: queueGroup(resident),
  parameters: { measured: 'push and pop', resident },
  contenders: ['ready-queue', 'bare-rings', 'heap-js', 'p-queue-priority'],
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
  {
    name: delayedGroup,
    parameters: { measured: 'delayed', jobs: largest },
    contenders: ['delayed-agenda', 'delayed-sidework', 'delayed-timeouts'],
    figures: [
      { key: 'addNs', label: 'CPU ns to add', digits: 0 },
      { key: 'takeNs', label: 'to take when due', digits: 0 },
      { key: 'bytes', label: 'bytes', digits: 0 },
      { key: 'timers', label: 'timers', digits: 0 },
    ],
    base: 'delayed-timeouts',
  },
  {
    name: keysGroup,
    parameters: { measured: 'keys', jobs: largest, keys: 100_000 },
    contenders: ['keys-lines', 'keys-promise-chains'],
    figures: [{ key: 'keyedNs', label: 'CPU ns per job', digits: 0 }],
    base: 'keys-promise-chains',
  },
  {
    name: wholeWayGroup,
    parameters: { measured: 'keys', jobs: 100_000, keys: 10_000 },
    contenders: ['keys-sidework'],
    figures: [{ key: 'keyedNs', label: 'CPU ns per job', digits: 0 }],
    base: 'keys-sidework',
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
  ...sizes.map((resident) => ({
    ...queue,
    name: `${queueGroup(resident)}, p-queue`,
    ours: ours('ready-queue', queueGroup(resident)),
    peer: { group: queueGroup(resident), contender: 'p-queue-priority' },
  })),
  ...sizes.map((resident) => ({
    ...queue,
    name: `${queueGroup(resident)}, bare rings`,
    ours: ours('ready-queue', queueGroup(resident)),
    peer: { group: queueGroup(resident), contender: 'bare-rings' },
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
  ...[
    ['addNs', 'ns', 80],
    ['bothNs', 'ns', undefined],
    ['bytes', 'bytes', undefined],
    ['timers', 'timers', 1],
  ].map(([figure, unit, bound]) => ({
    name: `${delayedGroup}, ${figure}, setTimeout`,
    unit,
    figure,
    ours: ours('delayed-agenda', delayedGroup),
    peer: { group: delayedGroup, contender: 'delayed-timeouts' },
    goal: bound && { of: 'ours', sign: '≤', bound },
  })),
  {
    name: `${keysGroup}, promise chains`,
    unit: 'ns',
    figure: 'keyedNs',
    ours: ours('keys-lines', keysGroup),
    peer: { group: keysGroup, contender: 'keys-promise-chains' },
    goal: { of: 'ours', sign: '≤', bound: 1_000 },
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

export async function measure({ contender, measured, resident, jobs, keys }) {
  const loaded = await loadContender(contender)
  switch (measured) {
    case 'memory':
      return memoryPerJob(loaded, jobs)
    case 'delayed':
      return delayed(loaded, jobs)
    case 'keys':
      return onKeys(loaded, jobs, keys)
    case 'push and pop':
      return pushAndPop(loaded, resident)
  }
}
