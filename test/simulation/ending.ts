/** How a schedule ends: close and restore on the way, and at last a phase without faults in which all must settle. */
import type { CloseReport } from '../../src/scheduler.js'
import type { Deferring } from './deferring.js'
import { isSettled } from './model-records.js'
import type { Model } from './model.js'
import type { Operating } from './operating.js'
import type { Op } from './plan.js'
import type { Stage } from './stage.js'

const quietRounds = 12

export class Ending {
  /** Closed for good: nothing is left to end. */
  isOver = false
  readonly #stage: Stage
  readonly #deferring: Deferring
  readonly #operating: Operating

  constructor(stage: Stage, deferring: Deferring, operating: Operating) {
    this.#stage = stage
    this.#deferring = deferring
    this.#operating = operating
  }

  async close(op: Extract<Op, { op: 'close' }>): Promise<void> {
    const before = this.#stage.model
    const waiting = this.#stage.waits.filter(({ isOver }) => !isOver).length
    const report = await this.#settleClose({ timeout: op.timeout, drain: op.drain })
    if (waiting > 0) this.#stage.sometimes.reached('a waiter was told by close')
    this.#stage.sometimes.reached(report.lost.length > 0 ? 'close lost jobs' : 'close drained')
    for (const job of before.jobs) {
      if (job.settles !== job.accepts)
        before.wrong('I1', `job ${job.payload} settled ${job.settles} times in ${job.accepts} generations`)
    }
    if (before.broken !== undefined) return
    if (op.restore) {
      this.#stage.renew()
      this.#restore(before, report)
    } else this.isOver = true
  }

  #restore(before: Model, report: CloseReport): void {
    const lost = JSON.parse(JSON.stringify(report.lost)) as CloseReport['lost']
    const wall = this.#stage.world.clock.wall()
    const handles = this.#stage.scheduler.restore(lost)
    const taken = lost.filter(({ state }) => state !== 'held')
    this.#stage.model.goOnFrom(before)
    if (handles.length !== taken.length)
      this.#stage.model.wrong('I2', `${handles.length} of ${taken.length} lost jobs were restored`)
    if (taken.length < lost.length) this.#stage.sometimes.reached('a lost held job was left out')
    for (const [index, handle] of handles.entries()) {
      const old = before.byId.get(handle.id)
      const snapshot = taken[index]
      if (old === undefined || snapshot === undefined) {
        this.#stage.model.wrong('I2', `job ${handle.id} was restored and never accepted`)
        continue
      }
      const { n } = snapshot.payload as { n: number }
      if (n !== old.payload)
        this.#stage.model.wrong('I28', `job ${old.payload} was restored with the payload of ${n}`)
      this.#stage.model.restored(handle, old, snapshot, wall)
      const key = old.wanted.orderingKey ?? ''
      const haltedBy = before.halted.get(key)
      if (haltedBy !== undefined) this.#haltedAgain(key, haltedBy)
      if (snapshot.state === 'running') this.#stage.sometimes.reached('a lost running job kept its attempt')
    }
  }

  /** A key that was halted is so still when one of its jobs was taken back. */
  #haltedAgain(key: string, haltedBy: string): void {
    const { model, scheduler, sometimes } = this.#stage
    sometimes.reached('a halted key was lost and restored')
    model.halted.set(key, haltedBy)
    if (!scheduler.haltedKeys().includes(key))
      model.wrong('I8', `the halted key ${key} was let go by a restart`)
  }

  /** Faults stop, everything is let go, and everything must settle (I1, I30) and leave nothing behind (I21). */
  async end(): Promise<void> {
    const { model, scheduler } = this.#stage
    this.#stage.advance(0)
    this.#stage.areFaultsOn = false
    this.#operating.pause('resume', undefined)
    for (const task of this.#stage.plan.tasks.keys()) this.#operating.pause('resume', task)
    this.#deferring.letGo('release', [...this.#stage.jobs.keys()])
    for (let round = 0; round < quietRounds && (this.#stage.unsettled > 0 || round < 2); round++) {
      this.#stage.advance(round < 4 ? 200 : 20_000)
      this.#operating.releaseKeys(false)
    }
    this.#stage.advance(400_000)
    model.refresh()
    for (const job of model.jobs) {
      if (!isSettled(job.handle.state)) model.wrong('I30', `job ${job.payload} is still ${job.handle.state}`)
      if (job.settles !== job.accepts)
        model.wrong('I1', `job ${job.payload} settled ${job.settles} times in ${job.accepts} generations`)
      if (job.handle.state !== job.state && job.handle.state !== 'completed')
        // a child that is kept no longer
        model.wrong('I5', `job ${job.payload} was ${job.state} and is ${job.handle.state}`)
      if (job.isRestored) this.#stage.sometimes.reached('a lost job was restored and settled')
    }
    if (this.#stage.followers.some(({ executions }) => executions > 0))
      this.#stage.sometimes.reached('a follower was released')
    if (scheduler.stats().abandoned > 0) this.#stage.sometimes.reached('a main-lane handler was given up')
    if (this.#stage.world.isKeptAlive) model.wrong('I19', 'the process is kept alive with nothing to do')
    const left = Object.entries(scheduler.inspect()).filter(([name, size]) => size > 0 && name !== 'history')
    if (left.length > 0)
      model.wrong('I21', `left when everything had settled: ${JSON.stringify(Object.fromEntries(left))}`)
    if (model.broken === undefined) await this.#settleClose({ timeout: 0, drain: true })
  }

  #pauseMeanwhile(seed: number): void {
    const { model, sometimes, unsettled } = this.#stage
    if (model.mayStart && unsettled > 0) sometimes.reached('something was paused while close drained')
    this.#operating.pause('pause', seed % 8 === 1 ? undefined : 0)
  }

  async #settleClose(options: { timeout: number; drain: boolean }): Promise<CloseReport> {
    const { plan, model, judge, scheduler, sometimes } = this.#stage
    let report: CloseReport | undefined
    model.isClosing = true
    model.closesBy = model.now() + options.timeout
    if (!options.drain || options.timeout === 0) model.mayStart = false
    if (plan.starts.stays) this.#stage.keepThreads()
    let thrown: unknown
    void scheduler.close(options).then(
      (done) => (report = done),
      (error: unknown) => (thrown = error),
    )
    if (!model.mayStart) judge.nothingAhead(() => true, 'after close')
    const halfMs = Math.floor(options.timeout / 2)
    this.#stage.advance(halfMs)
    if (plan.seed % 4 === 1) this.#pauseMeanwhile(plan.seed)
    this.#stage.advance(options.timeout - halfMs)
    model.mayStart = false
    this.#stage.advance(1000)
    for (let turn = 0; turn < 4; turn++) await Promise.resolve()
    if (thrown !== undefined) throw thrown
    if (report === undefined) {
      const late = `close was not done within ${options.timeout} + 1000 ms`
      model.wrong('I19', late)
      throw new Error(late)
    }
    if (this.#stage.world.isKeptAlive) model.wrong('I19', 'the process is kept alive after close')
    for (const { fake, isGone, wasStopped } of model.threads) {
      if (!isGone && wasStopped) sometimes.reached('close left a thread behind that does not exit')
      if (!isGone && !wasStopped) model.wrong('I19', `thread ${fake.number} runs after close`)
    }
    if (this.#stage.world.timerAt !== undefined) model.wrong('I19', 'a timer is left after close')
    for (const job of model.jobs)
      if (!isSettled(job.handle.state))
        model.wrong('I19', `job ${job.payload} is ${job.handle.state} after close`)
    for (const wait of this.#stage.waits)
      if (!wait.isOver) model.wrong('I19', `who waits for job ${wait.job.payload} was never told`)
    return report
  }
}
