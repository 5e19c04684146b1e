/**
 * What background work does to the people who wait for a page: an Express app and its background jobs in this process,
 * the load generator in another. The jobs run on threads, or, in the last table, as closures on the main thread.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import express from 'express'
import { roundsPerMicrosecond } from './burn-rate.mjs'
import { payloadOf } from './load.mjs'
import { loadContender } from './not-available.mjs'
import { percentile } from './percentile.mjs'
import { burn } from './tasks/burn.mjs'

const generator = new URL('./http-load.mjs', import.meta.url)
const warmUpMs = 1_000
const measuredMs = 4_000
const connections = 32
const noopsPerSecond = 30_000
const burnUs = 10_000
const mainLaneJobs = 5_000
const mainLaneJobUs = 2_000

const saturated = 'saturated, 30,000 no-op jobs/s offered'
const noopLatency = '300 requests/s, 30,000 no-op jobs/s offered'
const burning = (perSecond) => `${perSecond.toLocaleString('en')} requests/s, 10 ms jobs on every core`
const mainLane = '300 requests/s, 5,000 jobs of 2 ms on the main thread'
const burningRates = [300, 1_500]

const latencyFigures = [
  { key: 'p50Ms', label: 'ms p50', digits: 2 },
  { key: 'p90Ms', label: 'p90', digits: 2 },
  { key: 'p99Ms', label: 'p99', digits: 2 },
]
const onThreads = ['nothing', 'sidework', 'sidework-nice', 'piscina', 'piscina-tuned', 'workerpool']

export const groups = [
  {
    name: saturated,
    parameters: { load: { kind: 'closed', connections }, background: 'noops' },
    contenders: [...onThreads, 'raw-kept'],
    figures: [
      { key: 'requestsPerSecond', label: 'requests/s', digits: 0 },
      { key: 'donePercent', label: 'jobs done %', digits: 1 },
      { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 },
    ],
    base: 'nothing',
  },
  {
    name: noopLatency,
    parameters: { load: { kind: 'open', perSecond: 300 }, background: 'noops' },
    contenders: onThreads,
    figures: [...latencyFigures, { key: 'donePercent', label: 'jobs done %', digits: 1 }],
    base: 'nothing',
  },
  ...burningRates.map((perSecond) => ({
    name: burning(perSecond),
    parameters: { load: { kind: 'open', perSecond }, background: 'burning' },
    contenders: ['nothing', 'sidework-nice', 'sidework', 'piscina', 'piscina-nice', 'loops-nice'],
    figures: [...latencyFigures, { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 }],
    base: 'nothing',
  })),
  {
    name: mainLane,
    parameters: { load: { kind: 'open', perSecond: 300 }, background: 'closures' },
    contenders: ['nothing', 'inline-sidework', 'inline-fastq', 'inline-p-queue'],
    figures: [...latencyFigures, { key: 'jobsPerSecond', label: 'jobs/s', digits: 0 }],
    base: 'nothing',
  },
]

export const comparisons = [
  row(saturated, 'sidework', 'requestsPerSecond', 'nothing', { of: 'ratio', sign: '≥', bound: 0.93 }),
  row(saturated, 'raw-kept', 'requestsPerSecond', 'nothing'),
  row(saturated, 'sidework', 'donePercent', 'piscina-tuned', { of: 'ours', sign: '≥', bound: 99 }),
  row(saturated, 'sidework', 'jobsPerSecond', 'piscina'),
  row(noopLatency, 'sidework', 'p99Ms', 'nothing', { of: 'ratio', sign: '≤', bound: 1.3 }),
  row(noopLatency, 'sidework', 'p99Ms', 'piscina-tuned', { of: 'ratio', sign: '≤', bound: 0.25 }),
  ...burningRates.flatMap((perSecond) => [
    row(burning(perSecond), 'sidework-nice', 'p90Ms', 'nothing', { of: 'ratio', sign: '≤', bound: 1.4 }),
    row(burning(perSecond), 'sidework-nice', 'p99Ms', 'nothing', { of: 'ratio', sign: '≤', bound: 1.6 }),
    row(burning(perSecond), 'loops-nice', 'p90Ms', 'nothing'),
    row(burning(perSecond), 'loops-nice', 'p99Ms', 'nothing'),
    row(burning(perSecond), 'sidework-nice', 'p99Ms', 'piscina', { of: 'ratio', sign: '≤', bound: 1 }),
    row(burning(perSecond), 'sidework-nice', 'jobsPerSecond', 'piscina', {
      of: 'ratio',
      sign: '≥',
      bound: 0.97,
    }),
  ]),
  row(mainLane, 'inline-sidework', 'p99Ms', 'nothing'),
  row(mainLane, 'inline-sidework', 'p99Ms', 'inline-fastq'),
]

function row(group, contender, figure, peer, goal) {
  const unit = { requestsPerSecond: 'requests/s', jobsPerSecond: 'jobs/s', donePercent: '%' }[figure] ?? 'ms'
  const name = `${group}, ${figure}, ${contender} against ${peer}`
  return { name, unit, figure, ours: { group, contender }, peer: { group, contender: peer }, goal }
}

export async function measure({ contender, load, background }) {
  const pool = await startBackground(await loadContender(contender), background)
  const app = express()
  app.get('/', (req, res) => void res.json({ hello: 'world' }))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  pool.begin()
  const child = fork(generator)
  child.send({ port: server.address().port, warmUpMs, measuredMs, ...load })
  await once(child, 'message')
  const before = pool.counts()
  const startedAt = performance.now()
  const [{ done, timesMs }] = await once(child, 'message')
  const seconds = (performance.now() - startedAt) / 1_000
  const after = pool.counts()
  return {
    requestsPerSecond: done / (measuredMs / 1_000),
    p50Ms: percentile(timesMs, 0.5),
    p90Ms: percentile(timesMs, 0.9),
    p99Ms: percentile(timesMs, 0.99),
    ...backgroundFigures(before, after, seconds),
  }
}

/** None of a server with nothing beside its requests. */
function backgroundFigures(before, after, seconds) {
  if (after.done === 0 && after.offered === 0) return {}
  const done = after.done - before.done
  return {
    jobsPerSecond: done / seconds,
    donePercent: (done / (after.offered - before.offered)) * 100,
  }
}

async function startBackground({ start }, background) {
  if (start === undefined) return { begin() {}, counts: () => ({ offered: 0, done: 0 }) }
  switch (background) {
    case 'noops':
      return steadyNoops(await start(1, 'fire-and-forget'))
    case 'burning':
      return alwaysBurning(await start(availableParallelism(), 'burning'))
    case 'closures':
      return closures(start())
  }
}

/** As many no-op jobs as are due by the clock, offered on a timer, whether or not the pool keeps up. */
function steadyNoops({ offer, done }) {
  let offered = 0
  return {
    begin() {
      const startedAt = performance.now()
      setInterval(() => {
        const due = ((performance.now() - startedAt) / 1_000) * noopsPerSecond
        while (offered < due) offer(payloadOf(offered++))
      }, 1)
    },
    counts: () => ({ offered, done: done() }),
  }
}

/** Never fewer than 200 ms of work waiting per core. */
function alwaysBurning({ offer, done }) {
  const waiting = availableParallelism() * 20
  const rounds = Math.round(burnUs * roundsPerMicrosecond())
  let offered = 0
  return {
    begin() {
      setInterval(() => {
        while (offered - done() < waiting) {
          offer({ rounds })
          offered++
        }
      }, 20)
    },
    counts: () => ({ offered, done: done() }),
  }
}

/** All at once, as a careless application would, when the first requests have compiled the app. */
function closures({ push }) {
  const rounds = Math.round(mainLaneJobUs * roundsPerMicrosecond())
  let done = 0
  const run = async () => {
    burn({ rounds })
    done++
  }
  return {
    begin() {
      setTimeout(() => {
        for (let n = 0; n < mainLaneJobs; n++) push(run)
      }, warmUpMs)
    },
    counts: () => ({ offered: mainLaneJobs, done }),
  }
}
