/**
 * Puts `defer` on a request and `accepted` on its response, made when somebody asks for them.
 *
 * Express gives every request and response another prototype, and from then on V8 makes a new hidden class for each
 * property that is added: 2–4 µs, half of all that deferring costs. Under Express they are therefore accessors of its own
 * `request` and `response`, which look up what was given to whom; other frameworks get plain properties.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Scheduler } from '../scheduler.js'
import { answerAccepted, type Accepted, type AcceptedPlace } from './accepted.js'
import type { DeferPort } from './port.js'
import { deferOf, type RequestDefer } from './request-defer.js'

/** What one pass through the middleware gives. */
export class Members {
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #port: Scheduler & DeferPort
  readonly #place: AcceptedPlace
  readonly #isLate: boolean
  #defer: RequestDefer | undefined
  #accepted: Accepted | undefined

  constructor(req: IncomingMessage, res: ServerResponse, port: Scheduler & DeferPort, place: AcceptedPlace) {
    this.#req = req
    this.#res = res
    this.#port = port
    this.#place = place
    this.#isLate = port.isClosing
  }

  get defer(): RequestDefer {
    return (this.#defer ??= deferOf(this.#req, this.#res, this.#port, this.#isLate))
  }

  get accepted(): Accepted {
    return (this.#accepted ??= (job, body) => answerAccepted(this.#res, this.#place, job, body))
  }
}

const given = new WeakMap<object, Members>()
/** Prototypes that have an accessor of this module. */
const ours = new WeakSet<object>()
/** By the direct prototype of a message: whether the accessors are on its way up. */
const hasAccessors = new WeakMap<object, boolean>()

export function giveMembers(req: IncomingMessage, res: ServerResponse, members: Members): void {
  if (
    res.req === req &&
    mayBorrow(req, 'defer', IncomingMessage.prototype) &&
    mayBorrow(res, 'accepted', ServerResponse.prototype)
  ) {
    given.set(req, members)
  } else {
    Object.assign(req, { defer: members.defer })
    Object.assign(res, { accepted: members.accepted })
  }
}

/** A member of its own, put there by somebody else, would hide the accessor. */
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
    get(this: { readonly req: object }) {
      return given.get(name === 'accepted' ? this.req : this)?.[name]
    },
    set(this: object, value: unknown) {
      Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    },
  })
  return true
}
