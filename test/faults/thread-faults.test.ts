/**
 * Cases about what becomes of a thread, in an app of its own: what was really run stands in the ledger, and what the app
 * says in its status endpoint. Ends of processes and closing have files of their own.
 */
import { expect, it } from 'vitest'
import { startApp, type App } from './harness.js'

/** Hands jobs over, in order. @returns their ids */
async function deferAll(app: App, jobs: readonly (readonly [task: string, payload?: unknown])[]) {
  const ids: string[] = []
  for (const [task, payload] of jobs) ids.push((await app.defer(task, payload)).body.id ?? '')
  return ids
}

/** Each job's settled record, checked against what the status endpoint says. */
async function endsOf(app: App, ids: readonly string[]) {
  const jobs: Record<string, unknown>[] = []
  for (const id of ids) {
    const job = await app.result(id)
    const { body } = await app.get(`/jobs/${id}`)
    expect(body).toMatchObject({ id, state: job['state'] })
    jobs.push(job)
  }
  return jobs
}

function ledgerOf(app: App, id: string): string[] {
  return app
    .ledger()
    .filter((line) => line.id === id)
    .map(({ what, attempt }) => `${what} ${attempt}`)
}

async function statsOf(app: App) {
  return (await app.get('/health')).body['stats'] as {
    threads: number
    lanes: Record<string, { threads: number }>
  }
}

const ranOnce = ['start 1', 'end 1']
const begun = ['start 1']

it.each([
  ['timer', 'trapped'],
  ['rejection', 'nobody cares'],
])(
  'B4: an error nobody catches (%s) fails its job alone; the three beside it run again and pay no attempt',
  async (how, message) => {
    const app = await startApp()
    const [a = '', b = '', bad = '', c = ''] = await deferAll(app, [
      ['neighbour', 50],
      ['neighbour', 50],
      ['bomb', how],
      ['neighbour', 50],
    ])
    const [failed] = await endsOf(app, [bad])
    const cause = { message: expect.stringContaining(message) as string }
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'ERR_SIDEWORK_THREAD_EXITED', cause } })
    for (const job of await endsOf(app, [a, b, c]))
      expect(job).toMatchObject({ state: 'completed', attempt: 1, result: 'slept', errors: [] })
    expect(ledgerOf(app, bad)).toEqual(begun)
    for (const id of [a, b, c]) expect(ledgerOf(app, id).slice(-2)).toEqual(ranOnce)
  },
)

it.each(['date', 'function', 'bigint', 'circular'])(
  'B6: a result that is no JSON (%s) is dropped; the job is completed and never run again',
  async (what) => {
    const app = await startApp({ threads: 1 })
    const [id = ''] = await deferAll(app, [['bad-result', what]])
    const [job] = await endsOf(app, [id])
    expect(job).toMatchObject({ state: 'completed', attempt: 1, errors: [] })
    expect(job).not.toHaveProperty('result')
    expect(ledgerOf(app, id)).toEqual(ranOnce)
  },
)

it.each([
  ['exit(0)', 0],
  ['exit(7)', 7],
  ['exitCode = 9', 9],
])(
  'B8: a thread that ends by %s fails the attempt with its code and is replaced; the job is retried',
  async (how, code) => {
    const app = await startApp({ threads: 1 })
    const [id = '', next = ''] = await deferAll(app, [['exits', how], ['echo', 'next']]) // prettier-ignore
    const [job, after] = await endsOf(app, [id, next])
    const error = {
      code: 'ERR_SIDEWORK_THREAD_EXITED',
      message: expect.stringContaining(`code ${code}`) as string,
    }
    expect(job).toMatchObject({ state: 'completed', attempt: 2, result: 'the second', errors: [{ error }] })
    expect(after).toMatchObject({ state: 'completed', attempt: 1 })
    expect(ledgerOf(app, id)).toEqual(['start 1', 'start 2', 'end 2'])
    expect((await statsOf(app)).lanes['cpu']).toMatchObject({ threads: 1 })
  },
)

it.each(['an endless loop', 'a slow regular expression', 'Atomics.wait'])(
  'B10: %s on one thread is ended; what runs on the others goes on, and what waits gets the new one',
  async (how) => {
    const app = await startApp({ threads: 2 })
    const [bad = '', ...others] = await deferAll(app, [
      ['stuck', how],
      ...Array.from({ length: 40 }, () => ['naps', 5] as const),
    ])
    const [stuck, ...rest] = await endsOf(app, [bad, ...others])
    expect(stuck).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'ERR_SIDEWORK_TIMEOUT' } })
    for (const job of rest) expect(job).toMatchObject({ state: 'completed', attempt: 1, errors: [] })
    expect(ledgerOf(app, bad)).toEqual(begun)
    for (const id of others) expect(ledgerOf(app, id)).toEqual(ranOnce)
  },
)

/** Node 24 itself dies of arrays that a loop fills, in a bare Worker as well: threads/README.md says so. */
const fillings = Number.parseInt(process.versions.node) < 24 ? ['arrays', 'strings', 'maps'] : ['maps']

it.each(fillings)(
  'B12: a heap that %s fill ends the thread, not the process; the job is retried once only',
  async (what) => {
    const app = await startApp({ threads: { cpu: 1, resourceLimits: { maxOldGenerationSizeMb: 48 } } })
    const [id = '', next = ''] = await deferAll(app, [['grows', what], ['echo', 'next']]) // prettier-ignore
    const [job, after] = await endsOf(app, [id, next])
    const error = { code: 'ERR_SIDEWORK_OUT_OF_MEMORY' }
    expect(job).toMatchObject({ state: 'failed', attempt: 2, error, errors: [{ error }, { error }] })
    expect(after).toMatchObject({ state: 'completed', attempt: 1 })
    expect(ledgerOf(app, id)).toEqual(['start 1', 'start 2'])
  },
)

it('B15: a stack overflow fails its attempt, and its thread goes on', async () => {
  const app = await startApp({ threads: 1 })
  const [id = ''] = await deferAll(app, [['recursion']])
  expect(await endsOf(app, [id])).toMatchObject([{ state: 'failed', error: { name: 'RangeError' } }])
  expect(ledgerOf(app, id)).toEqual(begun)
})

it('B25: of 100 jobs that are cancelled while they wait, run or end, each settles once, as the ledger says', async () => {
  const app = await startApp({ threads: 2 })
  const ids = await deferAll(app, Array.from({ length: 100 }, (_, n) => ['naps', n % 5] as const)) // prettier-ignore
  const last = (await app.defer('naps', 300)).body.id ?? ''
  const { body } = await app.post('/fault/cancel', { ids: [last, ...ids.slice(50)] })
  const cancelled = new Set([last, ...ids.slice(50)].filter((_, n) => (body['cancelled'] as boolean[])[n]))
  const jobs = await endsOf(app, [...ids, last])
  for (const { id, state, attempt } of jobs) {
    expect(state).toBe(cancelled.has(id as string) ? 'cancelled' : 'completed')
    expect(attempt).toBeLessThanOrEqual(1)
    const starts = ledgerOf(app, id as string).filter((line) => line.startsWith('start'))
    if (state === 'completed') expect(ledgerOf(app, id as string)).toEqual(ranOnce)
    else expect(starts.length).toBeLessThanOrEqual(1)
  }
  const stats = await statsOf(app)
  expect(stats).toMatchObject({ accepted: 101, cancelled: cancelled.size, completed: 101 - cancelled.size })
})

it.each([
  ['waits', 'cpu', 'naps', 'stuck'],
  ['runs beside it', 'io', 'neighbour', 'minds-nothing'],
])(
  'B29: of three jobs the second is cancelled, which %s, then the first: the third is not harmed (%s)',
  async (_, lane, good, bad) => {
    const app = await startApp({ threads: { cpu: 1, io: 1 } })
    const [first = '', second = '', third = ''] = await deferAll(app, [
      [bad, 'an endless loop'],
      [lane === 'cpu' ? good : bad, 200],
      [good, 200],
    ])
    const { body } = await app.post('/fault/cancel', { ids: [second, first] })
    expect(body).toEqual({ cancelled: [true, true] })
    const [last] = await endsOf(app, [third])
    expect(last).toMatchObject({ state: 'completed', attempt: 1, result: 'slept', errors: [] })
    expect(await endsOf(app, [first, second])).toMatchObject([{ state: 'cancelled' }, { state: 'cancelled' }])
    const [later = ''] = await deferAll(app, [[good, 1]])
    expect(await endsOf(app, [later])).toMatchObject([{ state: 'completed', attempt: 1 }])
    expect(ledgerOf(app, third)).toEqual(ranOnce)
  },
)

it.runIf(process.platform !== 'win32')(
  'B30: a thread that cannot be interrupted holds nobody up: its place is taken by another at once',
  async () => {
    const app = await startApp({ threads: 1 })
    const [bad = '', next = ''] = await deferAll(app, [['uninterruptible', 8000], ['echo', 'next']]) // prettier-ignore
    const [after] = await endsOf(app, [next])
    expect(after).toMatchObject({ state: 'completed', attempt: 1, result: 'next' })
    expect((await statsOf(app)).threads).toBe(3) // the io thread, the new one, and the old one, which has not exited
    expect(await endsOf(app, [bad])).toMatchObject([
      { state: 'failed', error: { code: 'ERR_SIDEWORK_TIMEOUT' } },
    ])
    expect(ledgerOf(app, bad)).toEqual(begun)
  },
)
