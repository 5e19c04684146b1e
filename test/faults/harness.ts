/**
 * What every case of README.md is tested with. `startApp` runs an app in a process of its own, which can be
 * driven over HTTP and whose ledger tells what was really run; `makeScheduler` is for cases that need no process. After
 * each test the scheduler must still do its work (a canary job completes), and nothing may have gone unhandled.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect } from 'vitest'
import { createScheduler, type Scheduler, type SchedulerOptions } from '../../src/index.js'

/** What the app answered. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & { id?: string; code?: string; ms?: number }
}

export interface App {
  post(path: string, body: unknown): Promise<Answer>
  get(path: string): Promise<Answer>
  /** Hands a job over, by its JSON text where that could not be written otherwise. */
  defer(task: string, payload: unknown, options?: object): Promise<Answer>
  /** The job when it has settled. */
  result(id: string): Promise<Record<string, unknown>>
  /** What was run, in order. */
  ledger(): { what: string; id: string; attempt: number }[]
  /** How the process ended. */
  exited(): Promise<{ code: number | null; signal: string | null }>
  /** Starts the app again after its process has ended; the ledger goes on. */
  restart(): Promise<void>
  kill(): Promise<void>
}

const apps = new Set<App>()
const schedulers = new Set<Scheduler>()
const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

afterEach(async () => {
  const [someApps, someSchedulers] = [[...apps], [...schedulers]]
  apps.clear()
  schedulers.clear()
  for (const app of someApps) {
    await checkApp(app)
    await app.kill()
  }
  for (const scheduler of someSchedulers) {
    expect(await scheduler.defer(() => 'alive', { priority: 9 }).result({ timeout: 1000 })).toBe('alive')
    await scheduler.close({ timeout: 0 })
  }
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled.splice(0)).toEqual([])
})

/** A scheduler in this process: lane main, no waiting between attempts. */
export function makeScheduler(options: SchedulerOptions = {}): Scheduler {
  const scheduler = createScheduler({
    logger: false,
    ...options,
    defaults: { lane: 'main', backoff: { type: 'fixed', delay: 0 }, ...options.defaults },
  })
  schedulers.add(scheduler)
  return scheduler
}

export async function startApp(options: object = {}): Promise<App> {
  const folder = mkdtempSync(join(tmpdir(), 'sidework-faults-'))
  const ledger = join(folder, 'ledger')
  writeFileSync(ledger, '')
  const env = { PATH: process.env['PATH'], LEDGER: ledger, OPTIONS: JSON.stringify(options) }
  let { child, exited, url } = await boot(env)
  const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(url + path, init)
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] } // prettier-ignore
  }
  const post = (path: string, body: unknown): Promise<Answer> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return ask(path, { method: 'POST', body: text, headers: { 'content-type': 'application/json' } })
  }
  const app: App = {
    post,
    get: (path) => ask(path),
    defer: (task, payload, options) => post('/defer', { task, payload, options }),
    result: async (id) => (await ask(`/result/${id}`)).body,
    ledger: () =>
      readFileSync(ledger, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split('|'))
        .map(([what = '', id = '', attempt]) => ({ what, id, attempt: Number(attempt) })),
    async exited() {
      const [code, signal] = await exited
      return { code, signal }
    },
    async restart() {
      await exited
      ;({ child, exited, url } = await boot(env))
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true })
    },
  }
  apps.add(app)
  return app
}

/** A process that listens. */
async function boot(env: Record<string, string | undefined>) {
  const file = fileURLToPath(new URL('app.mjs', import.meta.url))
  const child = fork(file, [], { env, execArgv: [], silent: true })
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  const started = once(child, 'message') as Promise<[{ port: number }]>
  const ended = exited.then(([code]) => Promise.reject(new Error(`The app ended with ${code}.`)))
  ended.catch(() => undefined)
  const [{ port }] = await Promise.race([started, ended])
  return { child, exited, url: `http://127.0.0.1:${port}` }
}

async function checkApp(app: App): Promise<void> {
  const { body } = await app.defer('canary', 'alive')
  const id = body.id ?? expect.unreachable(`the canary was refused: ${JSON.stringify(body)}`)
  expect(await app.result(id)).toMatchObject({ state: 'completed', result: 'alive' })
  expect(app.ledger().slice(-2)).toEqual([
    { what: 'start', id, attempt: 1 },
    { what: 'end', id, attempt: 1 },
  ])
  const health = await app.get('/health')
  expect(health.body).toMatchObject({ uncaught: [], warnings: [] })
}
