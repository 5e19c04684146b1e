/** What a scanner would try: every route with every method, origin, header trick, path and id, over a raw socket. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { expect, it } from 'vitest'
import { jobsRouter, sidework } from '../../src/express/index.js'
import { makeScheduler } from './make-scheduler.js'
import { frameworks, serve } from './serving.js'

const methods = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'],
  ...['PROPFIND', 'MKCOL', 'LOCK', 'SEARCH', 'PURGE', 'QUERY'],
]
const origins = [
  [],
  ['Origin: https://evil.example'],
  ['Origin: null'],
  ['Origin: '],
  ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Content-Type: text/plain'],
  ['Sec-Fetch-Site: same-site'],
  ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Site: same-origin'],
  ['Sec-Fetch-Site: same-origin, cross-site'],
]
const tricks = [
  [],
  ['X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE', 'X-HTTP-Method: DELETE'],
  ['X-Forwarded-Host: evil.example', 'X-Original-URL: /jobs/mine', 'X-Rewrite-URL: /jobs/mine'],
  ['__proto__: x', 'constructor: x', 'prototype: x', 'toString: x'],
  ['Accept: text/html', 'Accept-Encoding: gzip;q=1e9, *;q=-1', 'Range: bytes=0-1,5-1,-1'],
  ['If-None-Match: *', 'If-Modified-Since: x', 'Expect: nonsense', 'TE: trailers'],
  ['Last-Event-ID: \xff\xfe', 'Prefer: wait=999999999', 'Idempotency-Key: ""'],
  [`Cookie: ${'a=1; '.repeat(500)}`, `X-Request-Id: ${'x'.repeat(4000)}`, 'traceparent: 00-0-0-0'],
]
const ids = [
  ...['mine', 'theirs', 'unknown', '', '.', '..', '*', 'mine;', 'mine%00', 'mine%2f', 'MINE', '%6d%69%6e%65'],
  ...[
    '%ff',
    '%',
    '%e0%80%80',
    '..%2f..%2fetc%2fpasswd',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '%0d%0aX:%20y',
  ],
  ...[
    'x'.repeat(6000),
    '<svg onload=alert(1)>'.replaceAll(' ', '%20'),
    "'%20OR%201=1--",
    '${7*7}',
    '{{7*7}}',
  ],
]
const tails = [
  '',
  '/',
  '/events',
  '/events/',
  '/events/x',
  '//events',
  '/EVENTS',
  '?key=1',
  '/events?_method=DELETE',
  '#x',
]

interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Sends one request as these very bytes, and reads until the server ends; an event stream only up to its head. */
async function send(port: number, lines: readonly string[]): Promise<Reply> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.from(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1'))
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) {
    text += chunk
    if (text.includes('text/event-stream') && text.includes('\r\n\r\n')) break
  }
  const [head = '', ...body] = text.split('\r\n\r\n')
  const [first = '', ...fields] = head.split('\r\n')
  const headers = new Map(
    fields.map((field) => [field.split(':', 1)[0]?.toLowerCase() ?? '', field.replace(/^[^:]*: ?/, '')]),
  )
  return { status: Number(first.split(' ')[1]), headers, body: body.join('\r\n\r\n') }
}

const known = new Set([200, 204, 400, 403, 404, 405, 417, 431])

it.each(frameworks)(
  'on %s no probe changes a job, opens one that is not the visitor’s, or makes the server fail',
  async (_name, createApp) => {
    const scheduler = makeScheduler()
    const failures: unknown[] = []
    const app = createApp().disable('x-powered-by').use(sidework(scheduler))
    app.use(
      '/jobs',
      jobsRouter(scheduler, { authorize: (_req, job) => job.id === 'mine', expose: ['result'] }),
    )
    app.use(((_req, res) => {
      res.writeHead(404, { 'X-From': 'app' }).end('nothing here')
    }) as RequestHandler)
    app.use(((error, _req, res, _next) => {
      const status = (error as { status?: number }).status ?? 500
      if (status >= 500) failures.push(error)
      res.status(status).end()
    }) as ErrorRequestHandler)
    const forever = () => new Promise(() => undefined)
    for (const id of ['mine', 'theirs']) scheduler.defer(forever, { id })
    const { port } = await serve(app)

    const probes: { method: string; path: string; extra: readonly string[] }[] = []
    for (const method of methods)
      for (const extra of origins) probes.push({ method, path: '/jobs/theirs', extra })
    for (const method of methods)
      for (const extra of tricks) probes.push({ method, path: '/jobs/theirs', extra })
    for (const method of ['GET', 'DELETE', 'POST'])
      for (const id of ids)
        for (const tail of tails)
          probes.push({ method, path: `/jobs/${id}${tail}`, extra: ['Sec-Fetch-Site: cross-site'] })
    for (const extra of tricks)
      for (const tail of tails) probes.push({ method: 'GET', path: `/jobs/mine${tail}`, extra })
    for (const path of [
      '/jobs',
      '/jobs/',
      '//jobs/theirs',
      '/jobs//theirs',
      '/jobs/./theirs',
      '/jobs/x/../theirs',
      '/JOBS/theirs',
      'http://evil.example/jobs/theirs',
    ])
      for (const method of methods) probes.push({ method, path, extra: ['Origin: https://evil.example'] })

    const queue = [...probes]
    const replies: (readonly [(typeof probes)[number], Reply])[] = []
    const worker = async () => {
      for (let probe = queue.pop(); probe !== undefined; probe = queue.pop()) {
        const { method, path, extra } = probe
        replies.push([probe, await send(port, [`${method} ${path} HTTP/1.1`, 'Host: app.example', ...extra])])
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))

    expect(replies).toHaveLength(probes.length)
    expect(failures).toEqual([])
    for (const [{ method, path, extra }, { status, headers, body }] of replies) {
      const probe = `${method} ${path.slice(0, 80)} ${extra.join(' | ').slice(0, 80)} → ${status}`
      expect(known, probe).toContain(status)
      expect(body, probe).not.toContain('"theirs"')
      expect(body, probe).not.toMatch(/ at .*\.[jt]s:\d/)
      if (headers.get('x-from') === 'app' || status === 400 || status === 417 || status === 431) continue
      expect(headers.get('cache-control'), probe).toContain('no-store')
      expect(headers.get('x-content-type-options'), probe).toBe('nosniff')
      expect(headers.get('cross-origin-resource-policy'), probe).toBe('same-origin')
      expect(
        [...headers.keys()].filter((name) => name.startsWith('access-control') || name === 'x'),
        probe,
      ).toEqual([])
      if (status >= 400) expect(headers.get('content-type'), probe).toBe('application/problem+json')
      if (status === 405) expect(headers.get('allow'), probe).toMatch(/^(DELETE, )?GET, HEAD$/)
      if (status === 200) expect(['GET', 'HEAD'], probe).toContain(method)
    }
    // Whatever was asked for, of what is not there or not theirs there is one answer.
    const notFound = replies.filter(
      ([{ method }, { status, headers }]) => method !== 'HEAD' && status === 404 && !headers.has('x-from'),
    )
    expect(notFound.length).toBeGreaterThan(100)
    const answers = notFound.map(([, { headers, body }]) => {
      const own = [...headers].filter(([name]) => name !== 'date')
      return JSON.stringify([own, body])
    })
    expect([...new Set(answers)]).toHaveLength(1)
    for (const id of ['mine', 'theirs']) expect(scheduler.job(id)?.state).toBe('running')
    expect(scheduler.stats().accepted).toBe(2)
  },
  60_000,
)
