/**
 * 10,000 schedules: what each costs in memory and time, what they cost while nothing is due, and how late runs come when
 * all are due every second.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { validateDetailed } from 'node-cron'
import { mainThreadCpuNs } from './main-thread-cpu.mjs'
import { loadContender } from './not-available.mjs'
import { usedBytes } from './used-bytes.mjs'

const count = 10_000
const idleMs = 2_000
const firingSeconds = 5
const restGroup = '10,000 schedules at rest'
const firingGroup = '10,000 schedules, each every second'
const contenders = ['cron-sidework', 'cron-node-cron', 'cron-croner']

export const groups = [
  {
    name: restGroup,
    parameters: { measured: 'rest' },
    contenders,
    figures: [
      { key: 'bytes', label: 'bytes each', digits: 0 },
      { key: 'us', label: 'µs each', digits: 1 },
      { key: 'beyondParsingUs', label: 'beyond parsing', digits: 1 },
      { key: 'timers', label: 'timers', digits: 0 },
      { key: 'idleCpuPercent', label: 'idle CPU %', digits: 2 },
    ],
    base: 'cron-node-cron',
  },
  {
    name: firingGroup,
    parameters: { measured: 'firing' },
    contenders,
    figures: [
      { key: 'p50Ms', label: 'ms late p50', digits: 0 },
      { key: 'p99Ms', label: 'p99', digits: 0 },
      { key: 'missedPercent', label: 'missed %', digits: 2 },
      { key: 'cpuPercent', label: 'main-thread CPU %', digits: 1 },
    ],
    base: 'cron-node-cron',
  },
]

export const comparisons = [
  row(restGroup, 'bytes', 'bytes', 400),
  row(restGroup, 'beyondParsingUs', 'µs', 10),
  row(restGroup, 'timers', 'timers', 1),
  row(firingGroup, 'p99Ms', 'ms', 60),
  row(firingGroup, 'missedPercent', '%', 0),
]

function row(group, figure, unit, bound) {
  return {
    name: `${group}, ${figure}`,
    unit,
    figure,
    ours: { group, contender: 'cron-sidework' },
    peer: { group, contender: 'cron-node-cron' },
    goal: { of: 'ours', sign: '≤', bound },
  }
}

export async function measure({ contender, measured }) {
  const { start } = await loadContender(contender)
  return measured === 'rest' ? atRest(start) : firing(start)
}

/** Each with an expression of its own, none due for months. */
async function atRest(start) {
  const month = ((new Date().getMonth() + 6) % 12) + 1
  const expressions = Array.from(
    { length: count },
    (_, n) => `${n % 60} ${Math.floor(n / 60) % 60} ${Math.floor(n / 3600)} 7 ${month} *`,
  )
  const warm = start()
  for (const [n, expression] of expressions.slice(0, 500).entries()) warm.schedule(`w${n}`, expression, noop)
  await warm.stop()
  const parsingUs = timeParsing(expressions)
  const cron = start()
  const before = await usedBytes()
  const timersBefore = timers()
  const startedAt = performance.now()
  for (const [n, expression] of expressions.entries()) cron.schedule(`s${n}`, expression, noop)
  const us = ((performance.now() - startedAt) / count) * 1_000
  const bytes = ((await usedBytes()) - before) / count
  const timersOurs = timers() - timersBefore
  const cpuBefore = mainThreadCpuNs()
  await sleep(idleMs)
  const idleCpuPercent = cpuPercent(cpuBefore, idleMs)
  await cron.stop()
  return { bytes, us, beyondParsingUs: us - parsingUs, timers: timersOurs, idleCpuPercent }
}

/** What node-cron's parser alone takes per expression, once each and as warm as for the schedules that follow. */
function timeParsing(expressions) {
  const startedAt = performance.now()
  for (const expression of expressions) if (!validateDetailed(expression).valid) throw new Error(expression)
  return ((performance.now() - startedAt) / count) * 1_000
}

/** Lateness of each callback against the second it is for; a second without a callback is a miss. */
async function firing(start) {
  const lateness = []
  let begin = Infinity
  let end = -Infinity
  const onRun = () => {
    const now = Date.now()
    if (now >= begin && now < end) lateness.push(now % 1_000)
  }
  const cron = start()
  for (let n = 0; n < count; n++) cron.schedule(`s${n}`, '* * * * * *', onRun)
  // Two seconds to warm up; from the next full second on every callback counts.
  await sleep(2_000)
  begin = Math.ceil((Date.now() + 100) / 1_000) * 1_000
  end = begin + firingSeconds * 1_000
  const cpuBefore = mainThreadCpuNs()
  await sleep(end - Date.now())
  const percent = cpuPercent(cpuBefore, firingSeconds * 1_000)
  await cron.stop()
  lateness.sort((a, b) => a - b)
  const at = (share) => lateness[Math.floor((lateness.length - 1) * share)]
  const expected = count * firingSeconds
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    missedPercent: (Math.max(0, expected - lateness.length) / expected) * 100,
    cpuPercent: percent,
  }
}

function noop() {}

function timers() {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

function cpuPercent(cpuBefore, elapsedMs) {
  const cpuAfter = mainThreadCpuNs()
  return cpuBefore === undefined ? undefined : ((cpuAfter - cpuBefore) / 1e6 / elapsedMs) * 100
}
