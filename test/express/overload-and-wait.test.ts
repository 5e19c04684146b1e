import type { IncomingMessage } from 'node:http'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { preferredWaitS } from '../../src/express/prefer-wait.js'
import { admit, sidework, type AdmitOptions } from '../../src/express/index.js'
import type { Scheduler } from '../../src/scheduler.js'
import { PermanentError } from '../../src/task/control.js'
import { defineTask } from '../../src/task/define-task.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, signal } from './serving.js'

const double = defineTask('wait.double', (n: number) => n * 2, { lane: 'main' })
const secret = defineTask('wait.secret', (word: string) => `told: ${word}`, { lane: 'main', sensitive: true })
const doomed = defineTask(
  'wait.doomed',
  () => {
    throw new PermanentError('no such thing')
  },
  { lane: 'main' },
)

describe.each(frameworks)('on %s', (_name, createApp) => {
  const appOf = (scheduler: Scheduler, handle: (req: Express.Request, res: Express.Response) => void) => {
    const app = createApp().use(sidework(scheduler))
    app.post('/', (req, res) => handle(req, res))
    return app
  }

  it('Prefer: wait answers 200 with the result of a job that is quick enough', async () => {
    const app = appOf(makeScheduler(), (req, res) => res.accepted(req.defer(double, 21), { note: 'hi' }))
    const res = await request(app).post('/').set('Prefer', 'respond-async, wait=10').expect(200)
    expect(res.body).toMatchObject({ state: 'completed', result: 42, note: 'hi', attempt: 1 })
    expect(res.headers).toMatchObject({ 'preference-applied': 'wait=10', 'cache-control': 'no-store' })
    expect(res.headers['location']).toBe(`/jobs/${res.body.id}`)
    expect(res.body.links.self).toBe(`/jobs/${res.body.id}`)
  })

  it('a job that is not quick enough is answered 202 when the time is over, and goes on', async () => {
    const scheduler = makeScheduler()
    const app = appOf(scheduler, (req, res) => res.accepted(req.defer(double, 1, { delay: '1h' })))
    const res = await request(app).post('/').set('Prefer', 'wait=1').expect(202)
    expect(res.headers['preference-applied']).toBeUndefined()
    expect(scheduler.job(res.body.id)?.state).toBe('scheduled')
  })

  it('a job that failed is answered at once with its error, without a stack', async () => {
    const app = appOf(makeScheduler(), (req, res) => res.accepted(req.defer(doomed)))
    const res = await request(app).post('/').set('Prefer', 'wait=10').expect(200)
    expect(res.body).toMatchObject({
      state: 'failed',
      error: { name: 'PermanentError', message: 'no such thing' },
    })
    expect(res.text).not.toContain('.test.ts')
  })

  it('nobody waits for a held job, which waits for this very response', async () => {
    const app = appOf(makeScheduler(), (req, res) => res.accepted(req.defer(double, 1, { on: 'success' })))
    const res = await request(app).post('/').set('Prefer', 'wait=10').expect(202)
    expect(res.body.state).toBe('held')
  })

  it('the result of a sensitive task is not shown', async () => {
    const app = appOf(makeScheduler(), (req, res) => res.accepted(req.defer(secret, 'rosebud')))
    const res = await request(app).post('/').set('Prefer', 'wait=10').expect(200)
    expect(res.body.state).toBe('completed')
    expect(res.text).not.toContain('rosebud')
  })

  it('a job that is lost at close() has not settled: 202, as it goes on where it is restored', async () => {
    const scheduler = makeScheduler()
    const endless = defineTask('wait.endless', () => new Promise<never>(() => undefined), { lane: 'main' })
    const bothStarted = signal()
    let count = 0
    scheduler.on('started', () => void (++count === 2 && bothStarted.resolve()))
    const app = appOf(scheduler, (req, res) => res.accepted(req.defer(endless)))
    app.post('/flow', (req, res) => res.accepted(req.defer.chain([{ task: endless }])))
    const waiting = ['/', '/flow'].map((path) => request(app).post(path).set('Prefer', 'wait=10').then())
    await bothStarted.promise
    const { lost } = await scheduler.close({ timeout: 0 })
    expect(lost).toHaveLength(2)
    const answers = await Promise.all(waiting)
    expect(answers.map(({ status, body }) => [status, body.state])).toEqual([
      [202, 'ready'],
      [202, 'running'],
    ])
  })

  it('a job that is not kept is answered with its result, or why it failed, all the same', async () => {
    const scheduler = makeScheduler({ keep: { completed: 0, failed: 0 } })
    const app = appOf(scheduler, (req, res) => res.accepted(req.defer(double, 21)))
    app.post('/doomed', (req, res) => res.accepted(req.defer(doomed)))
    app.post('/secret', (req, res) => res.accepted(req.defer(secret, 'rosebud')))
    app.post('/flow', (req, res) => res.accepted(req.defer.flow({ a: { task: double, payload: 1 } })))
    const post = (path: string) => request(app).post(path).set('Prefer', 'wait=10').expect(200)
    expect((await post('/')).body).toMatchObject({ state: 'completed', result: 42 })
    expect((await post('/doomed')).body).toMatchObject({
      state: 'failed',
      error: { message: 'no such thing' },
    })
    expect((await post('/flow')).body).toMatchObject({ state: 'completed', result: { a: 2 } })
    expect((await post('/secret')).text).not.toContain('rosebud')
  })

  it('fields of your own are in the answer with the result too, but for those that the job has', async () => {
    const app = appOf(makeScheduler(), (req, res) => {
      const own = { message: 'm', task: 't', result: 'r', error: 'e', progress: 'p', attempt: 'a' }
      res.accepted(req.defer(double, 21), own)
    })
    const later = await request(app).post('/').expect(202)
    expect(later.body).toMatchObject({ message: 'm', task: 't', result: 'r', error: 'e', progress: 'p', attempt: 'a' }) // prettier-ignore
    const res = await request(app).post('/').set('Prefer', 'wait=10').expect(200)
    expect(res.body).toMatchObject({ message: 'm', error: 'e', progress: 'p', task: 'wait.double', result: 42, attempt: 1 }) // prettier-ignore
  })

  it('admit() turns requests away before their handler while more jobs are ready than it allows', async () => {
    const scheduler = makeScheduler()
    scheduler.pause()
    let handled = 0
    const app = createApp().use(sidework(scheduler))
    app.post('/', admit(scheduler, { maxReady: 1 }), (req, res) => {
      handled++
      res.accepted(req.defer(double, 1))
    })
    await request(app).post('/').expect(202)
    await request(app).post('/').expect(202)
    const res = await request(app).post('/').expect(503)
    expect(handled).toBe(2)
    expect(res.headers['retry-after']).toBe('1')
    expect(res.headers['content-type']).toBe('application/problem+json')
    expect(JSON.parse(res.text)).toMatchObject({ status: 503, title: 'Service Unavailable' })
    scheduler.resume()
    await scheduler.idle()
    await request(app).post('/').expect(202)
  })
})

it('admit() turns requests away while a ready job has waited too long', async () => {
  const scheduler = makeScheduler()
  const backlog = () => ({ ready: 1, oldestWaitMs: 4001 })
  const busy = Object.assign(Object.create(scheduler) as Scheduler, { backlog })
  const [, createApp] = frameworks[0] ?? expect.unreachable()
  const app = createApp().post('/', admit(busy, { maxWait: '4s' }), (_req, res) => void res.send('ok'))
  expect((await request(app).post('/').expect(503)).headers['retry-after']).toBe('5')
  const open = createApp().post('/', admit(busy, { maxWait: 4001 }), (_req, res) => void res.send('ok'))
  await request(open).post('/').expect(200)
})

it.each([
  [{}, 'no bound'],
  [{ maxReady: -1 }, 'maxReady is -1'],
  [{ maxReady: 1.5 }, 'maxReady is 1.5'],
  [{ maxWait: 'soon' }, "maxWait is 'soon'"],
  [{ maxJobs: 1 }, 'unknown option'],
])('admit(%j) is refused at the call', (options, message) => {
  const refused = () => admit(makeScheduler(), options as AdmitOptions)
  expect(refused).toThrow(message)
})

it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['', undefined],
  ['wait=0', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait=soon', undefined],
  ['awaits=5', undefined],
  ['wait=0, wait=30', undefined],
  ['wait=soon, wait=30', undefined],
  ['wait, wait=30', undefined],
  ['wait=5, wait=30', 5],
  ['wait="7', undefined],
  ['wait=5', 5],
  ['WAIT = 5', 5],
  ['wait="7"', 7],
  ['return=minimal, wait=5; foo', 5],
  ['wait=31', 30],
  ['wait=999999999', 30],
  ['wait=9999999999999', 30],
  [`wait=${'9'.repeat(400)}`, 30],
])('Prefer: %s means to wait %s s', (prefer, seconds) => {
  expect(preferredWaitS({ headers: { prefer } } as unknown as IncomingMessage)).toBe(seconds)
})
