/**
 * Typed events, delivered in order after the call or message that caused them, a slice at a time so that no turn of the
 * event loop is held. Nothing is built for an event that nobody listens to: ask `wants` first.
 */
import type { World } from '../world.js'
import type { EventName, SchedulerEvents } from './event-types.js'

type Listener<E extends EventName> = (event: SchedulerEvents[E]) => void
interface Entry {
  readonly listener: Listener<never>
  readonly isOnce: boolean
}

const sliceMs = 2

export class Emitter {
  readonly #world: Pick<World, 'soon' | 'nextTurn' | 'clock'>
  readonly #onError: (event: EventName, error: unknown) => void
  readonly #listeners = new Map<EventName, readonly Entry[]>()
  #queue: (readonly [EventName, object])[] = []
  /** The queue is delivered up to here. */
  #next = 0
  #willDeliver = false

  /** @param onError told when a listener throws */
  constructor(
    world: Pick<World, 'soon' | 'nextTurn' | 'clock'>,
    onError: (event: EventName, error: unknown) => void,
  ) {
    this.#world = world
    this.#onError = onError
  }

  wants(event: EventName): boolean {
    return this.#listeners.has(event)
  }

  add<E extends EventName>(event: E, listener: Listener<E>, isOnce: boolean): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, isOnce }])
  }

  remove(event: EventName, listener: (event: never) => void): void {
    const left = (this.#listeners.get(event) ?? []).filter((entry) => entry.listener !== listener)
    if (left.length === 0) this.#listeners.delete(event)
    else this.#listeners.set(event, left)
  }

  emit<E extends EventName>(event: E, data: SchedulerEvents[E]): void {
    if (!this.#listeners.has(event)) return
    this.#queue.push([event, Object.freeze(data)])
    if (this.#willDeliver) return
    this.#willDeliver = true
    this.#world.soon(this.#deliver)
  }

  readonly #deliver = (): void => {
    const start = this.#world.clock.precise()
    while (this.#next < this.#queue.length) {
      const entry = this.#queue[this.#next++]
      if (entry !== undefined) this.#tell(...entry)
      if (
        this.#next % 32 === 0 &&
        this.#next < this.#queue.length &&
        this.#world.clock.precise() - start > sliceMs
      ) {
        this.#world.nextTurn(this.#deliver)
        return
      }
    }
    this.#queue = []
    this.#next = 0
    this.#willDeliver = false
  }

  #tell(event: EventName, data: object): void {
    for (const { listener, isOnce } of this.#listeners.get(event) ?? []) {
      if (isOnce) this.remove(event, listener)
      try {
        const tell = listener as (data: object) => void // registered for this event, so it takes its data
        tell(data)
      } catch (error) {
        this.#onError(event, error)
      }
    }
  }
}
