/** A thousand open streams over real connections, some of whose readers never read. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { expect, it, onTestFinished } from 'vitest'
import { jobsRouter } from '../../src/express/index.js'
import type { TaskContext } from '../../src/task/context.js'
import { Snooze } from '../../src/task/control.js'
import { makeScheduler } from './make-scheduler.js'
import { signal } from './serving.js'

const [jobs, streamsPerJob] = [10, 100]

it('G9, G10: of 1,000 clients 100 that never read cost at most 64 KB each, and the others see the end', async () => {
  const scheduler = makeScheduler()
  const responses: ServerResponse[] = []
  const [opened, done] = [signal(), signal()]
  const app = express().use((_req, res, next) => {
    responses.push(res)
    next()
  }, jobsRouter(scheduler))
  const folder = await mkdtemp(join(tmpdir(), 'sidework-'))
  // Over a path, the operating system buffers 200 KB of a connection and not megabytes.
  const path = join(folder, 'socket')
  const server = createServer(app).listen(path)
  await once(server, 'listening')
  onTestFinished(async () => {
    server.close()
    server.closeAllConnections()
    await rm(folder, { recursive: true })
  })
  let mostBytes = 0
  const behind = new Set<ServerResponse>()
  const look = () => {
    for (const res of responses) {
      mostBytes = Math.max(mostBytes, res.writableLength)
      if (res.writableLength > 32_000) behind.add(res)
    }
  }
  // Says 8 KB again and again, until all of its readers, who never read, are behind.
  let rounds = 0
  const chat = async ({ progress }: TaskContext) => {
    await opened.promise
    look()
    progress({ message: `${'x'.repeat(8_000)} ${++rounds}` })
    if (behind.size < streamsPerJob) throw new Snooze(0)
    done.resolve()
  }
  scheduler.defer(chat, { id: 'j0' })
  for (let n = 1; n < jobs; n++) scheduler.defer(() => 1, { id: `j${n}`, delay: '1h' })

  const open = async (id: string, reads: boolean): Promise<{ socket: Socket; text: Promise<string> }> => {
    const socket = connect(path)
    await once(socket, 'connect')
    let tail = ''
    const ended = signal<string>()
    if (reads) {
      socket.setEncoding('latin1').on('data', (chunk: string) => (tail = (tail + chunk).slice(-9000)))
      socket.once('end', () => ended.resolve(tail))
    }
    socket.write(`GET /${id}/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    // Whoever never reads has got its first bytes, then stops.
    await once(socket, reads ? 'data' : 'readable')
    return { socket, text: ended.promise }
  }
  const readers: Promise<string>[] = []
  const sockets: Socket[] = []
  for (let n = 0; n < jobs; n++) {
    const streams = await Promise.all(Array.from({ length: streamsPerJob }, () => open(`j${n}`, n > 0)))
    sockets.push(...streams.map(({ socket }) => socket))
    if (n > 0) readers.push(...streams.map(({ text }) => text))
  }
  const oneMore = request({ socketPath: path, path: '/j0/events', agent: false }).end()
  const [refused] = (await once(oneMore, 'response')) as [IncomingMessage]
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '5'])
  expect(responses.splice(-1)[0]?.statusCode).toBe(503)
  expect(responses.map(({ statusCode }) => statusCode)).toEqual(Array(1000).fill(200))

  opened.resolve()
  await done.promise
  for (let n = 1; n < jobs; n++) scheduler.cancel(`j${n}`)
  for (const text of await Promise.all(readers)) expect(text).toContain('"state":"cancelled"')
  look()
  expect(behind.size).toBe(streamsPerJob)
  expect(mostBytes).toBeLessThanOrEqual(64 * 1024)
  expect(mostBytes).toBeGreaterThan(32_000)
  for (const socket of sockets) socket.destroy()
}, 60_000)
