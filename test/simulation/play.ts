/**
 * Plays one plan against the production core in a virtual world, under the eyes of the judge. Answers the first
 * invariant that does not hold, or undefined, and the trace of everything that was told.
 */
import { Deferring } from './deferring.js'
import { Ending } from './ending.js'
import type { Broken } from './model-records.js'
import { Operating } from './operating.js'
import type { Op, Plan } from './plan.js'
import type { Sometimes } from './sometimes.js'
import { Stage } from './stage.js'

export interface Played {
  broken: Broken | undefined
  trace: string[]
  /** How each job of an operation settled, for comparing two plays. */
  ends: Record<string, string>
}

export class Play {
  readonly #stage: Stage
  readonly #deferring: Deferring
  readonly #operating: Operating
  readonly #ending: Ending

  constructor(plan: Plan, sometimes: Sometimes) {
    this.#stage = new Stage(plan, sometimes)
    this.#deferring = new Deferring(this.#stage)
    this.#operating = new Operating(this.#stage)
    this.#ending = new Ending(this.#stage, this.#deferring, this.#operating)
  }

  async play(): Promise<Played> {
    const stage = this.#stage
    try {
      for (const op of stage.plan.ops) {
        await this.#do(op)
        if (stage.model.broken !== undefined) break
      }
      if (stage.model.broken === undefined && !this.#ending.isOver) await this.#ending.end()
    } catch (error) {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
      stage.model.wrong(invariantOf(what), what)
    }
    const { model, trace } = stage
    const ends = Object.fromEntries(model.jobs.map((job) => [`${job.payload}`, job.handle.state]))
    return { broken: model.broken, trace, ends }
  }

  async #do(op: Op): Promise<void> {
    const { model, scheduler, sometimes } = this.#stage
    model.refresh()
    this.#stage.judge.noteStops()
    switch (op.op) {
      case 'defer':
        return void this.#deferring.defer(op.n, op.job)
      case 'hold':
        return void this.#deferring.hold(op.n, op.job)
      case 'deferMany':
        return this.#deferring.deferMany(op.n, op.jobs)
      case 'release':
      case 'discard':
        return this.#deferring.letGo(op.op, op.all)
      case 'cancel':
        return this.#operating.cancel(this.#stage.some(op.of), (job) => scheduler.cancel(job.id))
      case 'abort':
        return this.#operating.cancel(this.#stage.some(op.of), (job) => this.#operating.abort(job))
      case 'cancelAll':
        return this.#operating.cancelAll(op.task)
      case 'retry':
        return this.#operating.retry(op.of)
      case 'retryAll':
        return this.#operating.retryAll(op.task)
      case 'runNow': {
        const job = this.#stage.some(op.of)
        const was = job?.handle.state
        if (job === undefined || !scheduler.runNow(job.id)) return
        job.runAt = model.now()
        if (scheduler.job(job.id)?.attempt === 0 && job.expiresAt < Infinity) {
          model.expireAnew(job)
          sometimes.reached('runNow began the expiry anew')
        }
        if (was === 'retrying') sometimes.reached('runNow hurried a retry')
        if (job.rank === undefined) model.joinNow(job)
        return model.refresh()
      }
      case 'setPriority': {
        const job = this.#stage.some(op.of)
        if (job === undefined || !scheduler.setPriority(job.id, op.priority)) return
        this.#stage.judge.reprioritised(job)
        job.priority = op.priority
        return job.handle.state === 'running'
          ? undefined
          : sometimes.reached('a waiting job changed its priority')
      }
      case 'pause':
      case 'resume':
        return this.#operating.pause(op.op, op.task)
      case 'pauseLimit': {
        scheduler.pauseLimit('shared', op.delay)
        const limit = model.limits.get('shared')
        if (limit !== undefined) limit.pausedUntil = Math.max(limit.pausedUntil, model.now() + op.delay)
        else
          model.limits.set('shared', {
            name: 'shared',
            concurrency: this.#stage.plan.limit.concurrency ?? Infinity,
            rate: this.#stage.plan.limit.rate,
            running: [],
            starts: [],
            pausedUntil: model.now() + op.delay,
          })
        return sometimes.reached('a shared limit was paused')
      }
      case 'releaseKeys':
        return this.#operating.releaseKeys(op.retry)
      case 'advance':
        return this.#stage.advance(op.ms)
      case 'block':
        this.#stage.world.block(op.ms)
        model.blockedUntil = model.now()
        if ((this.#stage.world.timerAt ?? Infinity) < model.now())
          sometimes.reached('the loop was blocked past a deadline')
        return
      case 'jump':
        this.#stage.advance(0)
        this.#stage.world.jumpWall(op.ms)
        this.#stage.wallOffset += op.ms
        return sometimes.reached('the wall clock jumped')
      case 'crash':
        return this.#operating.alive()[op.thread % Math.max(1, this.#operating.alive().length)]?.fake.crash()
      case 'forge':
      case 'repeat':
        return this.#operating.forge(op.op, op.thread)
      case 'close':
        return this.#ending.close(op)
    }
  }
}

/** What is broken when the scheduler throws. */
function invariantOf(thrown: string): string {
  if (thrown.includes('job cannot become')) return 'I5'
  return thrown.includes('a loop without end') ? 'I30' : 'crash'
}
