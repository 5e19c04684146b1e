/** Async no-op closures on the main thread: jobs per second, and what one costs it. */
import { awaitEach, offerInTurns } from './load.mjs'
import { loadContender } from './not-available.mjs'
import { measureRate, rateFigures } from './rate.mjs'

const contenders = ['inline-sidework', 'inline-fastq', 'inline-p-queue', 'inline-bare']
const modes = ['nobody awaits', 'awaited']

export const groups = modes.map((mode) => ({
  name: groupName(mode),
  parameters: { mode },
  contenders,
  figures: rateFigures,
  base: 'inline-fastq',
}))

const goals = {
  'nobody awaits': { 'inline-fastq': 10, 'inline-bare': 0.8 },
  awaited: { 'inline-fastq': 3 },
}

export const comparisons = modes.flatMap((mode) =>
  contenders.slice(1).map((contender) => ({
    name: `${groupName(mode)}, ${contender}`,
    unit: 'jobs/s',
    figure: 'jobsPerSecond',
    ours: { group: groupName(mode), contender: 'inline-sidework' },
    peer: { group: groupName(mode), contender },
    goal: goals[mode][contender] && { of: 'ratio', sign: '≥', bound: goals[mode][contender] },
  })),
)

function groupName(mode) {
  return `async no-op closures, ${mode}`
}

export async function measure({ contender, mode }) {
  const { start } = await loadContender(contender)
  const lane = start()
  return measureRate({
    run: (count) =>
      mode === 'awaited' ? awaitEach(count, ({ n }) => lane.ask(async () => n)) : pushAll(lane, count),
    close: () => lane.close(),
  })
}

/** Counted by the closures themselves, which costs every contender the same. */
async function pushAll(lane, count) {
  let done = 0
  let offered = 0
  let whenDone = () => {}
  const runOne = ({ n }) => {
    if (n < 0 || ++done === count) whenDone()
  }
  await offerInTurns(
    count,
    (payload) => {
      offered++
      lane.push(async () => runOne(payload))
    },
    () => offered - done,
  )
  if (done < count) await new Promise((resolve) => (whenDone = resolve))
}
