/** HTTP and real threads together, on the built package. */
import { once } from 'node:events'
import express from 'express'
import request from 'supertest'
import { createScheduler } from 'sidework'
import { jobsRouter, sidework } from 'sidework/express'
import { afterAll, expect, it } from 'vitest'
import { follow, serve } from '../express/serving.js'
import { measure, patient, requestOf } from '../fixtures/tasks/http.mjs'

const scheduler = createScheduler({
  tasks: new URL('../fixtures/tasks/http.mjs', import.meta.url),
  threads: 1,
  logger: false,
})
afterAll(() => scheduler.close({ timeout: 0 }))

const app = express().use(sidework(scheduler))
app.use('/jobs', jobsRouter(scheduler, { expose: ['result'], authorize: () => true }))
app.post('/request', (req, res) => res.accepted(req.defer(requestOf)))
app.post('/photo', express.raw({ type: '*/*', limit: '2mb' }), (req, res) =>
  res.accepted(req.defer(measure, { photo: req.body })),
)
app.post('/patient', (req, res) => res.accepted(req.defer(patient)))

/** The last thing a job's event stream tells. */
async function endOf(url: string, events: string) {
  const client = await follow(url + events)
  return (await client.rest()).at(-1)
}

it('the request id and trace context of a request reach the handler on its thread', async () => {
  const { url } = await serve(app)
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = { 'X-Request-Id': 'req-1', traceparent }
  const { body } = await request(url).post('/request').set(headers).expect(202)
  expect((await endOf(url, body.links.events))?.status).toMatchObject({
    state: 'completed',
    result: { id: 'req-1', traceparent },
  })
  expect(scheduler.job(body.id)?.request).toEqual({ id: 'req-1', traceparent })
})

it('an upload of 1 MB goes to a thread as bytes, and bytes of its result are base64 for the client', async () => {
  const { url } = await serve(app)
  const photo = Buffer.alloc(2 ** 20, 'abc')
  const { body } = await request(url).post('/photo').set('Content-Type', 'image/png').send(photo).expect(202)
  expect((await endOf(url, body.links.events))?.status).toMatchObject({
    state: 'completed',
    result: { bytes: 2 ** 20, copy: 'YWJj' },
  })
})

it('DELETE tells the handler on its thread to stop, and the stream ends at once', async () => {
  const { url } = await serve(app)
  const told = new BroadcastChannel('http.patient')
  const aborted = once(told, 'message') as Promise<[MessageEvent<string>]>
  const { body } = await request(url).post('/patient').expect(202)
  const client = await follow(url + body.links.events)
  let seen = await client.next()
  while (seen !== undefined && seen.status?.progress === undefined) seen = await client.next()
  expect(seen?.status).toMatchObject({ state: 'running', progress: { ratio: 0.25, message: 'waiting' } })
  await request(url).delete(body.links.self).expect(200)
  const rest = await client.rest()
  expect(rest.map(({ event, status }) => [event, status.state])).toEqual([['state', 'cancelled']])
  const [{ data }] = await aborted
  expect(data).toBe('ERR_SIDEWORK_CANCELLED')
  told.close()
})
