/**
 * What a job costs the main thread as something grows: jobs that wait, ordering keys, tasks, threads. Draws the curves
 * into growth.svg beside this file; flat is what they should be.
 */
import { writeFile } from 'node:fs/promises'
import { createScheduler } from 'sidework'
import { values, median } from './compare.mjs'
import { drawCurves } from './curves.mjs'
import { payloadOf } from './load.mjs'
import { mainThreadCpuNs } from './main-thread-cpu.mjs'

const picture = new URL('./growth.svg', import.meta.url)
const warmUpJobs = 200_000
const measuredJobs = 200_000
/** Where each job is a message there and back, fewer tell as much. */
const longestMs = 8_000
const modules = new URL('./tasks/many.mjs', import.meta.url)

/** What grows, from its first to its last value; `most` is how much dearer a job may be at the last. */
const axes = [
  { axis: 'queued', title: 'jobs that wait', steps: [1_000, 10_000, 100_000, 1_000_000], most: 1.5 },
  { axis: 'keys', title: 'ordering keys', steps: [1, 10, 100, 1_000, 10_000, 100_000], most: 1.5 },
  { axis: 'tasks', title: 'tasks', steps: [1, 10, 100, 1_000, 10_000], most: 1.5 },
  { axis: 'threads', title: 'threads', steps: [1, 2, 4, 8], most: 2 },
]

export const groups = axes.flatMap(({ axis, steps }) =>
  steps.map((value) => ({
    name: groupName(axis, value),
    parameters: { axis, value },
    contenders: ['sidework'],
    figures: [{ key: 'cpuUs', label: 'main-thread CPU µs/job', digits: 2 }],
    base: 'sidework',
  })),
)

export const comparisons = axes.map(({ axis, steps, most }) => ({
  name: `${groupName(axis, steps.at(-1))}, itself with ${steps[0].toLocaleString('en')}`,
  unit: 'µs/job',
  figure: 'cpuUs',
  ours: { group: groupName(axis, steps.at(-1)), contender: 'sidework' },
  peer: { group: groupName(axis, steps[0]), contender: 'sidework' },
  goal: { of: 'ratio', sign: '≤', bound: most },
}))

function groupName(axis, value) {
  return `growth, ${axis}: ${value.toLocaleString('en')}`
}

export async function measure({ axis, value }) {
  const grown = { queued: 1_000, keys: 0, tasks: 1, threads: 1, [axis]: value }
  process.env.BENCH_TASKS = `${grown.tasks}`
  const { many } = await import(modules.href)
  const scheduler = createScheduler({
    tasks: modules,
    threads: { cpu: grown.threads, nice: 0 },
    logger: false,
    maxQueued: 2_000_000,
    maxQueuedBytes: 2 ** 30,
  })
  await scheduler.ready()
  const optionsOf =
    grown.keys === 0 ? () => undefined : (n) => ({ orderingKey: `customer:${n % grown.keys}` })
  // Keys and tasks are met again and again only if enough jobs wait at once for each to appear.
  const waiting = Math.max(grown.queued, grown.keys, grown.tasks)
  const deferOne = (n) => scheduler.defer(many[n % many.length], payloadOf(n), optionsOf(n))
  await fillAndDrain(scheduler, warmUpJobs, waiting, deferOne)
  const before = mainThreadCpuNs()
  const jobs = await fillAndDrain(scheduler, measuredJobs, waiting, deferOne)
  const cpuUs = (mainThreadCpuNs() - before) / 1_000 / jobs
  await scheduler.close()
  return { cpuUs }
}

/** Lets so many jobs wait, then run, until at least `jobs` have or eight seconds are over; @returns how many */
async function fillAndDrain(scheduler, jobs, waiting, deferOne) {
  const deadline = performance.now() + longestMs
  let done = 0
  while (done < jobs && (done === 0 || performance.now() < deadline)) {
    scheduler.pause()
    for (let n = 0; n < waiting; n++) deferOne(n)
    scheduler.resume()
    await scheduler.idle()
    done += waiting
  }
  return done
}

/** Draws what was measured, if all of it was. */
export async function afterwards(results, note) {
  const curves = axes.map(({ axis, title, steps }) => ({
    title,
    points: steps.map((value) => pointOf(results, axis, value)),
  }))
  if (curves.some(({ points }) => points.includes(undefined)))
    return note('Not all of it was measured: growth.svg is left as it is.\n')
  await writeFile(picture, drawCurves(curves, 'main-thread CPU per job, µs'))
  note('growth.svg is drawn.\n')
}

function pointOf(results, axis, value) {
  const result = results.find(({ group }) => group === groupName(axis, value))
  const measured = result === undefined ? [] : values(result, 'cpuUs')
  if (measured.length === 0) return undefined
  return { x: value, y: median(measured), low: Math.min(...measured), high: Math.max(...measured) }
}
