/** Real servers and clients for the HTTP room's tests. Nothing here sleeps or polls. */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express5, { type Express } from 'express'
import express4 from 'express4'
import { onTestFinished } from 'vitest'

/** The frameworks every rule holds on. */
export const frameworks: readonly (readonly [string, () => Express])[] = [
  ['Express 5', () => express5()],
  ['Express 4', () => express4()],
]

/** A promise and what settles it. */
export function signal<T = void>() {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}

/** Serves on a free port until the test has finished. */
export async function serve(app: RequestListener): Promise<{ url: string; port: number; server: Server }> {
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${port}`, port, server }
}

export interface SseEvent {
  event?: string
  id?: string
  retry?: string
  comment?: string
  status: { id: string; state: string; [field: string]: unknown }
}

/** An event stream being read. */
export interface SseClient {
  readonly response: IncomingMessage
  /** The next block, as soon as it is there; `undefined` at the end. */
  next(): Promise<SseEvent | undefined>
  /** All blocks up to the end. */
  rest(): Promise<SseEvent[]>
  /** The client goes away. */
  leave(): void
}

/** Opens an event stream. */
export async function follow(url: string, headers: Record<string, string> = {}): Promise<SseClient> {
  const req = request(url, { headers, agent: false })
  req.end()
  const [response] = (await once(req, 'response')) as [IncomingMessage]
  const blocks = readBlocks(response)
  const next = async () => {
    const { value, done } = await blocks.next()
    return done ? undefined : value
  }
  const rest = async () => {
    const events: SseEvent[] = []
    for (let event = await next(); event; event = await next()) events.push(event)
    return events
  }
  return { response, next, rest, leave: () => req.destroy() }
}

async function* readBlocks(response: IncomingMessage): AsyncGenerator<SseEvent, undefined> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    yield* blocks.map(readBlock)
  }
  return undefined
}

function readBlock(block: string): SseEvent {
  const fields: Record<string, string> = {}
  for (const line of block.split('\n')) {
    const [name = '', value = ''] = line.split(/: ?(.*)/s)
    fields[name || 'comment'] = value
  }
  const { data, ...others } = fields
  return { ...others, status: data === undefined ? undefined : JSON.parse(data) }
}
