/**
 * A million things that are due at random whole milliseconds between 20 and 23 seconds from the start: main-thread CPU of
 * adding them and of taking them out when due, and how many timers there are meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import v8 from 'node:v8'
import { mainThreadCpuNs } from './main-thread-cpu.mjs'
import { usedBytes } from './used-bytes.mjs'

const firstDueMs = 20_000
const spanMs = 3_000
const warmUpCount = 20_000
const longestMs = 60_000
const Timeout = setTimeout(() => {}, 0).constructor

export async function delayed({ start }, count) {
  let seen = 0
  const queue = start(() => void seen++)
  const due = queue.due ?? (() => seen)
  for (let n = 0; n < warmUpCount; n++) queue.add(recordOf(n), 1 + (n % 50))
  await sleep(200)
  if (due() !== warmUpCount) throw new Error(`${due()} of ${warmUpCount} are due.`)

  const delays = Uint16Array.from({ length: count }, () => firstDueMs + Math.floor(Math.random() * spanMs))
  const records = Array.from({ length: count }, (_, n) => recordOf(n))
  const bytesBefore = await usedBytes()
  const addNs = cpuOf(() => {
    for (let n = 0; n < count; n++) queue.add(records[n], delays[n])
  })
  const added = { timers: timers(), bytes: ((await usedBytes()) - bytesBefore) / count }
  if (due() !== warmUpCount) throw new Error('Some were due before all were added: the figures would mix.')
  const cpuBefore = mainThreadCpuNs()
  const deadline = performance.now() + longestMs
  while (due() < warmUpCount + count && performance.now() < deadline) await sleep(100)
  if (due() !== warmUpCount + count) throw new Error(`${due() - warmUpCount} of ${count} became due.`)
  const takeNs = mainThreadCpuNs() - cpuBefore
  return { ...added, addNs: addNs / count, takeNs: takeNs / count, bothNs: (addNs + takeNs) / count }
}

function recordOf(seq) {
  return { seq, place: 0 }
}

function cpuOf(work) {
  const before = mainThreadCpuNs()
  work()
  return mainThreadCpuNs() - before
}

/**
 * Those that keep the process alive, else those on the heap too: of a million V8 takes longer to find them there than they
 * take to be due.
 */
function timers() {
  const active = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  return active > 1_000 ? active : v8.queryObjects(Timeout, { format: 'count' })
}
