/** What happened in a test: every job that was deferred, every event, and which jobs settled. */
import { eventNames, type EventName, type SchedulerEvents } from '../events/event-types.js'
import type { SerializedError } from '../job/serialized-error.js'
import type { JobSnapshot } from '../job/snapshot.js'

/** One event. Of an error it shows name, message and code, so that a trace does not depend on where a file lies. */
export type TraceEntry = {
  readonly [E in EventName]: { readonly event: E } & Readonly<Omit<SchedulerEvents[E], 'error'>> & {
      readonly error?: Pick<SerializedError, 'name' | 'message' | 'code'>
    }
}[EventName]

/** What the record needs of its scheduler. */
export interface Recorded {
  on<E extends EventName>(event: E, listener: (event: SchedulerEvents[E]) => void): unknown
  /** Also of a sensitive task, with its payload. */
  peek(id: string): JobSnapshot | undefined
}

interface Entry {
  /** As it was last seen; its end, if it has settled. */
  last: JobSnapshot
  /** When it was first due, ms since the epoch: a retry is due at another time. */
  firstDueAt: number
}

const settledEvents: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'expired'])
/** How many threads come and go is the engine's own affair. */
const untraced: ReadonlySet<string> = new Set(['thread:started', 'thread:exited'])

/** For matchers, which are given a scheduler. */
const records = new WeakMap<object, TestRecord>()

/** Ms from a job's acceptance to the instant at which it was first due. */
export function delayOf(scheduler: object, { id, acceptedAt, runAt }: JobSnapshot): number {
  return (records.get(scheduler)?.firstDueAt(id) ?? runAt) - acceptedAt
}

export class TestRecord {
  readonly #scheduler: Recorded
  readonly #jobs = new Map<string, Entry>()
  /** Jobs that wait for their response, or were discarded with it: they never were. */
  readonly #held = new Set<string>()
  /** The jobs of flows that wait for their response, by the flow's id. */
  readonly #heldFlows = new Map<string, readonly string[]>()
  readonly #trace: TraceEntry[] = []
  #settled: JobSnapshot[] = []

  constructor(scheduler: Recorded) {
    this.#scheduler = scheduler
    records.set(scheduler, this)
    for (const event of eventNames) scheduler.on(event, (data) => this.#add(event, data))
  }

  get trace(): TraceEntry[] {
    return [...this.#trace]
  }

  /** Jobs that settled since this was asked for last, in order. */
  takeSettled(): JobSnapshot[] {
    const settled = this.#settled
    this.#settled = []
    return settled
  }

  /** Jobs of that task (or all) as they are now, in the order of acceptance; none that its request discarded. */
  deferred(task: string | undefined): JobSnapshot[] {
    const jobs: JobSnapshot[] = []
    for (const entry of this.#jobs.values()) {
      if (this.#held.has(entry.last.id) || (task !== undefined && entry.last.task !== task)) continue
      jobs.push(this.#now(entry))
    }
    return jobs
  }

  /** When a job was first due, ms since the epoch. */
  firstDueAt(id: string): number | undefined {
    return this.#jobs.get(id)?.firstDueAt
  }

  /** Jobs that have not settled, held ones included. */
  left(): JobSnapshot[] {
    return [...this.#jobs.values()].map((entry) => this.#now(entry)).filter((job) => !isOver(job))
  }

  held(id: string): void {
    this.#held.add(id)
  }

  /** @param jobs the ids of its jobs */
  heldFlow(id: string, jobs: readonly string[]): void {
    this.#heldFlows.set(id, jobs)
    for (const job of jobs) this.#held.add(job)
  }

  /** @param ids of jobs and flows */
  released(ids: readonly string[]): void {
    for (const id of ids) for (const job of this.#heldFlows.get(id) ?? [id]) this.#held.delete(job)
  }

  #now(entry: Entry): JobSnapshot {
    if (isOver(entry.last)) return entry.last
    entry.last = this.#scheduler.peek(entry.last.id) ?? entry.last
    const { attempt, generation, state, runAt } = entry.last
    const isFirst = attempt === 0 || (attempt === 1 && state === 'running')
    if (generation === 1 && isFirst) entry.firstDueAt = runAt
    return entry.last
  }

  #add(event: EventName, data: SchedulerEvents[EventName]): void {
    if (!untraced.has(event)) this.#trace.push(traced(event, data))
    if (event === 'accepted') this.#accepted((data as SchedulerEvents['accepted']).id)
    else if (event === 'started' || event === 'deduplicated')
      this.#look(event, (data as SchedulerEvents['started']).id)
    else if (settledEvents.has(event)) this.#hasSettled(event, data as SchedulerEvents['completed'])
  }

  #accepted(id: string): void {
    const last = this.#scheduler.peek(id)
    if (last === undefined) return
    // One that is accepted again, after `retry(id)`, keeps its place.
    const before = last.generation === 1 ? undefined : this.#jobs.get(id)
    this.#jobs.set(id, { last, firstDueAt: before?.firstDueAt ?? last.runAt })
  }

  /** A held job and a step of a flow are given their time when they are let go, a debounced job with each duplicate. */
  #look(event: EventName, id: string): void {
    const entry = this.#jobs.get(id)
    const state = entry?.last.state
    if (entry === undefined || (event === 'started' && state !== 'held' && state !== 'blocked')) return
    this.#now(entry)
  }

  #hasSettled(event: string, { id, attempt, at }: SchedulerEvents['completed']): void {
    const entry = this.#jobs.get(id)
    if (entry === undefined) return
    const now = this.#scheduler.peek(id)
    // One that the scheduler did not keep is shown as it was, with its end.
    const state = event as JobSnapshot['state'] // the events of settledEvents are named after states
    entry.last = now?.state === event ? now : Object.freeze({ ...entry.last, state, attempt, settledAt: at })
    if (entry.last.error?.code === 'ERR_SIDEWORK_DEDUPLICATED') this.#held.add(id)
    if (!this.#held.has(id)) this.#settled.push(entry.last)
  }
}

function isOver({ state }: JobSnapshot): boolean {
  return settledEvents.has(state)
}

function traced(event: EventName, data: object): TraceEntry {
  const { error } = data as { error?: SerializedError }
  const plain =
    error === undefined
      ? undefined
      : {
          name: error.name,
          message: error.message,
          ...(error.code === undefined ? undefined : { code: error.code }),
        }
  const entry = { event, ...data, ...(plain === undefined ? undefined : { error: Object.freeze(plain) }) }
  return Object.freeze(entry) as TraceEntry // the event with its own data
}
