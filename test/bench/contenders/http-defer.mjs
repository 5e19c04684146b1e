/** An Express app whose route defers, with sidework's defaults but without a logger, and ones that do not defer. */
import express from 'express'
import { createScheduler } from 'sidework'
import { sidework } from 'sidework/express'
import { noop } from '../tasks/noop.mjs'

const tasks = new URL('../tasks/noop.mjs', import.meta.url)

/** @param middleware of an app that does not defer */
export async function makeApp(defers, middleware = undefined) {
  const scheduler = createScheduler({ tasks, threads: 1, logger: false })
  await scheduler.ready()
  const app = express().disable('x-powered-by').use(express.json())
  if (defers) app.use(sidework(scheduler))
  else if (middleware !== undefined) app.use(middleware)
  app.post('/', (req, res) => {
    const id = defers ? req.defer(noop, { userId: 'user_123', n: req.body.n }).id : 'none-none-none-none-none'
    res.status(202).json({ id })
  })
  return { app, completed: () => scheduler.stats().completed, idle: () => scheduler.idle() }
}

/** `req.defer` of one request, as its handler has it; and what to wait for until no job is left. */
export async function makeCall() {
  const scheduler = createScheduler({ tasks, threads: 1, logger: false })
  await scheduler.ready()
  const req = { method: 'POST', url: '/', headers: { host: 'app.example' } }
  sidework(scheduler)(req, {}, () => {})
  return { run: (payload) => req.defer(noop, payload), rest: () => scheduler.idle() }
}
