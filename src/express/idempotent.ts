/**
 * `idempotent({ ttl })`: a request that a client sends again is carried out once. After
 * draft-ietf-httpapi-idempotency-key-header-07.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fromLineOf, OptionError } from '../errors.js'
import { durationMs, flag, ownOptions, show, type Duration } from '../options.js'
import { answerProblem } from './answer.js'
import { asError } from './as-error.js'
import { credentials, digest, fingerprint, readKey } from './idempotency-key.js'
import type { AuthorizedRequest } from './jobs-router.js'
import { KeyBook } from './key-book.js'
import type { ConnectHandler } from './middleware.js'
import { safeMethods } from './safe-methods.js'

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

/**
 * Middleware for one route, after the body parser and after authentication. The first request with an `Idempotency-Key`
 * is carried out. While it is, others with that key are answered 409; afterwards they get the same answer (status,
 * headers, body) until `ttl` is over. The same key with another method, URL or body: 422. A malformed key, or none where
 * one is `required`: 400. Safe methods pass.
 *
 * A request answered 429 or 503 was turned away, not carried out: its key is free. So is, once its handler has answered,
 * that of a request whose held jobs were discarded because its client went away. A handler whose client has gone counts as
 * at work for 5 minutes. Answers live in this process: 10,000 of them, 32 MiB in all; one of more than 1 MiB is not kept,
 * and its repetition answered 409.
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
