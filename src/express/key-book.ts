/**
 * The keys of one `idempotent()`: which request has which, and what it was answered.
 *
 *   unknown ──first request──▶ running ──────handler answered──────▶ answered ──ttl──▶ unknown
 *      ▲                         │ 409, come again       ▲            the same answer again
 *      │                    client gone                  │
 *      │                         ▼                       │
 *      │                     running, for 5 minutes ─────┴─or no answer──▶ lost ──ttl──▶ unknown
 *      │                         │                                         409
 *      └── answered 429 or 503; or its held jobs were discarded, and it was answered or the 5 minutes are over
 */
import type { ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { monotonicMs } from '../clock.js'
import { answerProblem } from './answer.js'
import { giveAgain, recordAnswer, type Answer } from './answer-recorder.js'
import type { Next } from './middleware.js'
import { whenClosed } from './when-closed.js'

/** Most requests whose client has got its answer or gone, and most bytes of answers; the least recently used go first. */
const maxKept = 10_000
const maxBytes = 32 * 2 ** 20
/** Most bytes of one answer's body. */
const maxAnswerBytes = 2 ** 20

/** A handler may never answer a client that has gone, and may work on for it: it counts as at work for so long. */
const unansweredMs = 5 * 60_000

/** "Come again": nothing was done, so the next request is no repetition. */
const turnedAway: ReadonlySet<number> = new Set([429, 503])

/** One request that is or was carried out. */
interface Execution {
  readonly fingerprint: string
  /** `undefined` until its handler has answered. */
  answer: Answer | 'too-large' | undefined
  /** When it counts as never answered, on the monotonic clock; `Infinity` while its client waits. */
  lostAt: number
  /** Its held jobs were discarded, or it was turned away: once its handler has answered, it is as if it had never come. */
  isForgotten: boolean
  /** Somebody who sent the request again has its answer. */
  isGivenAgain: boolean
  /** Its key is free once its handler has answered. */
  forget(): void
}

/** By response under way: what is carried out with it, by each `idempotent()` that it has passed. */
const executionsOf = new WeakMap<ServerResponse, Execution[]>()

/** The request is to have had no effect, since its held jobs were discarded: its keys are free once its handler is done. */
export function forgetExecution(res: ServerResponse): void {
  for (const execution of executionsOf.get(res) ?? []) execution.forget()
}

/** Whether the response was given to a repetition of its request: then it has reached its client, whatever becomes of it. */
export function wasGivenAgain(res: ServerResponse): boolean {
  return executionsOf.get(res)?.some(({ isGivenAgain }) => isGivenAgain) ?? false
}

export class KeyBook {
  readonly #ttlMs: number
  /** Their clients wait: as many as there are requests under way, whatever the cache pushes out. */
  readonly #running = new Map<string, Execution>()
  readonly #kept: LRUCache<string, Execution>

  constructor(ttlMs: number) {
    this.#ttlMs = Math.ceil(ttlMs)
    this.#kept = new LRUCache({
      max: maxKept,
      maxSize: maxBytes,
      sizeCalculation: sizeOf,
      ttl: this.#ttlMs,
      ttlResolution: 0,
      perf: { now: () => monotonicMs() },
    })
  }

  /** @param asked what the request asks for: two that ask for the same thing give the same text */
  handle(key: string, asked: string, res: ServerResponse, next: Next): void {
    const earlier = this.#running.get(key) ?? this.#kept.get(key)
    if (earlier === undefined) return this.#execute(key, asked, res, next)
    if (earlier.fingerprint !== asked) return answerOther(res)
    const { answer, lostAt } = earlier
    if (answer === 'too-large')
      return answerLost(res, 'was carried out, but its answer was too large to keep')
    if (answer !== undefined) {
      earlier.isGivenAgain = true
      return giveAgain(res, answer)
    }
    if (monotonicMs() < lostAt) return answerRunning(res)
    answerLost(res, 'has had no answer in the 5 minutes since its client went away')
  }

  #execute(key: string, asked: string, res: ServerResponse, next: Next): void {
    const execution: Execution = {
      fingerprint: asked,
      answer: undefined,
      lostAt: Infinity,
      isForgotten: false,
      isGivenAgain: false,
      forget: () => {
        execution.isForgotten = true
        this.#keep(key, execution)
      },
    }
    this.#running.set(key, execution)
    executionsOf.set(res, [...(executionsOf.get(res) ?? []), execution])
    recordAnswer(res, maxAnswerBytes, (answer) => {
      execution.answer = answer
      execution.isForgotten ||= turnedAway.has(res.statusCode)
      this.#keep(key, execution)
    })
    whenClosed(res, () => {
      if (execution.answer !== undefined) return
      execution.lostAt = monotonicMs() + unansweredMs
      this.#keep(key, execution)
    })
    next()
  }

  /** After any change of an execution: moves it to where it belongs. */
  #keep(key: string, execution: Execution): void {
    const holder = this.#running.get(key) ?? this.#kept.peek(key)
    if (holder !== undefined && holder !== execution) return // the key is another request's by now
    if (execution.answer === undefined && execution.lostAt === Infinity) return // its client waits
    this.#running.delete(key)
    this.#kept.delete(key) // or an entry that is set again would keep its size
    const ttl = this.#ttlOf(execution)
    if (ttl > 0) this.#kept.set(key, execution, { ttl })
  }

  /** Of one that is no longer running with its client waiting. */
  #ttlOf({ answer, lostAt, isForgotten }: Execution): number {
    if (answer !== undefined) return isForgotten ? 0 : this.#ttlMs
    return isForgotten ? lostAt - monotonicMs() : Math.max(this.#ttlMs, unansweredMs)
  }
}

/** Bytes, roughly: what an execution weighs beyond its body is its headers. */
function sizeOf({ answer }: Execution): number {
  if (answer === undefined || answer === 'too-large') return 256
  return 1024 + JSON.stringify(answer.headers).length + answer.body.length
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
