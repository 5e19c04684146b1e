import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import express from 'express'
import { closeOnSignal } from '../../src/express/index.js'
import { makeScheduler } from './make-scheduler.js'
import { follow, signal } from './serving.js'

const fixture = fileURLToPath(new URL('fixtures/closing-app.ts', import.meta.url))

interface Message {
  event: string
  port?: number
  lost?: number
}

/** A server in its own process, what it told, and its exit. */
async function start(...args: string[]) {
  const child: ChildProcess = fork(fixture, args, {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const told: string[] = []
  const waiting = new Map<string, (message: Message) => void>()
  const messages = new Map<string, Message>()
  child.on('message', (message: Message) => {
    told.push(message.event)
    messages.set(message.event, message)
    waiting.get(message.event)?.(message)
  })
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const tells = (event: string): Promise<Message> => {
    const { promise, resolve } = signal<Message>()
    const message = messages.get(event)
    if (message) resolve(message)
    else waiting.set(event, resolve)
    return promise
  }
  const exit = once(child, 'close').then(([code, by]) => ({
    code: code as number | null,
    by: by as string | null,
    stderr,
  }))
  const { port } = await tells('listening')
  const url = `http://127.0.0.1:${port}`
  return { child, url, told, tells, exit, kill: (by: NodeJS.Signals = 'SIGTERM') => child.kill(by) }
}

/** Sends a request over its own or the given agent. */
async function send(method: string, url: string, agent: Agent | false = false): Promise<IncomingMessage> {
  const req = request(url, { method, agent })
  req.end()
  const [response] = (await once(req, 'response')) as [IncomingMessage]
  return response
}

async function text(response: AsyncIterable<unknown>) {
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return body
}

describe('closeOnSignal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('exits with 0 on %s, after onClosed', async (by) => {
    const app = await start()
    app.kill(by)
    expect(await app.exit).toMatchObject({ code: 0 })
    expect(app.told).toEqual(['listening', 'signalled', 'closing', 'onClosed', 'onClosed ended'])
  })

  it('finishes requests in flight and runs what they defer before the scheduler closes', async () => {
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const app = await start()
    const answer = send('POST', `${app.url}/slow`, agent)
    await app.tells('in flight')
    app.kill()
    await app.tells('signalled')
    await expect(send('GET', `${app.url}/quick`)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(app.told).not.toContain('closing')
    app.child.send('answer')
    const response = await answer
    expect(response.statusCode).toBe(202)
    expect(response.headers.connection).toBe('close')
    expect(await app.exit).toMatchObject({ code: 0 })
    expect(app.told.slice(3).sort()).toEqual(['closing', 'job ran', 'onClosed', 'onClosed ended'])
  })

  it('waits for no idle connection', async () => {
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const app = await start()
    await text(await send('GET', `${app.url}/quick`, agent))
    const startedAt = performance.now()
    app.kill()
    expect(await app.exit).toMatchObject({ code: 0 })
    expect(performance.now() - startedAt).toBeLessThan(4000) // Node's keep-alive timeout is 5 s
  })

  it('closes a connection whose answer had begun, once it has ended, while jobs still run', async () => {
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const app = await start()
    await text(await send('POST', `${app.url}/job`))
    const streamed = await send('POST', `${app.url}/streamed`, agent)
    const startedAt = performance.now()
    const closed = once(streamed.socket, 'close')
    app.kill()
    await app.tells('signalled')
    app.child.send('answer')
    expect(await text(streamed)).toBe('begun ended')
    await closed
    expect(performance.now() - startedAt).toBeLessThan(4000)
    expect(app.told).not.toContain('onClosed')
  })

  it('waits for requests and not for event streams; those end when their job is lost', async () => {
    const app = await start('2s')
    await text(await send('POST', `${app.url}/job`))
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => follow(`${app.url}/jobs/endless/events`)),
    )
    for (const client of clients) {
      await client.next()
      await client.next()
    }
    const slow = send('POST', `${app.url}/slow`)
    await app.tells('in flight')
    app.kill()
    await app.tells('signalled')
    app.child.send('answer')
    expect((await slow).statusCode).toBe(202)
    for (const client of clients) expect(await client.rest()).toMatchObject([{ event: 'closed' }])
    expect(await app.tells('onClosed')).toMatchObject({ lost: 1 })
    expect(await app.exit).toMatchObject({ code: 0 })
  })

  it('who follows a job that is lost is told so before the process ends, also when nothing is left to do', async () => {
    for (const job of ['endless', 'gives-up']) {
      const app = await start('500ms', 'none')
      await text(await send('POST', `${app.url}/${job === 'endless' ? 'job' : job}`))
      const client = await follow(`${app.url}/jobs/${job}/events`)
      await client.next()
      await client.next()
      app.kill()
      expect((await client.rest()).at(-1)).toMatchObject({ event: 'closed' })
      expect(await app.exit).toMatchObject({ code: 0 })
    }
  })

  it('who follows a job that ends before the deadline is told how', async () => {
    const app = await start()
    await text(await send('POST', `${app.url}/told`))
    const client = await follow(`${app.url}/jobs/told/events`)
    await client.next()
    await client.next()
    app.kill()
    await app.tells('closing')
    app.child.send('answer')
    expect(await client.rest()).toMatchObject([{ event: 'state', status: { state: 'completed' } }])
    expect(await app.exit).toMatchObject({ code: 0 })
  })

  it.each([
    ['job', '/told'],
    ['flow', '/flow'],
  ])(
    'who waits for a %s by Prefer: wait is answered when it ends, and holds nothing up',
    async (_what, path) => {
      const app = await start('20s', 'none')
      const waiting = fetch(`${app.url}${path}`, { method: 'POST', headers: { Prefer: 'wait=30' } })
      await app.tells('at work')
      app.kill()
      await app.tells('closing')
      app.child.send('answer')
      const answer = await waiting
      expect([answer.status, await answer.json()]).toMatchObject([200, { state: 'completed' }])
      expect(await app.exit).toMatchObject({ code: 0 })
    },
  )

  it('a long answer that the end of a flow sets free as the last thing is sent whole', async () => {
    const app = await start('10m', 'none')
    const waiting = fetch(`${app.url}/long`, { method: 'POST', headers: { Prefer: 'wait=30' } })
    await app.tells('at work')
    app.kill()
    await app.tells('closing')
    app.child.send('answer')
    const { result } = (await (await waiting).json()) as { result: Record<string, string> }
    expect(Object.values(result).filter((text) => text.length === 1e6)).toHaveLength(20)
    expect(await app.exit).toMatchObject({ code: 0 })
  })

  it('who waits by Prefer: wait for a job that is lost is told 202 as the scheduler closes', async () => {
    const app = await start('500ms')
    const waiting = fetch(`${app.url}/job`, { method: 'POST', headers: { Prefer: 'wait=30' } })
    await app.tells('at work')
    app.kill()
    const answer = await waiting
    expect([answer.status, await answer.json()]).toMatchObject([202, { id: 'endless' }])
    expect(await app.tells('onClosed')).toMatchObject({ lost: 1 })
    expect(await app.exit).toMatchObject({ code: 0 })
  })

  it('finishes requests that wait behind another of their connection, and runs what they held', async () => {
    const app = await start()
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
    const answers = text(socket)
    await once(socket, 'connect')
    for (const path of ['slow', 'answered'])
      socket.write(`POST /${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
    await app.tells('answered')
    app.kill()
    await app.tells('signalled')
    app.child.send('answer')
    expect((await answers).match(/HTTP\/1.1 202/g)).toHaveLength(2)
    expect(await app.exit).toMatchObject({ code: 0 })
    expect(app.told.filter((event) => event === 'job ran')).toHaveLength(2)
  })

  it('gives a stuck request half of the timeout, and the scheduler the rest', async () => {
    const app = await start('2s')
    const stuck = send('POST', `${app.url}/slow`).catch((error: NodeJS.ErrnoException) => error.code)
    await app.tells('in flight')
    const startedAt = performance.now()
    app.kill()
    await app.tells('closing')
    const closingMs = performance.now() - startedAt
    expect(await app.exit).toMatchObject({ code: 0 })
    expect(closingMs).toBeGreaterThan(900)
    expect(closingMs).toBeLessThan(1900)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    expect(await stuck).toBe('ECONNRESET')
  })

  it('E3: exits with 1 at once on a second signal', async () => {
    const app = await start('25s', 'hangs')
    app.kill()
    await app.tells('onClosed')
    app.kill('SIGINT')
    const { code, by, stderr } = await app.exit
    expect([code, by]).toEqual([1, null])
    expect(stderr).toContain('a second signal (SIGINT) ends the process at once; jobs not settled: 0.')
    expect(app.told).not.toContain('onClosed ended')
  })

  it('takes the same signal again, passed on by a launcher, for the one it had', async () => {
    const app = await start()
    app.kill()
    app.kill()
    await app.tells('onClosed')
    expect(await app.exit).toMatchObject({ code: 0 })
  })

  it('takes the same signal again for a second one when a second has passed', () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(5_000)
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    onTestFinished(() => void vi.restoreAllMocks())
    const scheduler = makeScheduler()
    onTestFinished(closeOnSignal(createServer(), scheduler, { onClosed: () => new Promise(() => undefined) }))
    scheduler.defer(() => new Promise(() => undefined))
    for (const at of [5_000, 5_999]) {
      now.mockReturnValue(at)
      process.emit('SIGTERM', 'SIGTERM')
    }
    expect(exit).not.toHaveBeenCalled()
    now.mockReturnValue(6_000)
    process.emit('SIGTERM', 'SIGTERM')
    expect(exit).toHaveBeenCalledWith(1)
    expect(error).toHaveBeenCalledWith(
      expect.stringContaining('(SIGTERM) ends the process at once; jobs not settled: 1.'),
    )
  })

  it('of two servers with a scheduler each, ends the process when both have closed', async () => {
    const exited = signal<unknown>()
    const exit = vi.spyOn(process, 'exit').mockImplementation((code) => exited.resolve(code) as never)
    onTestFinished(() => void vi.restoreAllMocks())
    const ends = [signal(), signal()]
    const closed = [signal(), signal()]
    for (const [n, end] of ends.entries())
      onTestFinished(
        closeOnSignal(createServer(), makeScheduler(), {
          onClosed: () => {
            closed[n]?.resolve()
            return end.promise
          },
        }),
      )
    process.emit('SIGTERM', 'SIGTERM')
    for (const { promise } of closed) await promise
    ends[1]?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(exit).not.toHaveBeenCalled()
    ends[0]?.resolve()
    expect(await exited.promise).toBe(0)
  })

  it('exits with 1 and says why when onClosed fails', async () => {
    const app = await start('25s', 'throws')
    app.kill()
    const { code, stderr } = await app.exit
    expect(code).toBe(1)
    expect(stderr).toContain('no database')
  })

  it('takes its handlers off again', () => {
    const count = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')
    const server = createServer()
    const before = [count(), server.listenerCount('request')]
    const uninstall = closeOnSignal(server, makeScheduler())
    expect(count()).toBe(Number(before[0]) + 2)
    uninstall()
    expect([count(), server.listenerCount('request')]).toEqual(before)
  })

  it.each([
    [{ timeout: 'soon' }, /timeout is 'soon'/],
    [{ onClosed: 1 }, /onClosed is 1/],
    [{ signals: [] }, /unknown option 'signals'/],
  ])('refuses %j', (options, message) => {
    expect(() => closeOnSignal(createServer(), makeScheduler(), options as never)).toThrow(message)
  })
})

describe('closeOnSignal() refuses', () => {
  const listeners = () => process.listenerCount('SIGTERM')

  it.each([
    ['nothing of a server', {}, 'an object'],
    ['an app in the place of its server', express(), 'a function'],
    ['nothing', undefined, 'undefined'],
  ])('%s', (_name, server, shown) => {
    const before = listeners()
    expect(() => closeOnSignal(server as never, makeScheduler())).toThrow(
      expect.objectContaining({
        code: 'ERR_SIDEWORK_OPTION',
        message: `closeOnSignal() got ${shown} as server. Give what app.listen() returned, or another HTTP/1 server of Node.`,
      }),
    )
    expect(listeners()).toBe(before)
  })

  it('what is no scheduler', () => {
    expect(() => closeOnSignal(createServer(), {} as never)).toThrow(
      'closeOnSignal() got an object as scheduler. Give what createScheduler() returned.',
    )
  })
})
