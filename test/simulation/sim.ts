/**
 * `makeSim`: a real Scheduler in a virtual world with scripted threads. After each test every simulation is checked
 * against the invariants, closed, and must be empty.
 */
import type { Logger } from 'pino'
import { afterEach, expect } from 'vitest'
import { MainLane } from '../../src/main-lane/main-lane.js'
import type { WorldNeeds } from '../../src/real-world.js'
import { readSettings } from '../../src/read-settings.js'
import type { SchedulerOptions } from '../../src/scheduler-options.js'
import { Scheduler, type CloseReport } from '../../src/scheduler.js'
import type { Task, TaskDefinition } from '../../src/task/define-task.js'
import { registeredTasks } from '../../src/task/registry.js'
import type { TaskOptions } from '../../src/task/task-options.js'
import type { Lane } from '../../src/job/snapshot.js'
import { FakeThread } from './fake-thread.js'
import type { Behaviour, Run, ThreadScript } from './script.js'
import { Watch } from './watch.js'
import { VirtualWorld, type VirtualWorldOptions } from './world.js'

export interface SimOptions extends VirtualWorldOptions {
  scheduler?: SchedulerOptions
  /** How a thread behaves, by its number (1 for the first of the simulation) and lane. */
  threads?: (number: number, lane: Lane) => ThreadScript
  /** The main lane: scripted like a thread, or the real one with real handlers. Default 'fake'. */
  main?: 'fake' | 'real'
}

type Handler = (payload: never, context: never) => unknown

/** One execution that began, in order. */
export interface Began {
  readonly at: number
  readonly id: string
  readonly task: string
  readonly payload: unknown
  readonly attempt: number
  readonly thread: number
}

const open = new Set<Sim>()

afterEach(async () => {
  const sims = [...open]
  open.clear()
  for (const sim of sims) await sim.finish()
  registeredTasks().clear()
})

export function makeSim(options: SimOptions = {}): Sim {
  const sim = new Sim(options)
  open.add(sim)
  return sim
}

export class Sim {
  readonly world: VirtualWorld
  readonly scheduler: Scheduler
  readonly threads: FakeThread[] = []
  /** Every start of a thread, also failed ones: when. */
  readonly spawnedAt: number[] = []
  readonly began: Began[] = []
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[] = []
  readonly watch: Watch
  readonly #tasks = new Map<string, Task<unknown>>()
  readonly #behaviours = new Map<string, Behaviour | ((run: Run) => Behaviour)>()
  readonly #scriptOf: (number: number, lane: Lane) => ThreadScript

  constructor(options: SimOptions) {
    this.world = new VirtualWorld(options)
    this.#scriptOf = options.threads ?? (() => ({}))
    const settings = readSettings({
      tasks: new URL('file:///simulation/tasks.js'),
      threads: 1,
      logger: this.#logger(),
      ...options.scheduler,
    })
    this.scheduler = new Scheduler(settings, (needs) => {
      const hasMainLane = options.main === 'real'
      this.world.starter = {
        startThread: (lane, listener) =>
          hasMainLane && lane === 'main'
            ? new MainLane(this.#mainLanePort(needs), settings.mainPace, listener)
            : this.#startThread(lane, listener),
      }
      return this.world
    })
    this.watch = new Watch(this)
  }

  get now(): number {
    return this.world.clock.now()
  }

  /** Defines a task of this simulation; a name alone finds the one defined before. */
  task(
    name: string,
    behaves: Behaviour | ((run: Run) => Behaviour) = {},
    options: TaskOptions<never> = {},
  ): Task<unknown> {
    const known = this.#tasks.get(name)
    if (known !== undefined) return known
    const task = definition(name, () => undefined, options)
    this.#tasks.set(name, task)
    registeredTasks().set(name, task as TaskDefinition) // as defineTask does: known by its name
    this.#behaviours.set(name, behaves)
    return task
  }

  /** Defines a known task anew, as a module does that is evaluated again. It behaves as before. */
  taskAgain(name: string, options: TaskOptions<never> = {}): Task<unknown> {
    this.#tasks.delete(name)
    return this.task(name, this.#behaviours.get(name), options)
  }

  /** Defines a task with a real handler, for the real main lane. */
  mainTask(name: string, run: Handler, options: TaskOptions<never> = {}): Task<unknown> {
    return definition(name, run, { lane: 'main', ...options })
  }

  /** Lets virtual time pass. */
  advance(ms: number): void {
    this.world.advance(ms)
  }

  /** Lets virtual time pass, and real promises of handlers go on in between. */
  async flow(ms = 0): Promise<void> {
    for (let round = 0; round < 5; round++) {
      this.world.advance(round === 0 ? ms : 0)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Names of tasks in the order in which executions began. */
  get order(): string[] {
    return this.began.map(({ task }) => task)
  }

  /** Payloads in the order in which executions began. */
  get payloads(): unknown[] {
    return this.began.map(({ payload }) => payload)
  }

  /** The thread of that number, 1 for the first. */
  thread(number: number): FakeThread {
    const thread = this.threads.find((one) => one.number === number)
    if (thread === undefined) throw new Error(`no thread ${number}`)
    return thread
  }

  /** Closes and lets time pass until it is done. */
  async close(options: Parameters<Scheduler['close']>[0], withinMs: number): Promise<CloseReport> {
    let report: CloseReport | undefined
    const closed = this.scheduler.close(options).then((done) => (report = done))
    this.world.advance(withinMs)
    await new Promise((resolve) => setImmediate(resolve))
    if (report === undefined) throw new Error(`not closed within ${withinMs} ms`)
    return closed
  }

  /** The end of every test. */
  async finish(): Promise<void> {
    this.world.advance(0)
    this.watch.check()
    for (const thread of this.threads) thread.crash() // so that even a thread that never exits is gone
    await this.close({ timeout: 0 }, 1000)
    const stats = this.scheduler.stats()
    expect(stats, 'everything settled').toMatchObject({
      held: 0, scheduled: 0, blocked: 0, ready: 0, running: 0, retrying: 0, queuedBytes: 0,
    }) // prettier-ignore
    expect(this.world.isKeptAlive, 'nothing keeps the process').toBe(false)
    expect(this.world.timerAt, 'no timer is left').toBeUndefined()
    for (const { ready } of Object.values(stats.lanes)) expect(ready, 'ready queues are empty').toBe(0)
    this.watch.check()
  }

  #mainLanePort({
    contextOf,
    definitionOf,
    settings,
  }: WorldNeeds): ConstructorParameters<typeof MainLane>[0] {
    const { world } = this
    return {
      definitionOf,
      contextOf,
      idKey: world.idKey,
      payloadLimits: settings.threads.payloadLimits,
      sensitiveByDefault: settings.threads.sensitiveByDefault,
      soon: (task) => world.soon(task),
      // Handlers' promises are real, so what they do comes with the real microtasks.
      afterMicrotasks: (task) => void setImmediate(() => world.soon(task)),
      nextTurn: (task) => world.nextTurn(task),
      after: (ms, task) => world.plan('main', ms, task),
      now: () => this.now,
    }
  }

  #startThread(lane: Lane, listener: ConstructorParameters<typeof FakeThread>[2]): FakeThread {
    this.spawnedAt.push(this.now)
    const number = this.spawnedAt.length
    const script = this.#scriptOf(number, lane)
    if (script.throwsAtStart !== undefined) throw script.throwsAtStart
    const thread = new FakeThread(
      lane,
      number,
      listener,
      { tasks: [...this.#behaviours.keys()], ...script },
      {
        world: this.world,
        behave: (run) => this.#behave(run),
        began: (run) => this.#began(run),
        ended: (run) => this.watch.ended(run),
      },
    )
    this.threads.push(thread)
    return thread
  }

  #behave(run: Run): Behaviour {
    const behaves = this.#behaviours.get(run.task) ?? {}
    return typeof behaves === 'function' ? behaves(run) : behaves
  }

  #began(run: Run): void {
    const { id, task, payload, attempt } = run
    this.began.push({ at: this.now, id, task, payload, attempt, thread: run.thread.number })
    this.watch.began(run)
  }

  #logger(): Logger {
    const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
      void this.logged.push({ level, fields, message })
    const logger: object = {
      debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'),
      isLevelEnabled: () => true,
      child: () => logger,
    } // prettier-ignore
    return logger as Logger
  }
}

function definition(name: string, run: Handler, options: TaskOptions<never>): Task<unknown> {
  return { name, run, options } as Task<unknown>
}
