/**
 * Typed events, delivered in order after the call or message that caused them, a slice at a time so that no turn of the
 * event loop is held. Nothing is built for an event that nobody listens to: look at `wants` first.
 */
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { World } from '../world.js'
import { eventNames, type EventName, type SchedulerEvents } from './event-types.js'
import { Slice } from '../slice.js'

type Listener<E extends EventName> = (event: SchedulerEvents[E]) => void
interface Entry {
  readonly listener: Listener<never>
  readonly isOnce: boolean
}

export class Emitter {
  readonly #world: Pick<World, 'soon' | 'nextTurn' | 'clock'>
  readonly #onError: (event: EventName, error: unknown) => void
  /** Whether somebody listens: look here before building an event. */
  readonly wants: Record<EventName, boolean> = nobody()
  readonly #listeners = new Map<EventName, readonly Entry[]>()
  #queue: (readonly [EventName, object])[] = []
  /** The queue is delivered up to here. */
  #next = 0
  #willDeliver = false

  /** @param onError told when a listener throws, or answers a promise that rejects */
  constructor(
    world: Pick<World, 'soon' | 'nextTurn' | 'clock'>,
    onError: (event: EventName, error: unknown) => void,
  ) {
    this.#world = world
    this.#onError = onError
  }

  /** @throws OptionError for an event there is none of, and for what is no function */
  add<E extends EventName>(event: E, listener: Listener<E>, isOnce: boolean): void {
    check(event, listener)
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, isOnce }])
    this.wants[event] = true
  }

  /** @throws OptionError like `add` */
  remove(event: EventName, listener: (event: never) => void): void {
    check(event, listener)
    this.#keep(event, (entry) => entry.listener !== listener)
  }

  #keep(event: EventName, wanted: (entry: Entry) => boolean): void {
    const left = (this.#listeners.get(event) ?? []).filter(wanted)
    this.wants[event] = left.length > 0
    if (left.length === 0) this.#listeners.delete(event)
    else this.#listeners.set(event, left)
  }

  emit<E extends EventName>(event: E, data: SchedulerEvents[E]): void {
    if (!this.wants[event]) return
    this.#queue.push([event, Object.freeze(data)])
    if (this.#willDeliver) return
    this.#willDeliver = true
    this.#world.soon(this.#deliver)
  }

  readonly #deliver = (): void => {
    const slice = new Slice(this.#world.clock, 32)
    while (this.#next < this.#queue.length) {
      const entry = this.#queue[this.#next++]
      if (entry !== undefined) this.#tell(...entry)
      if (slice.step() && this.#next < this.#queue.length) {
        this.#world.nextTurn(this.#deliver)
        return
      }
    }
    this.#queue = []
    this.#next = 0
    this.#willDeliver = false
  }

  #tell(event: EventName, data: object): void {
    for (const entry of this.#listeners.get(event) ?? []) {
      if (entry.isOnce) this.#keep(event, (other) => other !== entry)
      const tell = entry.listener as (data: object) => unknown // registered for this event, so it takes its data
      try {
        const told = tell(data) as { then?: unknown } | null | undefined // or anything else without a `then`
        if (typeof told?.then === 'function') this.#await(event, told as PromiseLike<unknown>)
      } catch (error) {
        this.#onError(event, error)
      }
    }
  }

  /** A listener may be an async function: nobody else hears of its rejection. */
  #await(event: EventName, told: PromiseLike<unknown>): void {
    told.then(undefined, (error: unknown) => this.#onError(event, error))
  }
}

function check(event: EventName, listener: unknown): void {
  if (!eventNames.includes(event)) {
    throw new OptionError(`There is no event ${show(event)}. Known are: ${eventNames.join(', ')}.`)
  }
  if (typeof listener === 'function') return
  throw new OptionError(`The listener for '${event}' is ${show(listener)}. Give a function (event) => void.`)
}

function nobody(): Record<EventName, boolean> {
  return Object.fromEntries(eventNames.map((event) => [event, false])) as Record<EventName, boolean> // every name
}
