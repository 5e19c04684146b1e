/** A server as a user writes it, on the built package. Tells its parent what happens; `go` lets its slow request end. */
import express from 'express'
import { createScheduler, defineTask } from 'sidework'
import { closeOnSignal, sidework } from 'sidework/express'
import { sleep } from './signal-tasks.mjs'

const [timeout] = process.argv.slice(2)
const tell = (event, fields) => process.send({ event, ...fields })
const scheduler = createScheduler({ tasks: new URL('./signal-tasks.mjs', import.meta.url), logger: false })
const note = defineTask('note', ({ text }) => tell('noted', { text }), { lane: 'main' })
for (const name of ['started', 'closing']) scheduler.on(name, (event) => tell(name, { id: event.id }))

const app = express().use(sidework(scheduler))
app.post('/slow', (req, res) => {
  tell('in flight')
  process.once('message', () => {
    const jobs = [req.defer(note, { text: 'on the main thread' }), req.defer(sleep, { forMs: 1 })]
    res.json(jobs.map((job) => job.id))
  })
})
app.post('/long', (req, res) => res.json(req.defer(sleep, { forMs: 10_000 }, { id: 'ten seconds' }).id))
app.post('/quick', (req, res) => res.json(req.defer(sleep, { forMs: 0 }).id))

const server = app.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }))
closeOnSignal(server, scheduler, { timeout, onClosed: (report) => tell('closed', { report }) })
for (const name of ['SIGTERM', 'SIGINT']) process.once(name, () => tell('signalled'))
