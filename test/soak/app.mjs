// The app of the soak, in a process of its own: Express with everything sidework has for it, at the package's public
// name. It tells over IPC what became of each job, since keeping that here would be the leak it looks for, and measures
// itself.
import { readdirSync } from 'node:fs'
import express from 'express'
import { createScheduler } from 'sidework'
import { createCron } from 'sidework/cron'
import { admit, idempotent, jobsRouter, sidework } from 'sidework/express'
import { metrics } from 'sidework/metrics'
import { Turns } from '../fixtures/turns.mjs'
import './tasks.mjs'

const sampleEveryMs = 3_000
const tellEveryMs = 100
const turnMs = 10

const scheduler = createScheduler({
  tasks: new URL('./tasks.mjs', import.meta.url),
  threads: { cpu: 2, io: 1 },
  limits: { smtp: { concurrency: 8, rateLimit: { limit: 100, per: '1s' } } },
  keep: { completed: 60, failed: 30 }, // full before the second fifth of a short run, too
  logger: false,
})

const problems = []
for (const event of ['uncaughtException', 'unhandledRejection', 'warning'])
  process.on(event, (error) => problems.push(`${event}: ${error?.stack ?? error}`))

/** What happened since it was last told: lines `accepted|ID|TASK`, `settled|ID|STATE`, `exited|REASON`. */
let lines = []
scheduler.on('accepted', ({ id, task }) => lines.push(`accepted|${id}|${task}`))
for (const state of ['completed', 'failed', 'cancelled', 'expired'])
  scheduler.on(state, ({ id }) => lines.push(`settled|${id}|${state}`))
for (const event of ['interrupted', 'retrying', 'snoozed', 'deduplicated', 'refused', 'progress'])
  scheduler.on(event, () => lines.push(`${event}||`))
scheduler.on('thread:exited', ({ reason }) => lines.push(`exited||${reason}`))
const telling = setInterval(tell, tellEveryMs)
function tell() {
  if (lines.length > 0) process.send({ lines })
  lines = []
}

const turns = new Turns(turnMs)
const inFolder = (path) => (process.platform === 'linux' ? readdirSync(path).length : 0)
/** Garbage is collected first; that pause is not the scheduler's. */
function sample() {
  turns.leaveOut(globalThis.gc)
  const { rss, heapUsed, external } = process.memoryUsage()
  const resources = process.getActiveResourcesInfo()
  return {
    rssMb: rss / 2 ** 20,
    heapMb: heapUsed / 2 ** 20,
    externalMb: external / 2 ** 20,
    // Connections come and go with the visitors, and count as descriptors below.
    handles: resources.filter((name) => !/TCP|Timeout|Immediate|Request/.test(name)).length,
    timers: resources.filter((name) => name === 'Timeout').length,
    descriptors: inFolder('/proc/self/fd'),
    threads: inFolder('/proc/self/task'),
    unsettled: unsettled(),
  }
}
function unsettled() {
  const { held, scheduled, blocked, ready, running, retrying } = scheduler.stats()
  return held + scheduled + blocked + ready + running + retrying
}

const app = express().use(express.json(), sidework(scheduler))
app.use('/jobs', jobsRouter(scheduler, { authorize: () => true, expose: ['result'] }))
app.get('/metrics', metrics(scheduler))
app.post('/jobs-of/:task', admit(scheduler, { maxWait: '20s' }), (req, res) => {
  res.accepted(req.defer(req.params.task, req.body.payload, req.body.options))
})
app.post('/bytes', (req, res) =>
  res.accepted(req.defer('resize', { bytes: Buffer.alloc(req.body.length, 7) })),
)
app.post('/once', idempotent({ ttl: '5s' }), (req, res) => res.accepted(req.defer('note')))
app.post('/held/:status', (req, res) => {
  req.defer('hash', { rounds: 200 }, { on: 'success' })
  req.defer('mail', { waitMs: 5 }, { on: 'finish' })
  res.sendStatus(Number(req.params.status))
})
app.post('/closure', (req, res) => res.accepted(req.defer(() => undefined, { delay: 10 })))
app.post('/chain', (req, res) => {
  const steps = ['hash', 'flaky', 'resize'].map((task) => ({ task, payload: { rounds: 200, bytes: new Uint8Array(100) } })) // prettier-ignore
  res.accepted(req.defer.chain(steps))
})
app.post('/batch', (req, res) => {
  const payloads = Array.from({ length: req.body.length }, () => ({ waitMs: 2 }))
  res.accepted(req.defer.batch('mail', payloads, { callback: { task: 'note' } }))
})
app.use((error, req, res, next) => {
  problems.push(`${req.method} ${req.url}: ${error.stack}`)
  next(error)
})

await scheduler.ready()
const cron = createCron(scheduler)
cron.every('tick', '1s', 'every-second')
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
const sampling = setInterval(() => process.send({ sample: sample() }), sampleEveryMs)

/** When nothing is left to settle. */
const drained = () =>
  new Promise((resolve) => {
    const look = () => {
      if (unsettled() > 0) return
      for (const state of ['completed', 'failed', 'cancelled', 'expired']) scheduler.off(state, look)
      resolve()
    }
    for (const state of ['completed', 'failed', 'cancelled', 'expired']) scheduler.on(state, look)
    look()
  })

process.once('message', async () => {
  clearInterval(sampling)
  cron.remove('tick')
  await drained()
  const histogram = turns.end()
  const delayMs = (p) => Math.max(0, histogram.percentile(p) / 1000 - turnMs)
  const delays = { p50: delayMs(50), p99: delayMs(99), max: delayMs(100) }
  const { lost } = await scheduler.close()
  await new Promise((resolve) => server.close(resolve))
  clearInterval(telling)
  tell()
  process.send({ end: { delays, problems, lost: lost.length, stats: scheduler.stats() } })
  process.disconnect() // nothing is left that keeps this process alive, or it is a leak
})
