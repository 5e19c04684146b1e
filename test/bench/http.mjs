/**
 * What deferring costs a request: the synchronous call itself, and requests per second of an Express route that answers
 * 202 with and without it. The load comes from `wrk` in a process of its own.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { payloadOf } from './load.mjs'
import { loadContender, NotAvailable } from './not-available.mjs'

const callGroup = 'the synchronous call, small payload'
const requestGroup = 'POST → 202'

export const groups = [
  {
    name: callGroup,
    parameters: { measured: 'call' },
    contenders: ['http-defer', 'http-piscina'],
    figures: [
      { key: 'p50Us', label: 'µs p50', digits: 2 },
      { key: 'p99Us', label: 'µs p99', digits: 2 },
    ],
    base: 'http-piscina',
  },
  {
    name: requestGroup,
    parameters: { measured: 'requests' },
    contenders: ['http-defer', 'http-plain', 'http-noop', 'http-bullmq'],
    figures: [{ key: 'perSecond', label: 'requests/s', digits: 0 }],
    base: 'http-plain',
  },
]

const call = { unit: 'µs', figure: 'p50Us', ours: { group: callGroup, contender: 'http-defer' } }
const peer = { group: callGroup, contender: 'http-piscina' }

export const comparisons = [
  { ...call, name: 'S14 req.defer', peer, goal: { of: 'ours', sign: '≤', bound: 1 } },
  { ...call, name: 'S14 req.defer, piscina.run', peer, goal: { of: 'ratio', sign: '≤', bound: 0.25 } },
  {
    name: 'S15 POST → 202, without deferring',
    unit: 'requests/s',
    figure: 'perSecond',
    ours: { group: requestGroup, contender: 'http-defer' },
    peer: { group: requestGroup, contender: 'http-plain' },
    goal: { of: 'ratio', sign: '≥', bound: 0.95 },
  },
  {
    name: 'POST → 202, an empty middleware',
    unit: 'requests/s',
    figure: 'perSecond',
    ours: { group: requestGroup, contender: 'http-defer' },
    peer: { group: requestGroup, contender: 'http-noop' },
  },
  {
    name: 'S15 POST → 202, BullMQ',
    unit: 'requests/s',
    figure: 'perSecond',
    ours: { group: requestGroup, contender: 'http-defer' },
    peer: { group: requestGroup, contender: 'http-bullmq' },
  },
]

export async function measure({ contender, measured }) {
  const loaded = await loadContender(contender)
  return measured === 'call' ? measureCall(await loaded.makeCall()) : measureRequests(loaded)
}

const [batches, perBatch, warmUpBatches] = [2_000, 50, 500]

/**
 * One call is shorter than what the clock tells, so fifty are timed together. Their jobs have run before the next fifty: a
 * request finds a pool that has room.
 */
async function measureCall({ run, rest }) {
  const times = []
  for (let batch = 0, n = 0; batch < warmUpBatches + batches; batch++) {
    const payloads = Array.from({ length: perBatch }, () => payloadOf(n++))
    const start = process.hrtime.bigint()
    for (let at = 0; at < perBatch; at++) run(payloads[at])
    const ns = Number(process.hrtime.bigint() - start)
    if (batch >= warmUpBatches) times.push(ns / perBatch / 1000)
    await rest()
    await nextTurn()
  }
  times.sort((a, b) => a - b)
  return { p50Us: times[times.length >> 1], p99Us: times[Math.floor(times.length * 0.99)] }
}

const connections = 32
const script = fileURLToPath(new URL('./http-post.lua', import.meta.url))

async function measureRequests({ makeApp }) {
  const { app, completed, idle } = await makeApp(true)
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`
  await wrk(url, 1)
  const perSecond = await wrk(url, 3)
  await idle()
  const done = completed()
  server.close()
  return { perSecond, done }
}

async function wrk(url, seconds) {
  const argv = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url]
  const { stdout } = await promisify(execFile)('wrk', argv).catch((error) => {
    throw error.code === 'ENOENT' ? new NotAvailable('wrk is not installed.') : error
  })
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`Requests failed:\n${stdout}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
}
