/** Plays the flows of one seed against the production core in a virtual world. Answers the first thing that is wrong. */
import type { Flow } from '../../src/flows/flow-handle.js'
import type { JobSnapshot, JobState } from '../../src/index.js'
import { readSettings } from '../../src/read-settings.js'
import { Scheduler, type CloseReport } from '../../src/scheduler.js'
import type { Lane } from '../../src/job/snapshot.js'
import type { Task } from '../../src/task/define-task.js'
import type { ThreadListener } from '../../src/world.js'
import { FakeThread } from './fake-thread.js'
import { FlowModel, isOver, nameOf, type ModelFlow, type ModelStep } from './flow-model.js'
import { drawFlowSeed, type FlowOp, type FlowPlanOfSeed, type FlowSeed, type StepPlan } from './flow-plan.js'
import type { Behaviour, Run } from './script.js'
import { failsForGood, failsWith, returns, snoozes } from './script.js'
import { VirtualWorld, type Watcher } from './world.js'

const jobEvents = ['accepted', 'completed', 'failed', 'cancelled', 'expired'] as const

/** More than a schedule has, and no more: caches take room for all they may hold. */
const kept = { completed: 1_500, failed: 1_500 }

export class FlowPlay implements Watcher {
  readonly #seed: FlowSeed
  readonly #world: VirtualWorld
  readonly #model = new FlowModel()
  readonly #task: Task<unknown>
  #scheduler: Scheduler
  #threads: FakeThread[] = []
  #waits: { flow: string; isOver: boolean }[] = []
  #areFaultsOn = true

  constructor(seed: FlowSeed) {
    this.#seed = seed
    this.#world = new VirtualWorld({ seed: seed.seed, shuffle: true })
    this.#world.watcher = this
    const options = {
      attempts: seed.attempts,
      backoff: { type: 'fixed', delay: 3 },
      timeout: 30,
      killAfter: 5,
    }
    this.#task = { name: 't', run: () => undefined, options } as unknown as Task<unknown>
    this.#scheduler = this.#newScheduler()
  }

  get reached(): ReadonlySet<string> {
    return this.#model.reached
  }

  async play(): Promise<{ invariant: string; what: string } | undefined> {
    const model = this.#model
    try {
      for (const op of this.#seed.ops) {
        if (op.op === 'close') await this.#close(op)
        else this.#do(op)
        this.#checkCounts()
        if (model.broken !== undefined) return model.broken
      }
      await this.#end()
    } catch (error) {
      model.wrong('crash', error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    return model.broken
  }

  #newScheduler(): Scheduler {
    const { threads, maxQueued } = this.#seed
    const settings = readSettings({
      tasks: new URL('file:///simulation/tasks.js'),
      threads,
      maxQueued,
      keep: kept,
      logger: false,
    })
    const scheduler = new Scheduler(settings, () => {
      this.#world.starter = { startThread: (lane, listener) => this.#startThread(lane, listener) }
      return this.#world
    })
    scheduler.cancelAll({ task: this.#task as Task }) // known by name from here on
    const stateOf = (id: string) => scheduler.job(id)?.state
    for (const name of jobEvents) scheduler.on(name, (event) => this.#model.told(name, event, stateOf))
    scheduler.on('started', ({ id }) => {
      if (this.#model.byId.get(id)?.flow.isEnding === true)
        this.#model.wrong('I15', `${id} started after the deadline of its flow`)
    })
    // Steps have no expiry of their own here.
    scheduler.on('expired', ({ id, at }) => {
      const flow = this.#model.byId.get(id)?.flow.id ?? ''
      const { deadlineAt = Infinity } = scheduler.flowOverview(flow) ?? {}
      if (at < deadlineAt) this.#model.wrong('I15', `${id} expired before the deadline of its flow`)
    })
    scheduler.on('flow:settled', ({ id, state, total, completed, failed }) => {
      const flow = this.#model.flows.find((one) => one.id === id)
      flow?.ends.push(state)
      if (completed + failed !== total)
        this.#model.wrong('I17', `flow ${id} settled with ${completed} + ${failed} of ${total}`)
    })
    return scheduler
  }

  #startThread(lane: Lane, listener: ThreadListener): FakeThread {
    const ports = {
      world: this.#world,
      behave: (run: Run) => this.#behave(run),
      began: (run: Run) => this.#model.began(run),
      ended: () => undefined,
    }
    const thread = new FakeThread(lane, this.#threads.length + 1, listener, { tasks: ['t'] }, ports)
    this.#threads.push(thread)
    return thread
  }

  #behave(run: Run): Behaviour {
    const step = this.#model.byId.get(run.id)
    const act = this.#areFaultsOn ? (step?.plan.acts[step.executions] ?? 'return') : 'return'
    switch (act) {
      case 'return':
        return { ...returns(step?.ref), takesMs: run.token % 7 }
      case 'fail':
        return failsWith('no')
      case 'fail-for-good':
        return failsForGood('no')
      case 'crash':
        return { crashes: { exitCode: 7 } }
      case 'hang':
        return { takesMs: Infinity, ignoresAbort: true }
      case 'snooze':
        return snoozes(4)
    }
  }

  #do(op: Exclude<FlowOp, { op: 'close' }>): void {
    const scheduler = this.#scheduler
    switch (op.op) {
      case 'defer':
        return this.#defer(op.flow)
      case 'release':
        return scheduler.releaseHeld([this.#flow(op.flow).id])
      case 'discard':
        return void scheduler.discardHeld([this.#flow(op.flow).id], 'no')
      case 'cancel-flow':
        return void scheduler.cancel(this.#flow(op.flow).id)
      case 'cancel':
        return void scheduler.cancel(this.#step(op)?.id ?? '')
      case 'runNow':
        return void scheduler.runNow(this.#step(op)?.id ?? '')
      case 'retry':
        return this.#mayBeFull(() => {
          if (scheduler.retry(this.#step(op)?.id ?? '')) this.#model.reached.add('a step was retried')
        })
      case 'retryAll':
        return this.#mayBeFull(() => scheduler.retryAll())
      case 'cancelAll':
        return void scheduler.cancelAll()
      case 'pause':
        return scheduler.pause()
      case 'resume':
        return scheduler.resume()
      case 'crash':
        return this.#threads.findLast(({ isDying, lane }) => !isDying && lane !== 'main')?.crash()
      case 'advance':
        this.#world.advance(op.ms)
        return this.#checkDeadlines()
      case 'block':
        return this.#world.block(op.ms)
    }
  }

  #flow(index: number): ModelFlow {
    return (
      this.#model.flows[index % Math.max(1, this.#model.flows.length)] ?? {
        id: '',
        steps: [],
        ends: [],
        isEnding: false,
        plan: noPlan,
      }
    )
  }

  #step({ flow, step }: { flow: number; step: number }): ModelStep | undefined {
    const { steps } = this.#flow(flow)
    return steps[step % Math.max(1, steps.length)]
  }

  /** @returns false when there was no room; then nothing may have changed */
  #mayBeFull(run: () => void): void {
    const before = JSON.stringify(this.#scheduler.stats())
    try {
      run()
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_SIDEWORK_QUEUE_FULL') throw error
      if (
        JSON.stringify(this.#scheduler.stats()) !== before &&
        this.#seed.ops.every(({ op }) => op !== 'retryAll')
      )
        this.#model.wrong('I2', 'what was refused left a trace')
      this.#model.reached.add('the queue was full')
    }
  }

  #defer(plan: FlowPlanOfSeed): void {
    const step = (one: StepPlan) => ({
      task: this.#task,
      payload: 0,
      options: {
        ...(one.delay === undefined ? undefined : { delay: one.delay }),
        ...(one.orderingKey === undefined ? undefined : { orderingKey: one.orderingKey }),
      },
    })
    const { deadline, onFailure, callback, steps, kind, isHeld } = plan
    const options = {
      onFailure,
      ...(deadline === undefined ? undefined : { deadline }),
      ...(callback === undefined ? undefined : { callback: step(callback) }),
    }
    const args = {
      batch: [this.#task, steps.map(() => 0), options],
      chain: [steps.map((one, at) => ({ ...step(one), ref: `s${at}` })), options],
      flow: [
        Object.fromEntries(
          steps.map((one, at) => [`s${at}`, { ...step(one), after: one.after.map((n) => `s${n}`) }]),
        ),
        options,
      ],
    }[kind]
    this.#mayBeFull(() => {
      const flow = this.#scheduler.flowWithRequest(undefined, isHeld, kind, args)
      this.#model.add(flow.id, plan, idsOf(flow))
      this.#await(flow)
    })
  }

  #await(flow: Flow): void {
    const wait = { flow: flow.id, isOver: false }
    this.#waits.push(wait)
    const over = (): void => void (wait.isOver = true)
    flow.result().then(over, over)
  }

  /** Nothing is left to do at once. */
  quiet(): void {
    const stateOf = (id: string): JobState | undefined => this.#scheduler.job(id)?.state
    for (const flow of this.#model.flows) {
      if (flow.plan.deadline === undefined) continue
      const { state, error, deadlineAt = Infinity } = this.#scheduler.flowOverview(flow.id) ?? {}
      flow.isEnding = state === 'running' && error?.code === 'ERR_SIDEWORK_EXPIRED'
      if (flow.isEnding) this.#model.checkEnding(flow, deadlineAt, stateOf)
    }
  }

  /** The counts of each flow are those of its steps, and the bytes those of all jobs: the payload of each has one. */
  #checkCounts(): void {
    const { accepted, completed, failed, cancelled, expired, queuedBytes } = this.#scheduler.stats()
    const unsettled = accepted - completed - failed - cancelled - expired
    if (queuedBytes !== unsettled)
      this.#model.wrong('I29', `${queuedBytes} bytes are queued, of ${unsettled} jobs`)
    // A slice at a time, where there is much.
    const isGoingOn = (this.#scheduler.inspect()['flowStepsDue'] ?? 0) > 0
    for (const { id, steps, plan } of this.#model.flows) {
      const overview = this.#scheduler.flowOverview(id)
      if (overview === undefined) continue
      const items = steps.filter(({ isCallback }) => !isCallback)
      const states = items.map((step) => this.#scheduler.job(step.id)?.state ?? step.ends.at(-1) ?? 'unknown')
      const completed = states.filter((state) => state === 'completed').length
      if (overview.state !== 'held' && !isGoingOn) this.#checkDoomed(steps, plan)
      const failed = states.filter((state) => isOver(state)).length - completed
      const { progress } = overview
      if (
        progress.total !== plan.steps.length ||
        progress.completed !== completed ||
        progress.failed !== failed
      )
        this.#model.wrong(
          'I20',
          `flow ${id} counts ${JSON.stringify(progress)}; its steps are ${states.join()}`,
        )
    }
  }

  #checkDeadlines(): void {
    for (const { id } of this.#model.flows) {
      const { state, deadlineAt = Infinity } = this.#scheduler.flowOverview(id) ?? {}
      if (state === 'running' && deadlineAt < this.#world.clock.wall())
        this.#model.wrong('I15', `flow ${id} goes on after its deadline`)
    }
  }

  /** What can never run does not wait. One with a key may be blocked by its line, let go by its flow before. */
  #checkDoomed(steps: readonly ModelStep[], { onFailure }: FlowPlanOfSeed): void {
    if (onFailure === 'continue') return
    const stateOf = (step: ModelStep): string => this.#scheduler.job(step.id)?.state ?? step.ends.at(-1) ?? ''
    for (const step of steps) {
      if (step.plan.orderingKey !== undefined || stateOf(step) !== 'blocked') continue
      const culprit = step.before.find((before) => isOver(stateOf(before)) && stateOf(before) !== 'completed')
      if (culprit !== undefined)
        this.#model.wrong('I17', `${nameOf(step)} waits, though ${nameOf(culprit)} ${stateOf(culprit)}`)
    }
  }

  async #close({ timeout, drain, forgets }: Extract<FlowOp, { op: 'close' }>): Promise<void> {
    const report = await this.#settleClose({ timeout, drain })
    this.#world.changeIds()
    this.#scheduler = this.#newScheduler()
    const lost = JSON.parse(JSON.stringify(report.lost)) as JobSnapshot[]
    const given = lost.filter((_, at) => forgets === 0 || (at + forgets) % 4 !== 0)
    if (given.length > 0) this.#model.reached.add('steps were lost and restored')
    if (given.length < lost.length) {
      this.#model.hasForgotten = true
      this.#model.reached.add('a lost step was not restored')
    }
    this.#mayBeFull(() => this.#scheduler.restore(given))
  }

  async #settleClose(options: { timeout: number; drain: boolean }): Promise<CloseReport> {
    let report: CloseReport | undefined
    void this.#scheduler.close(options).then((done) => (report = done))
    this.#world.advance(options.timeout + 1000)
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    if (report === undefined) throw new Error(`close was not done within ${options.timeout} + 1000 ms`)
    // Of more than are kept, the first are forgotten already.
    for (const { id } of report.lost.slice(-kept.failed)) {
      const { state, error } = this.#scheduler.job(id) ?? {}
      if (state !== 'cancelled' || error?.code !== 'ERR_SIDEWORK_CLOSED')
        this.#model.wrong('I19', `${id} was lost by close, and is ${state}: ${error?.code}`)
    }
    for (const { flow, isOver: isTold } of this.#waits)
      if (!isTold) this.#model.wrong('I19', `who waits for flow ${flow} was never told`)
    return report
  }

  /** Faults stop, everything is let go, and everything must settle and leave nothing behind. */
  async #end(): Promise<void> {
    const model = this.#model
    const scheduler = this.#scheduler
    this.#world.advance(0)
    this.#areFaultsOn = false
    scheduler.resume()
    scheduler.releaseHeld(model.flows.map(({ id }) => id))
    this.#world.advance(100_000)
    for (const { id } of model.flows) {
      const state = scheduler.flowOverview(id)?.state
      if (state === 'running' || state === 'held') model.wrong('I30', `flow ${id} is still ${state}`)
    }
    const has = (...names: string[]): boolean => this.#seed.ops.some(({ op }) => names.includes(op))
    model.checkEnd(this.#seed.isUndisturbed && !has('close'), has('retry', 'retryAll', 'close'))
    const left = Object.entries(scheduler.inspect()).filter(
      ([name, size]) => size !== 0 && name !== 'history',
    )
    if (left.length > 0) model.wrong('I21', `left when everything had settled: ${JSON.stringify(left)}`)
    const { accepted, completed, failed, cancelled, expired, ...others } = scheduler.stats()
    if (accepted !== completed + failed + cancelled + expired)
      model.wrong('I20', `${accepted} accepted: ${JSON.stringify(others)}`)
    await this.#settleClose({ timeout: 0, drain: true })
  }
}

const noPlan: FlowPlanOfSeed = {
  kind: 'flow', steps: [], callback: undefined, onFailure: 'cancel', deadline: undefined, isHeld: false,
} // prettier-ignore

function idsOf(flow: Flow): Map<string, string> {
  const { jobs } = flow
  const list = Array.isArray(jobs)
    ? jobs.map((job: { id: string }, at) => [`s${at}`, job.id] as const)
    : Object.entries(jobs).map(([ref, job]) => [ref, job.id] as const)
  const { callback } = flow as { callback?: { id: string } }
  return new Map([...list, ...(callback === undefined ? [] : [['callback', callback.id] as const])])
}

/** Plays seeds; tells the first that breaks. */
export async function playFlowSeeds(
  first: number,
  count: number,
): Promise<{ failure: string | undefined; reached: Set<string> }> {
  const reached = new Set<string>()
  for (let seed = first; seed < first + count; seed++) {
    const plan = drawFlowSeed(seed)
    const play = new FlowPlay(plan)
    const broken = await play.play()
    for (const situation of play.reached) reached.add(situation)
    if (broken !== undefined)
      return { failure: `seed ${seed} ${broken.invariant}: ${broken.what}\n${JSON.stringify(plan)}`, reached }
  }
  return { failure: undefined, reached }
}
