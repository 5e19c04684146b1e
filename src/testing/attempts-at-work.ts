/**
 * Which attempts are doing real work, so that virtual time must not pass them by.
 *
 *      at work ──sleep()──▶ sleeping: waits for virtual time ──▶ at work
 *         │
 *         └──says nothing for `patience` of real time──▶ stuck: taken to wait for virtual time, until it says something
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { afterRealTime } from '../clock.js'
import type { TaskContext } from '../task/context.js'
import type { Handler } from '../task/define-task.js'
import type { TestWorld } from './test-world.js'

/** One execution of a handler on the main thread, or a hook that was asked. */
interface AttemptAtWork {
  /** Absent for a hook, which says nothing but its answer. */
  readonly token: number | undefined
  /** Says in a message what it is. */
  readonly describe: () => string
  /** Calls of `sleep()` under way. */
  sleeps: number
  isStuck: boolean
}

/** Real time is counted in such steps, so that a machine that is slow to step is given more of it. */
const stepMs = 20

export class AttemptsAtWork {
  readonly #world: TestWorld
  readonly #patienceMs: number
  readonly #attempts = new Set<AttemptAtWork>()
  readonly #current = new AsyncLocalStorage<AttemptAtWork>()
  /** How much is going on in real threads. */
  countInThreads: () => number = () => 0
  /** As many of those were stuck when they were looked at last. */
  #stuckInThreads = 0

  constructor(world: TestWorld, patienceMs: number) {
    this.#world = world
    this.#patienceMs = patienceMs
  }

  /** Whether somebody is at work whose end is worth waiting for. */
  get isAny(): boolean {
    for (const { sleeps, isStuck } of this.#attempts) if (sleeps === 0 && !isStuck) return true
    return this.countInThreads() > this.#stuckInThreads
  }

  /** The handler, known to be at work from its call to its end. */
  watched(run: Handler<unknown, unknown>): Handler<unknown, unknown> {
    return (payload, context) => {
      const { token } = context as { token?: number } // the engine's own contexts have one
      const describe = (): string => describeAttempt(context)
      return this.#atWork(token, describe, () => run(payload, context), nothing)
    }
  }

  /** A hook of the user's, which counts as a handler does until it has answered. */
  asked(hook: () => unknown): unknown {
    // No message follows that would tell of its end.
    return this.#atWork(undefined, describeHook, hook, () => this.#world.notice())
  }

  /** An attempt with that token said something, or was told something. */
  heard(token: number): void {
    for (const one of this.#attempts) if (one.token === token) one.isStuck = false
  }

  /** A worker thread said something. */
  heardOfThreads(): void {
    this.#stuckInThreads = 0
  }

  /**
   * Waits until something happens.
   * @returns whether something did, before the patience was over; if not, who is at work counts as stuck
   */
  async wait(): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < this.#patienceMs; waitedMs += stepMs) {
      if (await this.#step()) return true
    }
    return false
  }

  /** Takes everybody at work for somebody who waits for virtual time. */
  giveUp(): void {
    for (const one of this.#attempts) one.isStuck = true
    this.#stuckInThreads = this.countInThreads()
  }

  /** Who is at work, for a message. */
  describe(): string {
    const attempts = [...this.#attempts].filter(({ sleeps, isStuck }) => sleeps === 0 && !isStuck)
    const here = attempts.map(({ describe }) => describe())
    const inThreads = this.countInThreads()
    return [...here, ...(inThreads > 0 ? [`${inThreads} in worker threads`] : [])].join(', ')
  }

  /** Virtual time for a handler, or for whoever else waits. */
  sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const one = this.#current.getStore()
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(reasonOf(signal))
      if (one !== undefined) one.sleeps++
      const wake = (): void => {
        signal?.removeEventListener('abort', abort)
        if (one !== undefined) one.sleeps--
      }
      const callOff = this.#world.after(delayMs, () => {
        wake()
        resolve()
      })
      const abort = (): void => {
        callOff()
        wake()
        if (signal !== undefined) reject(reasonOf(signal))
      }
      signal?.addEventListener('abort', abort)
    })
  }

  /** @param ended told when what the call returned has ended, if that was a promise */
  #atWork(
    token: number | undefined,
    describe: () => string,
    call: () => unknown,
    ended: () => void,
  ): unknown {
    const one: AttemptAtWork = { token, describe, sleeps: 0, isStuck: false }
    this.#attempts.add(one)
    const end = (): void => void this.#attempts.delete(one)
    let returned: unknown
    try {
      returned = this.#current.run(one, call)
    } catch (thrown) {
      end()
      throw thrown
    }
    if (!isThenable(returned)) end()
    else {
      return ending(returned, () => {
        end()
        ended()
      })
    }
    return returned
  }

  #step(): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (hasHappened: boolean): void => {
        callOff()
        this.#world.onHappening = undefined
        resolve(hasHappened)
      }
      const callOff = afterRealTime(stepMs, () => end(false))
      this.#world.onHappening = () => end(true)
    })
  }
}

/** `then` is called once, as by production: what is thenable may begin its work there. */
async function ending(returned: PromiseLike<unknown>, end: () => void): Promise<unknown> {
  try {
    return await returned
  } finally {
    end()
  }
}

function describeAttempt({ id, task, attempt }: TaskContext): string {
  return `attempt ${attempt} of '${task}' (job ${id})`
}

function describeHook(): string {
  return 'a hook, such as the leader of cron'
}

function nothing(): void {}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason as Error // by default a DOMException; the scheduler's are SideworkErrors
}
