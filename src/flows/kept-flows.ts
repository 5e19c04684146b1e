/** Flows that have settled, kept for a while as settled jobs are: bounded by count, bytes and age. */
import { LRUCache } from 'lru-cache'
import { noSteps } from '../job/flow-step.js'
import type { Clock } from '../world.js'
import { ForgottenFlow, type Flow } from './flow.js'

/** The `keep` option of the scheduler. */
export interface KeepSettings {
  readonly completed: number
  readonly failed: number
  readonly bytes: number
  readonly forMs: number
}

/** What one step takes, its job's record included, roughly. */
const stepBytes = 600

export class KeptFlows {
  readonly #settings: KeepSettings
  readonly #max: number
  readonly #maxSize: number
  readonly #clock: Clock
  /** Made for the first flow: most schedulers never have one, and an empty one takes as much time and room as a full one. */
  #cache: LRUCache<string, Flow> | undefined

  constructor(settings: KeepSettings, clock: Clock) {
    this.#settings = settings
    this.#max = settings.completed + settings.failed
    this.#maxSize = Math.max(1, Math.floor(settings.bytes / 2))
    this.#clock = clock
  }

  keep(flow: Flow): void {
    // Its jobs are kept with it, also when the history has dropped them.
    const size = stepBytes * (1 + flow.steps.length) + flow.heldBytes
    if (this.#max === 0 || size > this.#maxSize) return forget(flow)
    this.#cache ??= this.#makeCache()
    this.#cache.set(flow.id, flow, { size })
  }

  find(id: string): Flow | undefined {
    return this.#cache?.get(id)
  }

  /** Gives a flow up to its steps' next generation. */
  take(flow: Flow): void {
    this.#cache?.delete(flow.id)
  }

  #makeCache(): LRUCache<string, Flow> {
    return new LRUCache({
      max: this.#max,
      maxSize: this.#maxSize,
      ttl: this.#settings.forMs,
      ttlResolution: 0,
      // Above 0, which would mean "no age".
      perf: { now: () => this.#clock.now() + 1 },
      dispose: (flow, _id, reason) => {
        if (reason !== 'delete') forget(flow)
      },
    })
  }
}

/** A job that is kept longer than its flow must not keep the whole flow with it. */
function forget(flow: Flow): void {
  const stub = new ForgottenFlow(flow.id)
  for (const step of flow.steps) {
    step.flow = stub
    step.after = step.next = noSteps
  }
}
