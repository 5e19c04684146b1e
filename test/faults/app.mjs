// An app that uses only the public API, in a process of its own. `POST /defer` is its whole business; the other routes
// do to it from the inside what a client cannot, and measure.
import { performance } from 'node:perf_hooks'
import express from 'express'
import { createScheduler, defineTask } from 'sidework'
import { jobsRouter, sidework } from 'sidework/express'
import { Turns } from '../fixtures/turns.mjs'

const options = JSON.parse(process.env.OPTIONS)
const scheduler = createScheduler({
  tasks: new URL('./tasks.mjs', import.meta.url),
  logger: false,
  ...options,
})
const [warnings, uncaught] = [[], []]
process.on('warning', ({ name }) => warnings.push(name))
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => uncaught.push(String(error)))
await import('./tasks.mjs')
const settled = ['completed', 'failed', 'cancelled', 'expired']
/** Any job settles. */
const settling = () =>
  new Promise((resolve) => {
    const done = () => {
      for (const name of settled) scheduler.off(name, done)
      resolve()
    }
    for (const name of settled) scheduler.on(name, done)
  })
const turn = () => new Promise((resolve) => setImmediate(resolve))
const rssMb = () => Math.round(process.memoryUsage().rss / 2 ** 20)
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

const app = express().use(express.json({ limit: '10mb' }), sidework(scheduler))
app.use('/jobs', jobsRouter(scheduler, { expose: ['result'] }))
app.post('/defer', (req, res) => {
  const { task, payload, options } = req.body
  const start = performance.now()
  try {
    const job = req.defer(task, payload, options)
    res.status(202).json({ id: job.id })
  } catch (error) {
    const ms = performance.now() - start
    res.status(error.status ?? 400).set(error.headers ?? {}).json({ code: error.code, path: error.path, ms }) // prettier-ignore
  }
})
app.get('/result/:id', async (req, res) => {
  const { id } = req.params
  while (scheduler.job(id)?.settledAt === undefined) await settling()
  res.json(scheduler.job(id))
})
app.get('/health', (req, res) => res.json({ stats: scheduler.stats(), warnings, uncaught, rssMb: rssMb() }))

const faults = {
  /** Cancels, in this order. */
  cancel({ ids }) {
    return { cancelled: ids.map((id) => scheduler.cancel(id)) }
  },
  /** A million defers in one tick. */
  async burst({ count }) {
    const before = rssMb()
    const codes = {}
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0 // nobody reads 900,000 stacks, and taking them is most of what the burst costs
    const started = performance.now()
    for (let n = 0; n < count; n++) {
      try {
        scheduler.defer('noop', n)
      } catch ({ code }) {
        codes[code] = (codes[code] ?? 0) + 1
      }
    }
    const burstMs = performance.now() - started
    Error.stackTraceLimit = stackTraceLimit
    const fullMb = rssMb()
    const turns = new Turns(2)
    await scheduler.idle()
    await turn()
    const p99Ms = turns.end().percentile(99) / 1000
    return { codes, burstMs, p99Ms, growthMb: Math.max(fullMb, rssMb()) - before, stats: scheduler.stats() }
  },
  /** One payload that is far too large. */
  huge({ bytes }) {
    const text = Buffer.alloc(bytes, 'x').toString('latin1')
    text.charCodeAt(bytes - 1)
    const before = rssMb()
    let code
    try {
      scheduler.defer('noop', text)
    } catch (error) {
      code = error.code
    }
    return { code, growthMb: rssMb() - before, stats: scheduler.stats() }
  },
  /** Many delayed jobs, in an order that is not that of their times. */
  async delayed({ count, withinMs }) {
    const order = []
    const late = defineTask('late', (n) => void order.push(n), { lane: 'main' })
    const before = timers()
    const start = Date.now() + 1500
    const jobs = Array.from({ length: count }, (_, n) =>
      scheduler.defer(late, n, { runAt: start + ((n * 7919) % withinMs) }),
    )
    const at = jobs.map((job) => job.snapshot().runAt)
    const grown = timers() - before
    const early = jobs.filter((job) => job.state !== 'scheduled').length
    await jobs[at.indexOf(Math.max(...at))].result()
    await scheduler.idle()
    let wrong = 0
    for (let index = 1; index < order.length; index++) {
      const [a, b] = [order[index - 1], order[index]]
      if (at[a] > at[b] || (at[a] === at[b] && a > b)) wrong++
    }
    return { grown, early, ran: order.length, wrong }
  },
}
app.post('/fault/:name', async (req, res) => res.json(await faults[req.params.name](req.body)))

await scheduler.ready()
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('disconnect', () => process.exit())
