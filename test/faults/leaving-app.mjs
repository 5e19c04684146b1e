/** A server with `closeOnSignal`, brought into the state named by its argument. Tells its parent when it is in it, and how closing ended. */
import express from 'express'
import { createScheduler, defineTask } from 'sidework'
import { closeOnSignal, sidework } from 'sidework/express'
import './tasks.mjs'

const [state] = process.argv.slice(2)
const tell = (event, fields) => process.send({ event, ...fields })
const there = () => tell('there')
const scheduler = createScheduler({
  tasks: new URL('./tasks.mjs', import.meta.url),
  threads: 1,
  logger: false,
  limits: { narrow: { rateLimit: { limit: 1, per: '1h' } } },
})
const quick = defineTask('quick', () => 'done', { lane: 'main' })
const narrow = defineTask('narrow', () => 'done', { lane: 'main', limits: 'narrow' })
const endless = defineTask('endless', () => new Promise(() => {}), { lane: 'main', killAfter: 100 })
const bad = defineTask('bad', () => Promise.reject(new Error('no')), { lane: 'main' })
const app = express().use(sidework(scheduler))
app.post('/held', (req) => {
  req.defer(quick, undefined, { on: 'success' })
  there()
})

const enter = {
  idle: there,
  'threads starting': () => {
    scheduler.defer('canary', 'x')
    there()
  },
  running: () => {
    scheduler.once('started', there)
    scheduler.defer(endless)
  },
  'running on threads': () => {
    let started = 0
    scheduler.on('started', () => void (++started === 2 && there()))
    scheduler.defer('stuck', 'an endless loop', { timeout: false })
    scheduler.defer('minds-nothing')
  },
  retrying: () => {
    scheduler.once('retrying', there)
    scheduler.defer(bad)
  },
  'rate-limited': () => {
    scheduler.once('completed', there)
    scheduler.deferMany([{ task: narrow }, { task: narrow }])
  },
  paused: () => {
    scheduler.pause()
    scheduler.defer(quick)
    there()
  },
  'held jobs': (port) => fetch(`http://127.0.0.1:${port}/held`, { method: 'POST' }).catch(() => {}),
  'already closing': () => {
    scheduler.once('started', () => {
      scheduler.close({ timeout: 500 })
      there()
    })
    scheduler.defer(endless)
  },
}

const server = app.listen(0, '127.0.0.1', () => enter[state](server.address().port))
closeOnSignal(server, scheduler, {
  timeout: '1s',
  onClosed: ({ lost }) => {
    let refusal
    try {
      scheduler.defer(quick)
    } catch ({ code }) {
      refusal = code
    }
    tell('closed', { refusal, lost: lost.map((job) => `${job.task} ${job.state}`) })
  },
})
