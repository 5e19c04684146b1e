/** Compile-time checks of 'sidework/express': every line below must compile, every marked one must not. */
import express from 'express'
import { createServer, type IncomingMessage } from 'node:http'
import { closeOnSignal, jobsRouter, sidework } from '../../src/express/index.js'
import type { Job, Scheduler } from '../../src/scheduler.js'
import { defineTask } from '../../src/task/define-task.js'

const resize = defineTask('types.resize', async ({ file }: { file: string }) => ({ width: file.length }))
const tick = defineTask('types.tick', async () => 1)

export function check(scheduler: Scheduler) {
  const app = express()
  app.use(express.json(), sidework(scheduler), sidework(scheduler, { jobsPath: '/api/jobs' }))
  app.post('/', (req, res) => {
    const job: Job<{ width: number }> = req.defer(resize, { file: 'a' }, { priority: 'high', delay: '5m' })
    const inline: Job<number> = req.defer(async () => 1, { attempts: 1 })
    const nothing: Job<number> = req.defer(tick)
    const named: Job = req.defer('types.resize', { file: 'a' })
    const { defer } = req
    defer(resize, { file: 'a' })
    // @ts-expect-error -- the payload's type is the task's
    req.defer(resize, { file: 1 })
    // @ts-expect-error -- a payload is needed
    req.defer(resize)
    // @ts-expect-error -- no such option
    req.defer(resize, { file: 'a' }, { prio: 1 })
    res.accepted(job)
    res.accepted(inline, { message: 'Soon.', at: 1 })
    res.accepted(nothing, { nested: { id: 1 } })
    // @ts-expect-error -- the id is the job's
    res.accepted(named, { id: 'mine' })
    // @ts-expect-error -- fields, not a list
    res.accepted(named, 'text')
  })
  app.use('/jobs', jobsRouter(scheduler))
  app.use(
    '/jobs',
    jobsRouter(scheduler, { authorize: (req, job) => req.headers['x-user'] === job.request?.id }),
  )
  app.use('/jobs', jobsRouter(scheduler, { authorize: async (req: express.Request) => req.ip === '::1' }))
  app.use(
    '/jobs',
    jobsRouter(scheduler, { authorize: (req: IncomingMessage) => req.url !== '', expose: ['result'] }),
  )
  // @ts-expect-error -- payloads are never shown
  jobsRouter(scheduler, { expose: ['payload'] })
  // @ts-expect-error -- authorize answers true or false
  jobsRouter(scheduler, { authorize: () => 'yes' })

  const plain = sidework(scheduler)
  createServer((req, res) => plain(req, res, () => res.end()))
  const uninstall: () => void = closeOnSignal(app.listen(3000), scheduler, {
    timeout: '10s',
    onClosed: async (report) => console.log(report.lost.length),
  })
  // @ts-expect-error -- a duration has a unit
  closeOnSignal(createServer(), scheduler, { timeout: 'soon' })
  return uninstall
}
