/** What a request knows reaches every attempt of its jobs, and no other's; on the built package, with real threads. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Writable } from 'node:stream'
import express from 'express'
import pino, { type Logger } from 'pino'
import { createScheduler, defineTask, type Job } from 'sidework'
import { sidework } from 'sidework/express'
import { expect, it, onTestFinished } from 'vitest'
import { serve } from '../express/serving.js'
import { onCpu, onIo } from '../fixtures/tasks/request-context.mjs'
import '../fixtures/tasks/rough.mjs'

interface Line {
  readonly msg: string
  readonly job?: string
  readonly attempt?: number
  readonly reqId?: string
  readonly tenant?: string
  readonly n?: number
  readonly bound?: string
}

/** A logger and the lines it wrote. */
function loggerToMemory() {
  const lines: Line[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
      done()
    },
  })
  return { lines, logger: pino({ level: 'debug' }, sink) }
}

it('of 1,000 interleaved requests every log line of every attempt, from threads too, bears its own', async () => {
  const store = new AsyncLocalStorage<string>()
  const storesSeen: string[] = []
  const onMain = defineTask(
    'context.main',
    async ({ n }: { n: number }, { attempt, log, request: from, yieldNow }) => {
      await yieldNow()
      log.info({ n, bound: from?.bindings?.['tenant'] }, 'handler')
      storesSeen.push(`${n}:${attempt}:${store.getStore()}`)
      if (attempt === 1) throw new Error('once more')
    },
    { lane: 'main', backoff: { type: 'fixed', delay: 0 } },
  )
  const { lines, logger } = loggerToMemory()
  const scheduler = createScheduler({
    tasks: new URL('../fixtures/tasks/request-context.mjs', import.meta.url),
    threads: { cpu: 1, io: 1 },
    logger,
  })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const app = express()
  app.use((req, _res, next) => {
    const n = String(req.query['n'])
    const log = logger.child({ tenant: `tenant-${n}`, req: { headers: { authorization: 'secret' } } })
    Object.assign(req, { id: `req-${n}`, log } satisfies { id: string; log: Logger })
    store.run(`store-${n}`, next)
  })
  app.use(express.json(), sidework(scheduler))
  const tasks = [onCpu, onIo, onMain]
  const numberOf = new Map<string, number>()
  const jobs: Job[] = []
  app.post('/', (req, res) => {
    const n = Number(req.query['n'])
    const job = req.defer(tasks[n % 3] ?? expect.unreachable(), { n })
    numberOf.set(job.id, n)
    jobs.push(job)
    res.accepted(job)
  })
  const { url } = await serve(app)
  const pending = Array.from({ length: 1000 }, (_, n) => n)
  const client = async () => {
    for (let n = pending.shift(); n !== undefined; n = pending.shift()) {
      expect((await fetch(`${url}/?n=${n}`, { method: 'POST', body: '' })).status).toBe(202)
    }
  }
  await Promise.all(Array.from({ length: 50 }, client))
  await Promise.all(jobs.map((job) => job.result()))
  await scheduler.close()

  const ofJobs = lines.filter(({ job }) => job !== undefined)
  const seen = new Map<string, number>()
  for (const { job = '', msg, attempt, reqId, tenant, n, bound } of ofJobs) {
    const own = numberOf.get(job)
    expect([reqId, tenant]).toEqual([`req-${own}`, `tenant-${own}`])
    if (msg === 'handler') expect([n, bound]).toEqual([own, `tenant-${own}`])
    if (msg.includes('will be retried')) continue // of such lines a flood is cut
    const what = `${own} ${attempt} ${msg}`
    seen.set(what, (seen.get(what) ?? 0) + 1)
  }
  const expected = [...Array(1000).keys()].flatMap((n) => [
    `${n} 1 job started`,
    `${n} 1 handler`,
    `${n} 2 job started`,
    `${n} 2 handler`,
    `${n} 2 job completed`,
  ])
  expect([...seen.keys()].sort()).toEqual(expected.sort())
  expect(new Set(seen.values())).toEqual(new Set([1]))
  expect(JSON.stringify(lines.filter(({ msg }) => msg === 'handler'))).not.toContain('secret')

  const onMainLane = [...Array(1000).keys()].filter((n) => n % 3 === 2)
  const stores = onMainLane.flatMap((n) => [`${n}:1:store-${n}`, `${n}:2:store-${n}`])
  expect(storesSeen.sort()).toEqual(stores.sort())
})

it('a main-lane job runs in the context in which it was deferred, whoever woke the lane', async () => {
  const store = new AsyncLocalStorage<string>()
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const app = express().use(sidework(scheduler))
  const seen: (string | undefined)[] = []
  app.post('/', (req, res) => {
    const see = () => seen.push(store.getStore())
    store.run('request', () => {
      req.defer(see)
      scheduler.defer(see)
      store.exit(() => req.defer(see))
    })
    store.run('another', () => req.defer(see))
    res.end()
  })
  const { url } = await serve(app)
  await fetch(url, { method: 'POST' })
  await scheduler.idle()
  expect(seen).toEqual(['request', 'request', undefined, 'another'])
})

it('a child runs in the context of its parent, and a settled job lets go of it', async () => {
  const store = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const child = defineTask('context.child', () => void seen.push(store.getStore()), { lane: 'main' })
  const parent = defineTask('context.parent', async (_p, { defer }) => void (await defer(child)), {
    lane: 'main',
  })
  const scheduler = createScheduler({ logger: false })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  scheduler.defer(child) // makes it known
  await scheduler.idle()
  const app = express().use(sidework(scheduler))
  let doomed: Job | undefined
  app.post('/', (req, res) => {
    store.run('request', () => {
      req.defer(parent)
      doomed = req.defer(
        () => {
          seen.push(store.getStore())
          throw new Error('no')
        },
        { attempts: 1 },
      )
    })
    res.end()
  })
  const { url } = await serve(app)
  await fetch(url, { method: 'POST' })
  await scheduler.idle()
  expect(seen.sort()).toEqual(['request', 'request', undefined])
  scheduler.retry(doomed?.id ?? '')
  await scheduler.idle()
  expect(seen.at(-1)).toBeUndefined()
  expect(seen).toHaveLength(4)
})

it('what is told of a job is told in the context of no other request, whichever started the thread or the timer', async () => {
  const store = new AsyncLocalStorage<string>()
  const scheduler = createScheduler({
    tasks: new URL('../fixtures/tasks/rough.mjs', import.meta.url),
    threads: { cpu: 1, io: 1 },
    logger: false,
  })
  onTestFinished(() => void scheduler.close({ timeout: 0 }))
  const seen = new Map<string, (string | undefined)[]>()
  const hear = ({ id }: { id: string }): void =>
    void seen.set(id, [...(seen.get(id) ?? []), store.getStore()])
  scheduler.on('started', hear).on('completed', hear)
  for (const name of ['value', 'io-value']) {
    await store.run('the first', () => scheduler.defer(name, 1, { delay: 5 }).result())
    await scheduler.defer(name, 1, { id: name, delay: 5 }).result()
    expect(seen.get(name)).toEqual([undefined, undefined])
  }
  await store.run('the first', () => scheduler.defer(() => undefined, { delay: 5 }).result())
  await scheduler.defer(() => undefined, { id: 'closure', delay: 5 }).result()
  expect(seen.get('closure')).toEqual([undefined, undefined])
})
