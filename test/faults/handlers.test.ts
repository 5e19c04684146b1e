/** Cases about what handlers do, in an app of its own: ledger, status endpoint and health are looked at in each. */
import { expect, it } from 'vitest'
import { startApp, type App } from './harness.js'

/** What the ledger says of a job, as `start 1`. */
function ledgerOf(app: App, id: string): string[] {
  return app
    .ledger()
    .filter((line) => line.id === id)
    .map(({ what, attempt }) => `${what} ${attempt}`)
}

/** The job when it has settled, and what the status endpoint says of it. */
async function run(app: App, task: string, payload: unknown) {
  const id = (await app.defer(task, payload)).body.id ?? ''
  const job = await app.result(id)
  const { status, body } = await app.get(`/jobs/${id}`)
  expect(status).toBe(200)
  return { id, job, shown: body }
}

it('B1: an error fails the attempt, which is retried; message and stack are kept', async () => {
  const app = await startApp({ threads: 1 })
  const { id, job, shown } = await run(app, 'fails', { message: 'no such user' })
  const error = { name: 'TypeError', message: 'no such user' }
  expect(job).toMatchObject({ state: 'failed', attempt: 2, error, errors: [{ error }, { error }] })
  expect((job['error'] as { stack: string }).stack).toContain('tasks.mjs')
  expect(shown).toMatchObject({ state: 'failed', error })
  expect(ledgerOf(app, id)).toEqual(['start 1', 'start 2'])
})

it.each([
  ['undefined', 'undefined'],
  ['null', 'null'],
  ['string', 'a string'],
  ['number', '42'],
  ['symbol', 'Symbol(s)'],
  ['bare', ''],
  ['proxy', ''],
  ['function', ''],
])('B2: a handler that throws %s fails its job, with a name and a message', async (what, message) => {
  const app = await startApp({ threads: 1 })
  const { id, job, shown } = await run(app, 'throws', what)
  const error = { name: expect.any(String) as string, message: expect.stringContaining(message) as string }
  expect(job).toMatchObject({ state: 'failed', attempt: 1, error })
  expect(shown).toMatchObject({ state: 'failed', error })
  expect(ledgerOf(app, id)).toEqual(['start 1'])
})

it('B3: an error of 5 MB that is its own cause is cut to plain data', async () => {
  const app = await startApp({ threads: 1 })
  const { job, shown } = await run(app, 'throws', 'circular')
  const error = job['error'] as { message: string; stack: string }
  expect(error).toMatchObject({ name: 'RangeError', code: 'E_LONG' })
  expect(error).not.toHaveProperty('undo')
  expect(Buffer.byteLength(error.message)).toBeLessThanOrEqual(8 * 1024)
  expect(Buffer.byteLength(error.stack)).toBeLessThanOrEqual(16 * 1024)
  expect(JSON.stringify(shown).length).toBeLessThan(9 * 1024)
})

it('B11: a promise that never settles ends by a timeout that its task did not ask for', async () => {
  const app = await startApp({ threads: 1, defaults: { timeout: 1000 } })
  const { id, job } = await run(app, 'never-settles', null)
  expect(job).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
  expect(ledgerOf(app, id)).toEqual(['start 1'])
})

it('B27: what a handler says after its visibilityTimeout counts no more, and the next attempt waits for its end', async () => {
  const app = await startApp({ threads: 2 })
  const { id, job, shown } = await run(app, 'zombie', null)
  expect(job).toMatchObject({
    state: 'completed',
    attempt: 2,
    result: 'the second',
    errors: [{ error: { code: 'ERR_SIDEWORK_VISIBILITY_TIMEOUT' } }],
  })
  expect(job).not.toHaveProperty('progress')
  expect(shown).toMatchObject({ state: 'completed', result: 'the second' })
  expect(ledgerOf(app, id)).toEqual(['start 1', 'end 1', 'start 2', 'end 2'])
})

it.each([
  ['SIGKILL', { threads: 1 }],
  ['memory', { threads: { cpu: 1, resourceLimits: { maxOldGenerationSizeMb: 32 } } }],
])(
  'B13: when a handler takes the process down (%s), its job is gone and is never run again',
  async (how, options) => {
    const app = await startApp(options)
    const done = (await app.defer('echo', 1)).body.id ?? ''
    await app.result(done)
    const id = (await app.defer('kills-process', how)).body.id ?? ''
    const { code, signal } = await app.exited()
    expect(code === 0 || (code === null && signal === null)).toBe(false)
    await app.restart()
    expect((await app.get(`/jobs/${id}`)).status).toBe(404)
    expect((await app.get('/health')).body).toMatchObject({ stats: { accepted: 0 } })
    expect(ledgerOf(app, id)).toEqual(['start 1'])
    expect(ledgerOf(app, done)).toEqual(['start 1', 'end 1'])
  },
)
