/** Looks over a simulation's shoulder: the invariants of README.md, checked at every start, event and end. */
import { expect } from 'vitest'
import type { EventName } from '../../src/events/event-types.js'
import type { Run } from './script.js'
import type { Sim } from './sim.js'

const jobEvents = [
  'accepted', 'started', 'progress', 'retrying', 'snoozed', 'completed', 'failed', 'cancelled', 'expired', 'interrupted',
] as const // prettier-ignore
type JobEventName = (typeof jobEvents)[number]

const waiting: readonly JobEventName[] = ['started', 'cancelled', 'expired']
/** After each event of a job, the events that may come next (I24). */
const following: Readonly<Record<JobEventName | 'none', readonly JobEventName[]>> = {
  none: ['accepted'],
  accepted: waiting,
  started: ['progress', 'retrying', 'snoozed', 'completed', 'failed', 'cancelled', 'expired', 'interrupted'],
  progress: ['progress', 'retrying', 'snoozed', 'completed', 'failed', 'cancelled', 'expired', 'interrupted'],
  retrying: waiting,
  snoozed: waiting,
  interrupted: waiting,
  completed: [],
  failed: ['accepted'],
  cancelled: ['accepted'],
  expired: ['accepted'],
}

/** One job event as it was delivered. */
export interface Seen {
  readonly name: EventName
  readonly id: string
  readonly task: string
  readonly attempt: number
  readonly at: number
}

export class Watch {
  /** Every job event, in the order delivered. */
  readonly events: Seen[] = []
  readonly #sim: Sim
  readonly #wrong: string[] = []
  readonly #last = new Map<string, JobEventName>()
  readonly #live = new Map<string, Run>()
  readonly #liveKeys = new Map<string, Run>()

  constructor(sim: Sim) {
    this.#sim = sim
    for (const name of jobEvents) sim.scheduler.on(name, (event) => this.#seen(name, event))
  }

  /** Names of a job's events, or of all jobs' events. */
  names(id?: string): string[] {
    return this.events.filter((event) => id === undefined || event.id === id).map(({ name }) => name)
  }

  began(run: Run): void {
    const { scheduler, world } = this.#sim
    const job = scheduler.job(run.id)
    if (this.#live.has(run.id) && run.thread.lane !== 'main')
      this.#wrong.push(`I3: ${run.task} ${run.id} runs twice at once`)
    this.#live.set(run.id, run)
    if (job === undefined) return void this.#wrong.push(`I2: ${run.task} ${run.id} runs and is not known`)
    // A shared thread that was busy reads a job late, and begins it although its token is gone; its abort follows.
    const isStale = run.thread.lane !== 'cpu' && job.state !== 'running'
    if (!isStale && job.runAt > world.clock.wall())
      this.#wrong.push(`I15: ${run.task} began ${job.runAt - world.clock.wall()} ms early`)
    if (run.attempt > run.maxAttempts) this.#wrong.push(`I6: attempt ${run.attempt} of ${run.maxAttempts}`)
    const key = job.orderingKey
    if (key === undefined) return
    const other = this.#liveKeys.get(key)
    // On the main lane a handler that was given up may overlap the next.
    if (other !== undefined && other.thread.lane !== 'main') {
      this.#wrong.push(`I9: ${other.task} ${other.id} and ${run.task} ${run.id} of key ${key} run at once`)
    }
    this.#liveKeys.set(key, run)
  }

  ended(run: Run): void {
    if (this.#live.get(run.id) === run) this.#live.delete(run.id)
    for (const [key, live] of this.#liveKeys) if (live === run) this.#liveKeys.delete(key)
  }

  check(): void {
    expect(this.#wrong).toEqual([])
    const stats = this.#sim.scheduler.stats()
    const { held, scheduled, blocked, ready, running, retrying, completed, failed, cancelled, expired } =
      stats
    const counts = [held, scheduled, blocked, ready, running, retrying, completed, failed, cancelled, expired]
    expect(stats.accepted, 'I20').toBe(counts.reduce((sum, count) => sum + count, 0))
    const perTask = Object.values(stats.perTask).flatMap((task) => Object.values(task))
    expect(
      perTask.reduce((sum, count) => sum + count, 0),
      'I20 per task',
    ).toBe(stats.accepted)
    expect(
      [...counts, ...perTask].filter((count) => count < 0),
      'I20: no negative counts',
    ).toEqual([])
    for (const lane of Object.values(stats.lanes))
      expect(Math.min(lane.ready, lane.outstanding)).toBeGreaterThanOrEqual(0)
    expect(running, 'I13').toBeLessThanOrEqual(
      Object.values(stats.lanes).reduce((sum, lane) => sum + lane.outstanding, 0),
    )
  }

  #seen(name: JobEventName, event: { id: string; task: string; attempt: number; at: number }): void {
    const last = this.#last.get(event.id) ?? 'none'
    // An own id may be used again when its job is kept no longer.
    const isNewJob = name === 'accepted' && last === 'completed' && event.id.length !== 26
    if (!isNewJob && !following[last].includes(name))
      this.#wrong.push(`I24: ${event.task} ${event.id}: ${name} after ${last}`)
    this.#last.set(event.id, name)
    this.events.push({ name, id: event.id, task: event.task, attempt: event.attempt, at: event.at })
  }
}
