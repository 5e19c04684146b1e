/**
 * The five hot paths the guard watches: `node guard-paths.mjs <path> <jobs>` warms one up, then runs so many jobs of it
 * and prints `{ cpuNs, yardstickNs }`: what they cost the main thread, and what a fixed piece of JavaScript costs it
 * right before and after, so that a slower machine is not taken for slower code.
 */
import { writeSync } from 'node:fs'
import { mainThreadCpuNs } from './main-thread-cpu.mjs'
import { loadContender } from './not-available.mjs'

const warmUpJobs = 200_000

const paths = {
  'fire-and-forget': () => onThread('fire-and-forget'),
  awaited: () => onThread('awaited'),
  'main lane': () => mainLane(),
  'ordering keys': () => keyed(),
  'delayed, waiting': () => delayed(),
}

export const pathNames = Object.keys(paths)

async function onThread(mode) {
  const { start } = await loadContender('sidework')
  const { run } = await start(1, mode)
  return run
}

async function mainLane() {
  const { start } = await loadContender('inline-sidework')
  const lane = start()
  const { awaitEach } = await import('./load.mjs')
  return (jobs) => awaitEach(jobs, ({ n }) => lane.ask(async () => n))
}

async function keyed() {
  const { start } = await loadContender('keys-sidework')
  const keyOf = (n) => `customer:${n % 1_000}`
  const lot = 20_000
  const runLot = await start(lot, keyOf)
  return async (jobs) => {
    for (let done = 0; done < jobs; done += lot) await runLot(() => {})
  }
}

/** Only accepting them: none is ever due. */
async function delayed() {
  const { start } = await loadContender('delayed-sidework')
  const queue = start()
  return async (jobs) => {
    for (let seq = 0; seq < jobs; seq++) queue.add({ seq }, 3_600_000 + ((seq * 7_919) % 100_000))
  }
}

/** Objects, strings, a map and closures: what the scheduler's code is made of. */
function yardstick() {
  const map = new Map()
  let sum = 0
  const before = mainThreadCpuNs()
  for (let n = 0; n < 400_000; n++) {
    const record = { n, text: JSON.stringify({ n }), next: undefined }
    map.set(n & 1023, record)
    sum += map.get((n * 7) & 1023)?.text.length ?? 0
  }
  if (sum === 0) throw new Error('The yardstick has done nothing.')
  return mainThreadCpuNs() - before
}

if (process.argv[1] === import.meta.filename) await main(process.argv[2], Number(process.argv[3]))

async function main(path, jobs) {
  const run = await paths[path]()
  await run(warmUpJobs)
  yardstick()
  const yardstickBefore = yardstick()
  const before = mainThreadCpuNs()
  await run(jobs)
  const cpuNs = mainThreadCpuNs() - before
  const yardstickNs = (yardstickBefore + yardstick()) / 2
  writeSync(1, `\n${JSON.stringify({ cpuNs, yardstickNs })}\n`)
  process.exit()
}
