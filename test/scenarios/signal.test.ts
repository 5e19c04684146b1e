import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CloseReport } from '../../src/index.js'

const file = fileURLToPath(new URL('signal-server.mjs', import.meta.url))

interface Told {
  readonly event: string
  readonly id?: string
  readonly port: number
  readonly text?: string
  readonly report?: CloseReport
}

/** The server in a process of its own, started as a user starts it. */
async function startServer(timeout: string) {
  const child = fork(file, [timeout], { execArgv: [], env: { PATH: process.env['PATH'] }, silent: true })
  onTestFinished(() => void child.kill('SIGKILL'))
  const told: Told[] = []
  const waiting = new Map<string, (message: Told) => void>()
  child.on('message', (message) => {
    const one = message as Told // the only kind that signal-server.mjs sends
    told.push(one)
    waiting.get(one.event)?.(one)
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const closed = once(child, 'close') as Promise<[number | null, string | null]>
  const tells = (event: string): Promise<Told> => {
    const known = told.find((one) => one.event === event)
    return known ? Promise.resolve(known) : new Promise((resolve) => waiting.set(event, resolve))
  }
  const { port } = await tells('listening')
  return {
    tells,
    events: () => told.map(({ event }) => event),
    post: (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST' }),
    go: () => void child.send('go'),
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    exited: closed.then(([code, signal]) => ({ code, signal, stderr })),
  }
}

const cleanExit = { code: 0, signal: null, stderr: '' }

describe('a server that gets SIGTERM', () => {
  it('answers the request in flight with 200, runs the jobs that it defers, and exits with 0', async () => {
    const server = await startServer('25s')
    const answer = server.post('/slow')
    await server.tells('in flight')
    server.kill('SIGTERM')
    await server.tells('signalled')
    server.go()
    const response = await answer
    expect(response.status).toBe(200)
    expect(await response.json()).toHaveLength(2)
    expect(await server.tells('noted')).toMatchObject({ text: 'on the main thread' })
    const { report } = await server.tells('closed')
    expect(report?.lost).toEqual([])
    expect(await server.exited).toEqual(cleanExit)
  })

  it('names in its report exactly the job that did not end within the deadline, and exits in time', async () => {
    const server = await startServer('1s')
    const quick = (await (await server.post('/quick')).json()) as string
    await server.post('/long')
    await server.tells('started')
    const signalledAt = performance.now()
    server.kill('SIGTERM')
    const { report } = await server.tells('closed')
    expect(await server.exited).toEqual(cleanExit)
    expect(performance.now() - signalledAt).toBeLessThan(4000)
    expect(quick).toMatch(/^[\w-]+$/)
    expect(report?.lost).toMatchObject([
      { id: 'ten seconds', task: 'sleep', state: 'running', attempt: 1, payload: { forMs: 10_000 } },
    ])
  })

  it('exits with 1 at once when it gets another one, whatever still runs', async () => {
    const server = await startServer('25s')
    await server.post('/long')
    await server.tells('started')
    server.kill('SIGTERM')
    await server.tells('closing')
    const secondAt = performance.now()
    server.kill('SIGINT')
    expect(await server.exited).toEqual({
      code: 1,
      signal: null,
      stderr: 'sidework: a second signal (SIGINT) ends the process at once; jobs not settled: 1.\n',
    })
    expect(performance.now() - secondAt).toBeLessThan(1000)
    expect(server.events()).not.toContain('closed')
  })
})
