/** What a user hands over: defers, held jobs, many at once, and whom they meet by their dedupe keys. */
import type { Job } from '../../src/defer/job-handle.js'
import type { DeferOptions } from '../../src/task/defer-options.js'
import type { Task } from '../../src/task/define-task.js'
import { checkCounts } from './check-quiet.js'
import { isSettled, type ModelJob } from './model-records.js'
import type { JobPlan } from './plan.js'
import type { Stage, Wait } from './stage.js'

export class Deferring {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  defer(n: number, wanted: JobPlan): void {
    const { task, payload, options, signal } = this.#ask(wanted)
    const full = this.#stage.unsettled >= this.#stage.plan.maxQueued
    let handle: Job | undefined
    const standing = this.#standing(wanted)
    const code = this.#try(() => (handle = this.#stage.scheduler.defer(task, payload, options)))
    if (handle === undefined) {
      if (code === 'ERR_SIDEWORK_QUEUE_FULL' && !full)
        this.#stage.model.wrong('I2', 'a defer was refused and the queue is not full')
      return
    }
    if (full && !handle.deduplicated)
      this.#stage.model.wrong('I29', `${this.#stage.unsettled} jobs wait, ${this.#stage.plan.maxQueued} may`)
    this.#took(n, handle, wanted, payload.n, signal, standing)
  }

  deferMany(n: number, wanted: readonly JobPlan[]): void {
    const asked = wanted.map((one) => this.#ask(one))
    let handles: Job[] = []
    const code = this.#try(() => {
      handles = this.#stage.scheduler.deferMany(
        asked.map(({ task, payload, options }) => ({ task, payload, options })),
      )
    })
    if (code === 'ERR_SIDEWORK_QUEUE_FULL') this.#stage.sometimes.reached('many jobs were refused together')
    for (const [index, handle] of handles.entries()) {
      const one = wanted[index]
      const ask = asked[index]
      if (one === undefined || ask === undefined) continue
      // Those after it were accepted already: only the model's own account tells who stood for the key at this one's turn.
      const standing = this.#standing(one).filter(({ id }) => id !== handle.id || handle.deduplicated)
      this.#took(
        n,
        handle,
        one,
        ask.payload.n,
        ask.signal,
        one.dedupe?.mode === 'last' && !handle.deduplicated ? [] : standing,
      )
    }
  }

  hold(n: number, wanted: JobPlan): void {
    const { task, payload, options, signal } = this.#ask(wanted)
    let handle: Job | undefined
    this.#try(() => (handle = this.#stage.scheduler.hold(undefined, task, payload, options)))
    if (handle !== undefined)
      this.#stage.note(n, this.#stage.model.add(handle, wanted, payload.n, true), signal)
  }

  letGo(kind: 'release' | 'discard', all: readonly number[]): void {
    const jobs = all
      .flatMap((n) => this.#stage.jobs.get(n) ?? [])
      .filter(({ handle }) => handle.state === 'held')
    for (const job of jobs) {
      if (kind === 'discard') {
        this.#stage.scheduler.discardHeld([job.id], 'no')
        this.#stage.sometimes.reached('a held job was discarded')
        continue
      }
      const standing = this.#standing(job.wanted)
      const payloads = new Map(standing.map((one) => [one, one.handle.state]))
      this.#stage.scheduler.releaseHeld([job.id])
      if (job.handle.state !== 'cancelled') {
        this.#stage.sometimes.reached('a held job was released')
        this.#stage.model.release(job)
        const { state } = job.handle
        if (job.wanted.dedupe?.mode === 'last' && standing.length > 0 && state === 'blocked')
          this.#follows(job)
        continue
      }
      this.#stage.sometimes.reached('a held job found a duplicate')
      this.#replacedByHeld(job, [...payloads.keys()])
    }
    this.#stage.model.refresh()
  }

  /** A held job gave its payload to the one that stands for its key. */
  #replacedByHeld(job: ModelJob, standing: readonly ModelJob[]): void {
    const twin = standing.find((one) => {
      const { n } = (this.#stage.scheduler.job(one.id)?.payload ?? { n: 0 }) as { n: number }
      return n === job.payload
    })
    if (twin === undefined) return
    twin.payload = job.payload
    twin.group = job.group
    twin.isVague = twin.isRankVague = true
    this.#joinsOther(twin, job.wanted)
    if (waitsOf(job.wanted) !== undefined) {
      const runAt = this.#stage.scheduler.job(twin.id)?.runAt ?? 0
      twin.runAt = runAt - this.#stage.wallOffset
      this.#stage.model.expireAnew(twin)
      twin.state = twin.handle.state
      if (twin.state === 'scheduled') twin.rank = undefined
    }
  }

  #took(
    n: number,
    handle: Job,
    wanted: JobPlan,
    payload: number,
    signal: AbortController | undefined,
    standing: ModelJob[],
  ): void {
    if (handle.deduplicated) return this.#deduplicated(handle, wanted, payload, standing)
    const surely = wanted.dedupe?.mode === 'first' && standing.length > 0
    if (surely)
      this.#stage.model.wrong(
        'I16',
        `a job of key ${wanted.dedupe?.key} was accepted beside job ${standing[0]?.payload}`,
      )
    const job = this.#stage.model.add(handle, wanted, payload, false)
    this.#stage.note(n, job, signal)
    if ((standing.length > 0 || wanted.dedupe?.mode === 'last') && handle.state === 'blocked')
      this.#follows(job)
    if (wanted.awaited === true) this.#await(job, handle)
  }

  #deduplicated(handle: Job, wanted: JobPlan, payload: number, standing: ModelJob[]): void {
    const { model, sometimes } = this.#stage
    sometimes.reached('a defer found its job there')
    const job = model.byId.get(handle.id)
    if (job === undefined) return model.wrong('I16', `a defer answered job ${handle.id}, which is unknown`)
    const { dedupe } = job.wanted
    // A job that stands for its key by ttl and is kept no longer may have lost its own id to another.
    if (job.wanted.dedupe?.key !== wanted.dedupe?.key && job.wanted.ownId !== undefined) return
    if (!standing.includes(job) && job.handle.state !== 'completed')
      return model.wrong('I16', `a defer answered job ${job.payload}, which is ${job.handle.state}`)
    if (isSettled(job.handle.state)) {
      if (standing.includes(job)) return
      const until = job.acceptedAt + (dedupe?.ttl ?? 0)
      if (model.now() >= until)
        model.wrong('I16', `a defer answered job ${job.payload} ${model.now() - until} ms after its ttl`)
      return sometimes.reached('a completed job stood for its key until its ttl')
    }
    if (dedupe?.mode !== 'last') return
    if (job.generation === 1 && (job.attempt > 0 || job.execs.some((exec) => exec.began)))
      return model.wrong('I28', `job ${job.payload} has started and took a new payload`)
    job.payload = payload
    job.group = wanted.group
    sometimes.reached('a debounced job took a new payload')
    this.#joinsOther(job, wanted)
    const waits = waitsOf(wanted)
    if (waits === undefined) return
    job.runAt = model.now() + waits
    model.expireAnew(job)
    if (waits === 0 && job.state === 'scheduled') sometimes.reached('a debounced job was due at once')
    // Due at once, it joins its line here, before what is accepted after it.
    if (waits === 0 && job.state === 'scheduled' && job.rank === undefined) model.joinNow(job)
    // A later one of the same `deferMany` may have made it due at once: it waited all the same, and is ready anew.
    const { state } = job.handle
    const wasDueAgain = waits > 0 && (state === 'ready' || (state === 'blocked' && job.rank !== undefined))
    if (state !== 'scheduled' && !wasDueAgain) return
    job.rank = undefined
    job.state = 'scheduled'
    sometimes.reached('a debounced job waited again')
  }

  /** A debounced job stands in the line of its latest payload's key, unless its old execution still holds one. */
  #joinsOther(job: ModelJob, { orderingKey }: JobPlan): void {
    const isLingering = job.execs.some((exec) => !exec.isOver)
    if (orderingKey === undefined || orderingKey === job.wanted.orderingKey || isLingering) return
    const stood = job.rank !== undefined || (job.wanted.orderingKey === undefined && job.state === 'ready')
    job.wanted = { ...job.wanted, orderingKey }
    if (stood) this.#stage.model.joinNow(job)
    this.#stage.sometimes.reached('a debounced job changed its line')
  }

  /** Unsettled jobs that stand for the key of the newcomer. */
  #standing(wanted: JobPlan): ModelJob[] {
    const { dedupe } = wanted
    if (dedupe === undefined) return []
    return this.#stage.model.jobs.filter(
      ({ wanted: other, handle }) =>
        other.task === wanted.task &&
        other.dedupe?.key === dedupe.key &&
        !isSettled(handle.state) &&
        handle.state !== 'held',
    )
  }

  /** It starts after another of its dedupe key has settled, and joins the line of its ordering key then. */
  #follows(job: ModelJob): void {
    this.#stage.sometimes.reached('a follower waited')
    this.#stage.followers.push(job)
    job.state = 'blocked'
    job.rank = undefined
    job.isRankVague = job.isVague = true
  }

  #await(job: ModelJob, handle: Job): void {
    const wait: Wait = { job, isOver: false }
    this.#stage.waits.push(wait)
    const told = (): void => {
      wait.isOver = true
    }
    handle.result().then(told, told)
  }

  #ask(wanted: JobPlan): {
    task: Task<unknown>
    payload: { n: number; g: number }
    options: DeferOptions
    signal: AbortController | undefined
  } {
    const task = this.#stage.task(wanted.task) as Task<unknown> // as the plan makes them
    const n = ++this.#stage.payloads
    this.#stage.plans.set(n, wanted)
    const signal = wanted.signal === true ? new AbortController() : undefined
    const options = {
      ...this.#options(wanted),
      ...(signal === undefined ? undefined : { signal: signal.signal }),
    }
    return { task, payload: { n, g: wanted.group }, options, signal }
  }

  #options(wanted: JobPlan): DeferOptions {
    const { priority, delay, runIn, orderingKey, dedupe, attempts, backoff, timeout, expiresIn, ownId } =
      wanted
    const wall = this.#stage.world.clock.wall()
    return {
      ...(priority === undefined ? undefined : { priority }),
      ...(delay === undefined ? undefined : { delay }),
      ...(runIn === undefined
        ? undefined
        : { runAt: runIn % 2 === 0 ? wall + runIn : new Date(wall + runIn) }),
      ...(orderingKey === undefined ? undefined : { orderingKey }),
      ...(dedupe === undefined ? undefined : { dedupe }),
      ...(attempts === undefined ? undefined : { attempts }),
      ...(backoff === undefined ? undefined : { backoff }),
      ...(timeout === undefined ? undefined : { timeout }),
      ...(expiresIn === undefined ? undefined : { expiresIn }),
      ...(ownId === undefined ? undefined : { id: ownId }),
    }
  }

  /** @returns the code of the refusal, if it was one; a refusal must leave no trace */
  #try(run: () => void): string | undefined {
    const { model, scheduler } = this.#stage
    try {
      run()
      return undefined
    } catch (error) {
      const code = (error as { code?: string }).code ?? String(error)
      model.refresh()
      checkCounts(model, scheduler.stats(), `a defer was refused (${code}) and left a trace: `)
      if (code === 'ERR_SIDEWORK_QUEUE_FULL') this.#stage.sometimes.reached('the queue was full')
      else if (code === 'ERR_SIDEWORK_ID_TAKEN') this.#stage.sometimes.reached('an own id was taken')
      else this.#stage.model.wrong('I2', `a defer was refused: ${code}`)
      return code
    }
  }
}

/** For how long a defer asks to wait, if it does: an instant that is over asks for no wait at all. */
function waitsOf({ delay, runIn }: JobPlan): number | undefined {
  return delay ?? (runIn === undefined ? undefined : Math.max(0, runIn))
}
