/** Listens in on a response, so that the same answer can be given again. */
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** One whole answer. */
export interface Answer {
  readonly statusCode: number
  readonly statusMessage: string
  readonly headers: Readonly<OutgoingHttpHeaders>
  readonly body: Buffer
}

/** Headers of one connection or one moment; an answer given again has its own. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'date',
  'keep-alive',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The three methods that all of a response goes through. Their overloads do not matter to who only listens in. */
type Method = (...args: unknown[]) => unknown
interface Heard {
  writeHead: Method
  write: Method
  end: Method
}

/**
 * Calls back once, when the handler has said all it has to say, whether or not the client is still there: with the answer,
 * or with 'too-large' when its body has more than `maxBytes`. Middleware between this and the handler is heard through;
 * middleware around this (one that compresses, say) does its work again on the answer given again.
 */
export function recordAnswer(
  res: ServerResponse,
  maxBytes: number,
  ended: (answer: Answer | 'too-large') => void,
): void {
  const heard = res as unknown as Heard // has those methods, with narrower parameters
  const { writeHead, write, end } = heard
  const chunks: Buffer[] = []
  let size = 0
  let headers: OutgoingHttpHeaders | undefined
  let isOver = false
  /** What a method calls of the others is its own doing: HTTP/2's `end` writes its chunk. */
  let isInside = false
  const keep = (chunk: unknown, encoding: unknown): void => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return
    const bytes = Buffer.from(chunk as string, encodingOf(encoding)) // a copy: the handler may use its buffer again
    size += bytes.length
    if (size <= maxBytes) chunks.push(bytes)
    else chunks.length = 0
  }
  const done = (): void => {
    if (isOver) return
    isOver = true
    const { statusCode, statusMessage } = res
    headers ??= res.getHeaders() // of a response that was destroyed before its head could be sent
    ended(size > maxBytes ? 'too-large' : { statusCode, statusMessage, headers, body: Buffer.concat(chunks) })
  }
  heard.writeHead = (status, first, second) => {
    const hasMessage = typeof first === 'string'
    // Headers given here would not show in getHeaders() unless they are set first.
    setHeaders(res, hasMessage ? second : (second ?? first))
    headers = { ...res.getHeaders() }
    return writeHead.apply(res, hasMessage ? [status, first] : [status])
  }
  /** Hears what the method was given, unless it throws: somebody else answers then. */
  const hear = (method: Method, args: unknown[]): unknown => {
    if (isInside) return method.apply(res, args)
    isInside = true
    try {
      const result = method.apply(res, args)
      if (!isOver) keep(args[0], args[1])
      return result
    } finally {
      isInside = false
    }
  }
  heard.write = (...args) => hear(write, args)
  heard.end = (...args) => {
    const result = hear(end, args)
    done()
    return result
  }
}

/** Gives a recorded answer. */
export function giveAgain(res: ServerResponse, { statusCode, statusMessage, headers, body }: Answer): void {
  res.statusCode = statusCode
  res.statusMessage = statusMessage
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !ownHeaders.has(name)) res.setHeader(name, value)
  }
  res.end(body)
}

function encodingOf(value: unknown): BufferEncoding | undefined {
  return typeof value === 'string' ? (value as BufferEncoding) : undefined // Node has checked it, or will
}

/** As writeHead takes them: an object, a list of pairs, or a flat list of names and values. */
function setHeaders(res: ServerResponse, given: unknown): void {
  if (typeof given !== 'object' || given === null) return
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given as OutgoingHttpHeaders)) {
      if (value !== undefined) res.setHeader(name, value)
    }
    return
  }
  const pairs = pairsOf(given)
  for (const [name] of pairs) res.removeHeader(name)
  for (const [name, value] of pairs) res.appendHeader(name, value as string)
}

function pairsOf(list: readonly unknown[]): (readonly [string, OutgoingHttpHeader])[] {
  if (Array.isArray(list[0])) return list as [string, OutgoingHttpHeader][] // what Node's types ask for
  return Array.from({ length: list.length / 2 }, (_, at) => {
    return [String(list[2 * at]), list[2 * at + 1] as OutgoingHttpHeader] as const
  })
}
