/** Runs the code of src/express/README.md. Every fence in it has a name; every name is run below. */
import { fork } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { follow, signal } from './serving.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'src/express/README.md'), 'utf8')
const fences = new Map(
  [...readme.matchAll(/^```(?:ts|js)(.*)\n([^]*?)^```$/gm)].map(([, name = '', code = '']) => [
    name.trim(),
    code,
  ]),
)
const code = (name: string) => fences.get(name) ?? ''

const tasks = `
  import { defineTask } from 'sidework'
  export const sendVerificationEmail = defineTask('send-verification-email',
    async ({ userId, email }: { userId: string; email: string }, { progress }) => {
      const channel = new BroadcastChannel('go')
      const go = () => new Promise((resolve) => (channel.onmessage = resolve))
      for (const ratio of [0.5, 0.7]) {
        const gone = go()
        progress(ratio)
        await gone
      }
      channel.close()
      return { userId, email }
    }, { lane: 'io' })
`
/** Listens on a free port whatever the program says, and tells which; passes on to the thread what the test says. */
const onFreePort = `
  import { Server } from 'node:http'
  import { isMainThread } from 'node:worker_threads'
  const { listen } = Server.prototype
  Server.prototype.listen = function () {
    return listen.call(this, 0, '127.0.0.1', () => process.send(this.address().port))
  }
  const channel = new BroadcastChannel('go')
  channel.unref()
  if (isMainThread) process.on('message', () => channel.postMessage('go'))
`

/** The program in a process of its own, with the built package, Express and tsx installed. */
async function start(program: string) {
  const folder = await mkdtemp(join(tmpdir(), 'sidework-readme-'))
  await mkdir(join(folder, 'node_modules'))
  await symlink(root, join(folder, 'node_modules/sidework'))
  await symlink(join(root, 'node_modules/express'), join(folder, 'node_modules/express'))
  const files = {
    'package.json': '{ "type": "module" }',
    'tasks.ts': tasks,
    'port.mjs': onFreePort,
    'server.ts': program,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const child = fork(join(folder, 'server.ts'), {
    execArgv: ['--import', import.meta.resolve('tsx'), '--import', join(folder, 'port.mjs')],
    env: { PATH: process.env['PATH'] },
    silent: true,
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const [listening, exited] = [signal<number>(), signal<number | null>()]
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.once('message', (port) => listening.resolve(Number(port)))
  child.once('exit', exited.resolve)
  const port = await Promise.race([
    listening.promise,
    exited.promise.then(() => Promise.reject(new Error(`The program ended:\n${stderr}`))),
  ])
  return {
    url: `http://127.0.0.1:${port}`,
    exited: exited.promise,
    go: () => void child.send('go'),
    kill: () => void child.kill('SIGTERM'),
  }
}

interface Accepted {
  readonly id: string
  readonly links: { readonly self: string; readonly events: string }
}

async function signUp(url: string) {
  const response = await fetch(`${url}/signup`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: 'asha@example.com' }),
  })
  return { response, body: (await response.json()) as Accepted }
}

/** What a page has, as far as the page of the document needs it. `seen` is told every progress once. */
function pageEventSource(seen: (progress: unknown) => void) {
  const told = new Set<unknown>([undefined])
  return class extends EventTarget {
    readonly #closed = signal()
    readonly closed = this.#closed.promise
    constructor(url: string) {
      super()
      void this.#read(url)
    }
    close() {
      this.#closed.resolve()
    }
    async #read(url: string) {
      const client = await follow(url)
      for (let block = await client.next(); block; block = await client.next()) {
        if (block.event === undefined) continue
        this.dispatchEvent(new MessageEvent(block.event, { data: JSON.stringify(block.status) }))
        const { progress } = block.status
        if (!told.has(progress)) seen(progress)
        told.add(progress)
      }
    }
  }
}

it('every piece of code in the document is run here, or in adapters.test.ts', () => {
  const adapters = ['connect', 'fastify', 'hono', 'koa', 'use']
  const here = ['browser', 'errors', 'idempotent', 'owner', 'server']
  expect([...fences.keys()].sort()).toEqual([...adapters, ...here].sort())
})

it('the server of the document answers 202, its page follows the job to its end, and a signal ends it', async () => {
  const server = await start(code('server'))
  const { response, body } = await signUp(server.url)
  expect(response.status).toBe(202)
  expect(body).toMatchObject({ id: expect.any(String), message: 'Please check your email.' })
  expect(response.headers.get('location')).toBe(body.links.self)
  const shown: unknown[] = []
  const links = { events: server.url + body.links.events }
  const page = new Function('EventSource', 'links', 'show', `${code('browser')}; return source`)
  const source: { closed: Promise<void> } = page(pageEventSource(server.go), links, (value: unknown) =>
    shown.push(value),
  )
  await source.closed
  expect(shown.slice(-2)).toEqual([0.7, 'completed'])
  server.kill()
  expect(await server.exited).toBe(0)
})

it('the authorize of the document shows a job to its owner only', async () => {
  const program = code('server')
    .replace("app.use('/jobs', jobsRouter(scheduler))", code('owner'))
    .replace('jobsRouter,', 'jobsRouter, type JobsRouterOptions,')
  const server = await start(program)
  const { body } = await signUp(server.url)
  const statusFor = async (user: string) =>
    (await fetch(server.url + body.links.self, { headers: { 'x-user-id': user } })).status
  expect(await statusFor('user_123')).toBe(200)
  expect(await statusFor('user_456')).toBe(404)
})

it('the error handler of the document passes status and headers of a refusal on', async () => {
  const program = code('server')
    .replace('createScheduler({', 'createScheduler({ maxQueued: 1,')
    .replace('closeOnSignal(app', `${code('errors')}\ncloseOnSignal(app`)
    .replace('import express from', 'import express, { type ErrorRequestHandler } from')
  const server = await start(program)
  expect((await signUp(server.url)).response.status).toBe(202)
  const { response, body } = await signUp(server.url)
  expect(response.status).toBe(503)
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(body).toEqual({ error: expect.stringContaining('Queue is full (1 of 1 jobs') as string })
})

it('the idempotent route of the document carries out a repeated request once', async () => {
  const program = code('server')
    .replace("app.use('/jobs'", `${code('idempotent')}\napp.use('/jobs'`)
    .replace('closeOnSignal,', 'closeOnSignal, idempotent,')
  const server = await start(program)
  const order = async (headers: Record<string, string>) => {
    const body = JSON.stringify({ email: 'asha@example.com' })
    const response = await fetch(`${server.url}/orders`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body,
    })
    return [response.status, ((await response.json()) as Accepted).id]
  }
  const first = await order({ 'Idempotency-Key': 'k' })
  expect(first[0]).toBe(202)
  expect(await order({ 'Idempotency-Key': 'k' })).toEqual(first)
  expect(await order({})).toEqual([400, undefined])
})
