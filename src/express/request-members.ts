/**
 * Puts `defer` on a request and `accepted` on its response, made whenever somebody asks for them.
 *
 * Express gives every request and response another prototype, and from then on V8 makes a new hidden class for each
 * property that is added: 2–4 µs, more than deferring costs. Under Express they are therefore accessors of its own
 * `request` and `response` that look up what was given to whom; other frameworks get plain properties. What is looked up is
 * one object for all requests: V8's young collections keep the values of an old WeakMap alive, and with them whatever they
 * lead to, so that a value of its own would carry each request into the old generation.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { fromLineOf } from '../errors.js'
import { answerAccepted, type Accepted, type AcceptedPlace } from './accepted.js'
import { deferOf, type DeferTerms, type RequestDefer } from './request-defer.js'

/** What one middleware gives to requests. */
export class Members {
  readonly #terms: DeferTerms
  readonly #place: AcceptedPlace

  constructor(terms: DeferTerms, place: AcceptedPlace) {
    this.#terms = terms
    this.#place = place
  }

  defer(req: IncomingMessage, res: ServerResponse): RequestDefer {
    return deferOf(req, res, this.#terms)
  }

  accepted(_req: IncomingMessage, res: ServerResponse): Accepted {
    const accepted: Accepted = (job, body) =>
      fromLineOf(accepted, () => answerAccepted(res, this.#place, job, body))
    return accepted
  }
}

const given = new WeakMap<object, Members>()
/** Prototypes that have an accessor of this module. */
const ours = new WeakSet<object>()
/** By the direct prototype of a message: whether the accessors are on its way up. */
const hasAccessors = new WeakMap<object, boolean>()

/** Express's, each of which leads to the other. */
type Message = Partial<{ req: IncomingMessage; res: ServerResponse }>

export function giveMembers(req: IncomingMessage & Message, res: ServerResponse, members: Members): void {
  if (
    req.res === res &&
    res.req === req &&
    mayBorrow(req, 'defer', IncomingMessage.prototype) &&
    mayBorrow(res, 'accepted', ServerResponse.prototype)
  ) {
    given.set(req, members)
  } else {
    Object.assign(req, { defer: members.defer(req, res) })
    Object.assign(res, { accepted: members.accepted(req, res) })
  }
}

/** A member of its own, put there by somebody else or by an earlier middleware, would hide the accessor. */
function mayBorrow(message: object, name: keyof Members, root: object): boolean {
  if (Object.hasOwn(message, name)) return false
  const prototype = Object.getPrototypeOf(message) as object
  let has = hasAccessors.get(prototype)
  if (has === undefined) hasAccessors.set(prototype, (has = addAccessor(prototype, name, root)))
  return has
}

/** Onto the prototype that all apps of this Express share, so that a mounted app's request keeps it when it leaves. */
function addAccessor(prototype: object, name: keyof Members, root: object): boolean {
  let shared: object | null = null
  for (let at: object | null = prototype; at !== root; at = Object.getPrototypeOf(at) as object | null) {
    if (at === null) return false
    shared = at
  }
  if (shared === null) return false // a bare message of node:http: nothing is to be added for all of the process
  if (name in shared && !ours.has(shared)) return false
  ours.add(shared)
  Object.defineProperty(shared, name, {
    configurable: true,
    enumerable: false,
    get(this: Message) {
      return memberOf(name, this)
    },
    set(this: object, value: unknown) {
      Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    },
  })
  return true
}

/** The message may be a proxy of what Express made, or inherit from it. */
function memberOf(name: keyof Members, message: Message): unknown {
  const { req } = (message.res ?? message) as Message
  const res = (req as Message | undefined)?.res
  return req && res && given.get(req)?.[name](req, res)
}
