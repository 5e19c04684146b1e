/**
 * What waiting for one another costs: a fan-out of 50,000 steps between a first and a last one, a batch of 50,000, a chain
 * of 1,000, 1,000 diamonds of four steps and 1,000 batches of nothing but a callback, against the same number of plain
 * jobs. Time is from the call to the last end, on one thread.
 */
import { mainThreadCpuNs } from './main-thread-cpu.mjs'
import { loadContender } from './not-available.mjs'
import { usedBytes } from './used-bytes.mjs'

const shapes = { 'fan-out': 50_000, batch: 50_000, chain: 1_000, diamonds: 4_000, 'empty batches': 1_000 }

const figures = [
  { key: 'us', label: 'µs per step', digits: 2 },
  { key: 'cpuUs', label: 'main-thread CPU µs', digits: 2 },
  { key: 'bytes', label: 'bytes per waiting step', digits: 0 },
]

export const groups = Object.entries(shapes).map(([shape, steps]) => ({
  name: groupOf(shape),
  parameters: { shape, steps },
  contenders: ['flow-sidework', 'flow-plain-jobs'],
  figures,
  base: 'flow-plain-jobs',
}))

export const comparisons = Object.keys(shapes).flatMap((shape) => [
  row(shape, 'cpuUs', 'µs'),
  row(shape, 'bytes', 'bytes'),
])

function row(shape, figure, unit) {
  const group = groupOf(shape)
  return {
    name: `${group}, ${figure}, plain jobs`,
    unit,
    figure,
    ours: { group, contender: 'flow-sidework' },
    peer: { group, contender: 'flow-plain-jobs' },
    goal: undefined,
  }
}

function groupOf(shape) {
  return `${shape}, ${shapes[shape].toLocaleString('en')} steps`
}

export async function measure({ contender, shape, steps }) {
  const { start } = await loadContender(contender)
  const { scheduler, fill } = await start(steps)
  await fill(shape, Math.min(steps, 2_000)) // warm-up
  await scheduler.idle()
  scheduler.pause()
  const before = await usedBytes()
  const kept = fill(shape, steps)
  const bytes = ((await usedBytes()) - before) / steps
  if (kept === undefined) throw new Error('nothing was accepted')
  scheduler.resume()
  await scheduler.idle()
  const cpuBefore = mainThreadCpuNs()
  const startedAt = performance.now()
  fill(shape, steps)
  await scheduler.idle()
  const us = ((performance.now() - startedAt) * 1_000) / steps
  const cpuNs = cpuBefore === undefined ? undefined : mainThreadCpuNs() - cpuBefore
  await scheduler.close({ timeout: 0 })
  return { us, bytes, ...(cpuNs === undefined ? undefined : { cpuUs: cpuNs / 1_000 / steps }) }
}
