/** Every limit of a scheduler, by name: those shared between tasks, a task's own, and one per key where rules have keys. */
import type { Gates, Job } from '../job/job.js'
import type { LimitRule, TaskRecord } from '../job/task-record.js'
import type { Clock } from '../world.js'
import type { Agenda } from './agenda.js'
import { Limit, type LimitPort } from './limit.js'

/** Stands between the parts of a name; no name or key can hold a control character. */
const separator = '\n'

export class LimitBook {
  readonly #shared = new Map<string, Limit>()
  /** Limits of tasks and of their keys. One of a key is forgotten when nobody uses it. */
  readonly #own = new Map<string, Limit>()
  readonly #paused = new Map<string, Limit>()
  readonly #clock: Clock
  readonly #port: LimitPort

  constructor(rules: ReadonlyMap<string, LimitRule>, agenda: Agenda, clock: Clock) {
    this.#clock = clock
    this.#port = {
      agenda,
      resolutionMs: clock.resolutionMs,
      forget: (limit) => {
        if (this.#own.get(limit.name) === limit) this.#own.delete(limit.name)
      },
    }
    for (const [name, rule] of rules) {
      this.#shared.set(name, new Limit(name, rule.concurrency ?? Infinity, rule.rate, sharedPort(this.#port)))
    }
  }

  /** Limits of tasks and keys that are kept at the moment. */
  get size(): number {
    return this.#own.size
  }

  hasShared(name: string): boolean {
    return this.#shared.has(name)
  }

  get sharedNames(): string[] {
    return [...this.#shared.keys()]
  }

  /** What the job has to pass to start; undefined for nothing. */
  gatesOf(job: Job): Gates<Limit> | undefined {
    const { task } = job
    const paused = this.#paused.get(task.name)
    const { limits: rules } = task.policy
    if (rules === undefined && paused === undefined) return undefined
    const keys = job.details?.limitKeys
    const limits: Limit[] = paused === undefined ? [] : [paused]
    if (rules?.concurrency !== undefined) {
      limits.push(this.#limit(task, 'concurrency', keys?.concurrency, rules.concurrency.limit, undefined))
    }
    if (rules?.rate !== undefined) limits.push(this.#limit(task, 'rate', keys?.rate, Infinity, rules.rate))
    for (const name of rules?.shared ?? []) {
      const shared = this.#shared.get(name)
      if (shared !== undefined) limits.push(shared)
    }
    const name = [
      task.name,
      keys?.concurrency ?? '',
      keys?.rate ?? '',
      paused === undefined ? '' : 'pause',
    ].join(separator)
    return { name, limits }
  }

  isTaskPaused(name: string): boolean {
    const limit = this.#paused.get(name)
    return limit !== undefined && limit.available(this.#clock.now()) <= 0
  }

  /** Lets nothing of the task start. @returns whether it was not paused before */
  pauseTask(name: string): boolean {
    if (this.isTaskPaused(name)) return false
    const now = this.#clock.now()
    const limit = this.#paused.get(name) ?? new Limit(name, Infinity, undefined, sharedPort(this.#port))
    limit.pause(Infinity, now)
    this.#paused.set(name, limit)
    return true
  }

  /** @returns whether it was paused */
  resumeTask(name: string): boolean {
    if (!this.isTaskPaused(name)) return false
    this.#paused.get(name)?.resume(this.#clock.now())
    return true
  }

  /** Nothing that passes the shared limit starts for `delayMs`. @returns false when there is no such limit */
  pauseShared(name: string, delayMs: number): boolean {
    const limit = this.#shared.get(name)
    const now = this.#clock.now()
    limit?.pause(now + Math.ceil(delayMs), now)
    return limit !== undefined
  }

  #limit(
    task: TaskRecord,
    kind: string,
    key: string | undefined,
    concurrency: number,
    rate: LimitRule['rate'],
  ): Limit {
    const name = [kind, task.name, key ?? ''].join(separator)
    const known = this.#own.get(name)
    if (known !== undefined) return known
    const limit = new Limit(name, concurrency, rate, this.#port)
    this.#own.set(name, limit)
    return limit
  }
}

/** Shared limits and pauses are never forgotten. */
function sharedPort(port: LimitPort): LimitPort {
  return { ...port, forget: () => undefined }
}
