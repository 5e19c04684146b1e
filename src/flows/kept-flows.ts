/** Flows that have settled, kept for a while as settled jobs are: bounded by count, bytes and age. */
import { noSteps } from '../job/flow-step.js'
import { halfOf, type KeepSettings, Shelf } from '../shelf.js'
import type { Clock } from '../world.js'
import { ForgottenFlow, type Flow } from './flow.js'

/** What one step takes, its job's record included, roughly. */
const stepBytes = 600

export class KeptFlows {
  readonly #shelf: Shelf<string, Flow> | undefined

  constructor(settings: KeepSettings, clock: Clock) {
    const most = settings.completed + settings.failed
    const bounds = { most, mostBytes: halfOf(settings), forMs: settings.forMs }
    this.#shelf = most === 0 ? undefined : new Shelf(bounds, () => clock.now(), forget)
  }

  keep(flow: Flow): void {
    // Its jobs are kept with it, also when the history has dropped them.
    const bytes = stepBytes * (1 + flow.steps.length) + flow.heldBytes
    if (this.#shelf === undefined || bytes > this.#shelf.mostBytes) return forget(flow)
    this.#shelf.put(flow.id, flow, bytes)
  }

  find(id: string): Flow | undefined {
    return this.#shelf?.lookUp(id)
  }

  /** Gives a flow up to its steps' next generation. */
  take(flow: Flow): void {
    this.#shelf?.take(flow.id)
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
