import express, { type ErrorRequestHandler } from 'express'
import request from 'supertest'
import { expect, it } from 'vitest'
import { createCron } from '../../src/cron/index.js'
import {
  admit,
  closeOnSignal,
  idempotent,
  jobsRouter,
  sidework,
  type RequestDefer,
} from '../../src/express/index.js'
import { metrics } from '../../src/metrics/index.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler } from './make-scheduler.js'

const build = defineTask('line.build', (_order: unknown) => undefined, { lane: 'main' })
const deep = { a: { b: { c: { d: { e: { f: { g: { at: new Date(0) } } } } } } } }

it.each<[string, (defer: RequestDefer) => unknown]>([
  ['req.defer', (defer) => defer(build, deep)],
  ['req.defer of a held job', (defer) => defer(build, deep, { on: 'success' })],
  ['req.defer.flow', (defer) => defer.flow({ a: { task: build, payload: deep } })],
  ['req.defer.chain', (defer) => defer.chain([{ task: build, payload: deep }], { on: 'finish' })],
  ['req.defer.batch', (defer) => defer.batch(build, [deep])],
])('the stack of a refused %s begins at the line that called it', async (_name, call) => {
  const app = express().use(sidework(makeScheduler()))
  app.get('/', (req, res) => void res.json(call(req.defer)))
  const frames: string[] = []
  const told: ErrorRequestHandler = (error: Error, _req, res, _next) => {
    frames.push(...(error.stack ?? '').split('\n').filter((line) => line.startsWith('    at ')))
    res.status(500).send(error.message)
  }
  const { text } = await request(app.use(told)).get('/').expect(500)
  expect(text).toContain("Task 'line.build': payload")
  expect(frames[0]).toContain('refused-line.test.ts')
})

const none = {} as never

it.each<[string, () => unknown]>([
  ['sidework', () => sidework(none)],
  ['jobsRouter', () => jobsRouter(none)],
  ['closeOnSignal', () => closeOnSignal(none, makeScheduler())],
  ['admit', () => admit(makeScheduler(), {})],
  ['idempotent', () => idempotent(none)],
  ['createCron', () => createCron(none)],
  ['metrics', () => metrics(none)],
])('the stack of a refused %s begins at the line that called it', (_name, call) => {
  expect(call).toThrow(
    expect.objectContaining({
      code: 'ERR_SIDEWORK_OPTION',
      stack: expect.stringMatching(/^[^\n]*\n +at [^\n]*refused-line\.test\.ts/),
    }),
  )
})

it('the stack of a refused res.accepted begins at the line that called it', async () => {
  const app = express().use(sidework(makeScheduler()))
  app.get('/', (_req, res) => res.accepted(none))
  const told: ErrorRequestHandler = (error: Error, _req, res, _next) => void res.status(500).send(error.stack)
  const { text } = await request(app.use(told)).get('/').expect(500)
  expect(text).toMatch(/^[^\n]*\n +at [^\n]*refused-line\.test\.ts/)
})
