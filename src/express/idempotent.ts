/**
 * `idempotent({ ttl })`: a request that a client sends again is carried out once. After
 * draft-ietf-httpapi-idempotency-key-header-07.
 *
 *   unknown ──first request──▶ running ──answered──▶ answered ──ttl──▶ unknown
 *      ▲                        │  409                  the same answer again
 *      └── 429, 503, or its held jobs were discarded ◀──┘
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { monotonicMs } from '../clock.js'
import { fromLineOf, OptionError } from '../errors.js'
import { durationMs, flag, ownOptions, show, type Duration } from '../options.js'
import { answerProblem } from './answer.js'
import { giveAgain, recordAnswer, type Answer } from './answer-recorder.js'
import { asError } from './as-error.js'
import { credentials, digest, fingerprint, readKey } from './idempotency-key.js'
import type { AuthorizedRequest } from './jobs-router.js'
import type { ConnectHandler, Next } from './middleware.js'
import { safeMethods } from './safe-methods.js'
import { whenClosed } from './when-closed.js'

/** How `idempotent()` behaves. */
export interface IdempotentOptions {
  /** How long an answer is given again, counted from when it was first given. Above 0; '24h' is usual. */
  ttl: Duration
  /** Whether a request without a key is answered 400. Default false: it is carried out as if this were not here. */
  required?: boolean | undefined
  /**
   * Whose key it is: the same key in two scopes is two keys. Default: the `Authorization` and `Cookie` headers, so that
   * nobody gets another's answer. Give the user's id where those change between a request and its repetition. What it
   * throws goes to `next(error)`.
   */
  scope?(this: void, req: AuthorizedRequest): string
}

/** Most answers kept, and most bytes of them, per `idempotent()`; the least recently used go first. */
const maxAnswers = 10_000
const maxBytes = 32 * 2 ** 20
/** Most bytes of one answer's body. */
const maxAnswerBytes = 2 ** 20

/** "Come again": nothing was done, so the next request is no repetition. */
const turnedAway: ReadonlySet<number> = new Set([429, 503])

/** What is known of a key. */
type Entry =
  | { readonly state: 'answered'; readonly fingerprint: string; readonly answer: Answer }
  /** Its answer was too large to keep, or never came. */
  | { readonly state: 'lost'; readonly fingerprint: string; readonly why: string }

/** Responses under way, and what frees their key. */
const executions = new WeakMap<ServerResponse, () => void>()

/** The request had no effect, since its held jobs were discarded: its key is as if it had never come. */
export function forgetExecution(res: ServerResponse): void {
  executions.get(res)?.()
}

/**
 * Middleware for one route, after the body parser and after authentication. The first request with an `Idempotency-Key`
 * is carried out. While it is, others with that key are answered 409; afterwards they get the same answer (status,
 * headers, body) until `ttl` is over. The same key with another method, URL or body: 422. A malformed key, or none where
 * one is `required`: 400. Safe methods pass.
 *
 * A request answered 429 or 503 was turned away, not carried out: its key is free. So is that of a request whose held jobs
 * were discarded because its client went away. Answers live in this process: 10,000 of them, 32 MiB in all; one of more
 * than 1 MiB is not kept, and its repetition answered 409.
 * @throws OptionError for unknown and bad options, and without `ttl`
 * @example
 * app.post('/reports', express.json(), idempotent({ ttl: '24h', scope: (req) => req.user.id }), createReport)
 */
export function idempotent(options: IdempotentOptions): ConnectHandler {
  const { ttlMs, isRequired, scope } = fromLineOf(idempotent, () => readOptions(options))
  // Made for the first key, as it sets up all it may ever hold.
  let keys: KeyBook | undefined
  return (req, res, next) => {
    if (safeMethods.has(req.method)) return next()
    const read = readKey(req)
    if (read === 'malformed') return answerMalformed(res)
    if (read === 'missing') return isRequired ? answerMissing(res) : next()
    const asked = readAsked(req)
    if (asked === undefined) return answerIncomparable(res)
    let owner: string
    try {
      // Inside a framework the request is its own, with what middleware declared on it.
      owner = readOwner(scope(req as AuthorizedRequest))
    } catch (error) {
      return next(asError('scope', error))
    }
    keys ??= new KeyBook(ttlMs)
    keys.handle(digest(owner, read.key), asked, res, next)
  }
}

function readOptions(options: IdempotentOptions): {
  readonly ttlMs: number
  readonly isRequired: boolean
  readonly scope: NonNullable<IdempotentOptions['scope']>
} {
  const own: Partial<IdempotentOptions> = ownOptions(
    'idempotent()',
    options,
    new Set(['ttl', 'required', 'scope']),
  )
  const ttlMs = durationMs('ttl', own.ttl)
  const isRequired = flag('required', own.required ?? false)
  return { ttlMs, isRequired, scope: readScope(own.scope) ?? credentials }
}

/** One request that is being carried out. */
interface Execution {
  readonly fingerprint: string
  isForgotten: boolean
}

/** The keys of one route. */
class KeyBook {
  /** As many as there are requests under way, whatever the cache pushes out. */
  readonly #running = new Map<string, Execution>()
  readonly #known: LRUCache<string, Entry>

  constructor(ttlMs: number) {
    this.#known = new LRUCache({
      max: maxAnswers,
      maxSize: maxBytes,
      sizeCalculation: sizeOf,
      ttl: Math.ceil(ttlMs),
      ttlResolution: 0,
      perf: { now: () => monotonicMs() },
    })
  }

  handle(key: string, asked: string, res: ServerResponse, next: Next): void {
    const known = this.#known.get(key)
    const earlier = this.#running.get(key) ?? known
    if (earlier === undefined) return this.#execute(key, asked, res, next)
    if (earlier.fingerprint !== asked) return answerOther(res)
    if (known === undefined) return answerRunning(res)
    if (known.state === 'lost') return answerLost(res, known.why)
    giveAgain(res, known.answer)
  }

  #execute(key: string, asked: string, res: ServerResponse, next: Next): void {
    const execution: Execution = { fingerprint: asked, isForgotten: false }
    this.#running.set(key, execution)
    const settle = (entry: Entry | undefined): void => {
      if (execution.isForgotten) return // the key may be another request's by then
      this.#running.delete(key)
      this.#known.delete(key)
      if (entry !== undefined) this.#known.set(key, entry)
    }
    executions.set(res, () => {
      settle(undefined)
      execution.isForgotten = true
    })
    recordAnswer(res, maxAnswerBytes, (answer) => {
      settle(turnedAway.has(res.statusCode) ? undefined : entryOf(asked, answer))
    })
    whenClosed(res, () => {
      if (this.#running.get(key) !== execution) return
      // The handler may never answer a client that is gone, yet may have done its work: no second time before the ttl.
      settle({ state: 'lost', fingerprint: asked, why: 'was not answered' })
    })
    next()
  }
}

function entryOf(asked: string, answer: Answer | 'too-large'): Entry {
  return answer === 'too-large'
    ? { state: 'lost', fingerprint: asked, why: 'was carried out, but its answer was too large to keep' }
    : { state: 'answered', fingerprint: asked, answer }
}

/** Bytes, roughly: what an entry weighs beyond its body is its headers. */
function sizeOf(entry: Entry): number {
  if (entry.state === 'lost') return 256
  return 1024 + JSON.stringify(entry.answer.headers).length + entry.answer.body.length
}

function readScope(value: unknown): IdempotentOptions['scope'] {
  // Only the type of the parameter is unknown at run time; it is this file's to give.
  if (value === undefined || typeof value === 'function') return value as IdempotentOptions['scope']
  throw new OptionError(`scope is ${show(value)}. Give a function (req) => string.`)
}

function readOwner(value: unknown): string {
  if (typeof value === 'string') return value
  throw new OptionError(
    `The scope of idempotent() answered ${show(value)}. Answer a string, e.g. the user's id.`,
  )
}

/** `undefined` for a body that is not JSON, or nested too deep to be written. */
function readAsked(req: IncomingMessage): string | undefined {
  try {
    return fingerprint(req)
  } catch {
    return undefined // the answer tells
  }
}

const example = 'Send a unique string, e.g. Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".'

function answerMissing(res: ServerResponse): void {
  answerProblem(res, 400, 'Idempotency-Key is missing', `This operation needs an Idempotency-Key. ${example}`)
}

function answerMalformed(res: ServerResponse): void {
  answerProblem(
    res,
    400,
    'Idempotency-Key is malformed',
    `A key has 1 to 256 printable characters. ${example}`,
  )
}

function answerIncomparable(res: ServerResponse): void {
  answerProblem(res, 400, 'Bad Request', 'The body cannot be compared with that of another request.')
}

function answerRunning(res: ServerResponse): void {
  answerProblem(
    res,
    409,
    'A request is outstanding for this Idempotency-Key',
    'A request with this Idempotency-Key is being carried out. Send it again later for its answer.',
    { 'Retry-After': '1' },
  )
}

function answerLost(res: ServerResponse, why: string): void {
  answerProblem(
    res,
    409,
    'The answer for this Idempotency-Key is not there',
    `A request with this Idempotency-Key ${why}. To carry it out once more, send another key.`,
  )
}

function answerOther(res: ServerResponse): void {
  answerProblem(
    res,
    422,
    'Idempotency-Key is already used',
    'Another request has used this Idempotency-Key. Send a key of its own with each request.',
  )
}
