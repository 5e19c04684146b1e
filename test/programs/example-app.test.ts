import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { seriesNamed } from '../metrics/exposition.js'
import { followJob, startExample, untilState, type Example, type JobStatus } from './example-process.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const samplePhoto = readFileSync(join(root, 'example-app/sample-photo.jpg'))
const run = promisify(execFile)

interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** The JSON of an answer; the test that asks knows its shape. */
async function json<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
}

const signUpOf = (email: string) => ({ name: 'Asha', email, password: 'correct horse' })

async function signUp(url: string, email: string): Promise<string> {
  const response = await post(`${url}/signup`, signUpOf(email))
  expect(response.status).toBe(202)
  const { job } = await json<{ job: string }>(response)
  return job
}

async function mailsTo(url: string, email: string): Promise<Mail[]> {
  const mails = await json<Mail[]>(fetch(`${url}/inbox`))
  return mails.filter(({ to }) => to === email)
}

async function uploadPhoto(url: string, content: Uint8Array<ArrayBuffer>) {
  const form = new FormData()
  form.append('photo', new Blob([content]), 'whatever.jpg')
  return fetch(`${url}/photos`, { method: 'POST', body: form })
}

async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'sidework-example-'))
}

describe('a visitor of the example', () => {
  let example: Example
  let dataDir: string

  beforeAll(async () => {
    dataDir = await temporaryFolder()
    example = await startExample(dataDir)
  })
  // The test that ends the example on purpose is the last one; should another have failed before, this cleans up.
  afterAll(async () => {
    await example.end('SIGKILL')
    await rm(dataDir, { recursive: true, force: true })
  })

  test('finds it healthy, and a page without inline scripts', async () => {
    expect(await json(fetch(`${example.url}/healthz`))).toEqual({ ok: true })
    const page = await fetch(example.url)
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
    expect(await page.text()).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=/)
  })

  test('sees the recurring jobs with their next runs, and runs each now', async () => {
    interface Schedules {
      readonly schedules: { readonly name: string; readonly nextRuns: number[] }[]
      readonly report?: { readonly day: string }
    }
    const before = await json<Schedules>(fetch(`${example.url}/schedules`))
    expect(before.schedules.map(({ name, nextRuns }) => [name, nextRuns.length])).toEqual([
      ['nightly-report', 3],
      ['expired-log-ins', 3],
      ['old-reports', 3],
    ])
    expect(before.report).toBeUndefined()
    for (const { name } of before.schedules) {
      const response = await post(`${example.url}/schedules/${name}/run`, {})
      expect(response.status).toBe(202)
      await untilState(example.url, (await json<{ job: string }>(response)).job, 'completed')
    }
    const after = await json<Schedules>(fetch(`${example.url}/schedules`))
    expect(after.report?.day).toMatch(/^\d{4}-\d{2}-\d{2}$/)
  })

  test('signs up, gets a mail, and is verified by its link', async () => {
    const response = await post(`${example.url}/signup`, signUpOf('asha@example.com'))
    expect(response.status).toBe(202)
    const { message, userId, job } = await json<{ message: string; userId: string; job: string }>(response)
    expect({ message, userId }).toEqual({ message: 'Please check your email.', userId: expect.any(String) })
    expect(response.headers.get('location')).toBe(`/jobs/${job}`)

    await untilState(example.url, job, 'completed')
    const [mail, ...others] = await mailsTo(example.url, 'asha@example.com')
    expect(others).toEqual([])
    const [link = ''] = /http\S+/.exec(mail?.text ?? '') ?? []
    expect(link).toContain(`${example.url}/verify/`)
    expect(await json(fetch(link, { headers: { Accept: 'application/json' } }))).toEqual({ verified: true })
    expect(await (await fetch(link, { headers: { Accept: 'text/html' } })).text()).toContain('verified')
    expect((await fetch(`${link}x`)).status).toBe(404)
  })

  test('is told everything that is wrong with a sign-up', async () => {
    const refused = await post(`${example.url}/signup`, { name: '', email: 'x', password: 'short' })
    expect(refused.status).toBe(400)
    const { errors } = await json<{ errors: { field: string; message: string }[] }>(refused)
    expect(errors.map(({ field }) => field)).toEqual(['name', 'email', 'password'])

    const broken = await fetch(`${example.url}/signup`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"name":',
    })
    expect(broken.status).toBe(400)
  })

  test('cannot take an address twice, also not at the same moment', async () => {
    const body = signUpOf('twice@example.com')
    const answers = await Promise.all([1, 2, 3].map(() => post(`${example.url}/signup`, body)))
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409])
  })

  test('sees a mail retried while the mail server is down, and delivered once it is up', async () => {
    expect(await json(post(`${example.url}/mail-server`, { up: false }))).toEqual({ up: false })
    const job = await signUp(example.url, 'late@example.com')
    const retrying = await untilState(example.url, job, 'retrying')
    expect(retrying).toMatchObject({ attempt: 1, maxAttempts: 20 })
    expect(retrying.error?.message).toContain('The mail server cannot be reached')
    expect(await mailsTo(example.url, 'late@example.com')).toEqual([])

    expect(await json(post(`${example.url}/mail-server`, { up: true }))).toEqual({ up: true })
    const completed = await untilState(example.url, job, 'completed')
    expect(completed.attempt).toBeGreaterThan(1)
    expect(await mailsTo(example.url, 'late@example.com')).toHaveLength(1)
  })

  test('sees an address that never exists fail at its first attempt', async () => {
    const job = await signUp(example.url, 'nobody@example.invalid')
    const failed = await untilState(example.url, job, 'failed')
    expect(failed).toMatchObject({ attempt: 1, error: { message: expect.stringContaining('refused') } })
  })

  test('asks for the mail again: one job while the first is there, and nobody else is mailed', async () => {
    await json(post(`${example.url}/mail-server`, { up: false }))
    const first = await json<{ userId: string; job: string }>(
      post(`${example.url}/signup`, signUpOf('again@example.com')),
    )
    await untilState(example.url, first.job, 'retrying')
    const again = await post(`${example.url}/signup/again`, { userId: first.userId })
    expect(again.status).toBe(202)
    expect(again.headers.get('location')).toBe(`/jobs/${first.job}`)
    expect(await json(again)).toMatchObject({ job: first.job, deduplicated: true, state: 'retrying' })
    await json(post(`${example.url}/mail-server`, { up: true }))
    await untilState(example.url, first.job, 'completed')
    expect(await mailsTo(example.url, 'again@example.com')).toHaveLength(1)
    for (const body of [{ userId: 'nobody' }, { userId: 7 }, {}])
      expect((await post(`${example.url}/signup/again`, body)).status).toBe(404)
  })

  test('gets a PDF of all users, is told how far it is, and the same report for the same key', async () => {
    const order = () =>
      fetch(`${example.url}/reports`, { method: 'POST', headers: { 'Idempotency-Key': '"report-1"' } })
    const accepted = await order()
    expect(accepted.status).toBe(202)
    const { job, report } = await json<{ job: string; report: string }>(accepted)
    expect(accepted.headers.get('location')).toBe(`/jobs/${job}`)
    const seen: JobStatus[] = []
    for await (const status of followJob(example.url, job)) seen.push(status)
    expect(seen.at(-1)).toMatchObject({ state: 'completed', progress: { ratio: 1 } })
    const pdf = await fetch(example.url + report)
    expect([pdf.status, pdf.headers.get('content-type')]).toEqual([200, 'application/pdf'])
    const bytes = Buffer.from(await pdf.arrayBuffer())
    expect([bytes.subarray(0, 5).toString(), bytes.toString('latin1').trimEnd().slice(-5)]).toEqual([
      '%PDF-',
      '%%EOF',
    ])
    const again = await order()
    expect([again.status, await json(again)]).toMatchObject([202, { job, report }])
    for (const path of ['/reports/00000000-0000-0000-0000-000000000000.pdf', '/reports/..%2Fexample.db.pdf'])
      expect((await fetch(example.url + path)).status).toBe(404)
  })

  test('serves metrics that agree with what was done', async () => {
    const response = await fetch(`${example.url}/metrics`)
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    const text = await response.text()
    const of = (metric: string) => seriesNamed(text, metric)
    expect(of('sidework_jobs_settled_total')).toMatchObject({
      '{task="make-report",outcome="completed"}': 1,
      '{task="write-nightly-report",outcome="completed"}': 1,
      '{task="remove-reports",outcome="completed"}': 1,
    })
    expect(of('sidework_jobs_deduplicated_total')).toMatchObject({ '{task="send-verification-mail"}': 1 })
    const accepted = Object.values(of('sidework_jobs_accepted_total')).reduce((sum, count) => sum + count)
    const settled = Object.values(of('sidework_jobs_settled_total')).reduce((sum, count) => sum + count)
    expect(settled).toBe(accepted) // nothing is under way between two tests
  })

  test('gets three thumbnails of a photo, and sees how far they are', async () => {
    const accepted = await uploadPhoto(example.url, samplePhoto)
    expect(accepted.status).toBe(202)
    const { photo, job } = await json<{ photo: string; job: string }>(accepted)
    const seen: JobStatus[] = []
    for await (const status of followJob(example.url, job)) seen.push(status)
    expect(seen.at(-1)?.state).toBe('completed')
    expect(seen.some(({ progress }) => progress !== undefined)).toBe(true)

    const { state, sizes } = await json<{ state: string; sizes: Record<string, string> }>(
      fetch(`${example.url}/photos/${photo}`),
    )
    expect(state).toBe('completed')
    expect(Object.keys(sizes)).toEqual(['small', 'medium', 'large'])
    for (const path of Object.values(sizes)) {
      const picture = await fetch(example.url + path)
      expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/webp'])
      expect((await picture.arrayBuffer()).byteLength).toBeGreaterThan(500)
    }
  })

  test('is told that a text is no photo, without a retry', async () => {
    const { photo, job } = await json<{ photo: string; job: string }>(
      uploadPhoto(example.url, new TextEncoder().encode('hello')),
    )
    await untilState(example.url, job, 'failed')
    // The flow's first step has the photo's id.
    const resize = await json<JobStatus>(fetch(`${example.url}/jobs/${photo}`))
    expect(resize).toMatchObject({ task: 'resize-photo', state: 'failed', attempt: 1 })
    const told = await json(fetch(`${example.url}/photos/${photo}`))
    expect(told).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('cannot be read as a photo'),
      sizes: { small: null, medium: null, large: null },
    })
  })

  test('deletes the account: photos, mails and the user, told step by step', async () => {
    const job = await signUp(example.url, 'leaves@example.com')
    await untilState(example.url, job, 'completed')
    const [mail] = await mailsTo(example.url, 'leaves@example.com')
    const [link = ''] = /http\S+/.exec(mail?.text ?? '') ?? []
    const verified = await fetch(link, { headers: { Accept: 'application/json' } })
    const cookie = verified.headers.get('set-cookie')?.split(';')[0] ?? ''
    const form = new FormData()
    form.append('photo', new Blob([samplePhoto]), 'whatever.jpg')
    const uploaded = await json<{ photo: string; job: string }>(
      fetch(`${example.url}/photos`, { method: 'POST', body: form, headers: { cookie } }),
    )
    await untilState(example.url, uploaded.job, 'completed')
    expect(await mailsTo(example.url, 'leaves@example.com')).toHaveLength(2)

    const deleted = await fetch(`${example.url}/account`, { method: 'DELETE', headers: { cookie } })
    expect(deleted.status).toBe(202)
    const end = await untilState(example.url, (await json<{ job: string }>(deleted)).job, 'completed')
    expect(end.progress).toEqual({ total: 3, completed: 3, failed: 0, ratio: 1 })
    expect(await mailsTo(example.url, 'leaves@example.com')).toEqual([])
    expect((await fetch(`${example.url}/photos/${uploaded.photo}`)).status).toBe(404)
    expect(readdirSync(join(dataDir, 'photos')).filter((file) => file.startsWith(uploaded.photo))).toEqual([])
    expect((await post(`${example.url}/signup`, signUpOf('leaves@example.com'))).status).toBe(202)
    expect((await fetch(`${example.url}/account`, { method: 'DELETE', headers: { cookie } })).status).toBe(
      401,
    )
  })

  test('is told that a photo is too large, or missing', async () => {
    expect((await uploadPhoto(example.url, new Uint8Array(10 * 2 ** 20 + 1))).status).toBe(413)
    expect((await fetch(`${example.url}/photos`, { method: 'POST', body: new FormData() })).status).toBe(400)
    expect((await fetch(`${example.url}/photos/unknown`)).status).toBe(404)
    expect((await fetch(`${example.url}/photos/unknown/..%2F..%2Fexample.db`)).status).toBe(404)
  })

  test('can be walked through with curl', async () => {
    const { stdout } = await run('bash', ['example-app/walk.sh', example.url], { cwd: root })
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('All steps went well.')
  })

  test('is told when its port is taken', async () => {
    const other = await temporaryFolder()
    onTestFinished(() => rm(other, { recursive: true, force: true }))
    const { port } = new URL(example.url)
    await expect(startExample(other, { PORT: port })).rejects.toThrow(
      `The example cannot listen on 127.0.0.1:${port}. Set PORT to another one`,
    )
  })

  test('finds it gone, and nothing lost, after SIGTERM', async () => {
    expect(await example.end('SIGTERM')).toBe(0)
    expect(existsSync(join(dataDir, 'lost-jobs.json'))).toBe(false)
  })
})

describe('over a restart', () => {
  /** Starts the example; it ends with the test, if not before. */
  async function start(dataDir: string): Promise<Example> {
    const example = await startExample(dataDir)
    onTestFinished(async () => void (await example.end('SIGKILL')))
    return example
  }

  async function startWithRetryingMail(dataDir: string, email: string) {
    const example = await start(dataDir)
    await post(`${example.url}/mail-server`, { up: false })
    const job = await signUp(example.url, email)
    await untilState(example.url, job, 'retrying')
    return { example, job }
  }

  test('a job that is being retried goes on where it was', async () => {
    const dataDir = await temporaryFolder()
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const { example, job } = await startWithRetryingMail(dataDir, 'asha@example.com')
    expect(await example.end('SIGTERM')).toBe(0)
    const kept = JSON.parse(readFileSync(join(dataDir, 'lost-jobs.json'), 'utf8')) as { id: string }[]
    expect(kept.map(({ id }) => id)).toEqual([job])

    const next = await start(dataDir)
    expect(existsSync(join(dataDir, 'lost-jobs.json'))).toBe(false)
    const completed = await untilState(next.url, job, 'completed')
    expect(completed.attempt).toBeGreaterThan(1)
    const mails = await mailsTo(next.url, 'asha@example.com')
    expect(mails).toHaveLength(1)
    // The link is made when the mail is sent, so it leads to the server that runs.
    expect(mails[0]?.text).toContain(`${next.url}/verify/`)
    expect(await next.end('SIGTERM')).toBe(0)
  })

  test('a killed process forgets its jobs, not its data', async () => {
    const dataDir = await temporaryFolder()
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const { example, job } = await startWithRetryingMail(dataDir, 'asha@example.com')
    expect(await example.end('SIGKILL')).toBeNull()

    const next = await start(dataDir)
    expect((await fetch(`${next.url}/jobs/${job}`)).status).toBe(404)
    expect((await post(`${next.url}/signup`, signUpOf('asha@example.com'))).status).toBe(409)
  })
})
