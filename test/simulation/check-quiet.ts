/** What must hold whenever everything that was told has been read: no place free for nothing, bounds, counts. */
import type { Lane } from '../../src/job/snapshot.js'
import type { Stats } from '../../src/stats.js'
import { isSettled, type ModelJob, type ModelThread } from './model-records.js'
import { isLate, isLongLate, type Model } from './model.js'

/** Two looks, 5 ms apart, find a thread that does not move. */
const stuckWithinMs = 10

/** No place stays free while a job of its lane could start in it (I14). */
export function checkWork(model: Model): void {
  if (model.live.length === 0) return
  const ableOf: Partial<Record<Lane, readonly ModelJob[]>> = {}
  for (const thread of model.threads) {
    const { lane } = thread.fake
    if (!thread.isOpen || thread.isGone || thread.wasStopped || thread.fake.isDying) continue
    if (lane === 'cpu') checkAhead(model, thread)
    else if (lane === 'io') checkRetired(model, thread)
    if (thread.execs.length >= model.places[lane] || thread.isRetired !== 'no' || thread.isKept) continue
    const able = (ableOf[lane] ??= startable(model, lane))
    if (able.length === 0) continue
    const idle = able.find((job) => thread.execs.length === 0 || !mayWait(model, job, able))
    if (idle !== undefined)
      model.wrong('I14', `job ${idle.payload} is ready and a place of lane ${lane} is free`)
  }
}

function checkRetired(model: Model, thread: ModelThread): void {
  if (thread.execs.some((exec) => isLongLate(exec, model))) thread.isRetired = 'surely'
  else if (thread.isRetired === 'no' && thread.execs.some((exec) => isLate(exec, model)))
    thread.isRetired = 'perhaps'
}

const none: readonly ModelJob[] = []

/** The jobs of a lane that could start: mostly none, for which no list is made. */
function startable(model: Model, lane: Lane): readonly ModelJob[] {
  let able: ModelJob[] | undefined
  for (const job of model.live) if (job.lane === lane && model.mayStartNow(job)) (able ??= []).push(job)
  return able ?? none
}

/**
 * Whether a place of a thread that is not empty may stay free although this job could start: only because the job must
 * run alone, or because one that must starts before it (src/lanes.md), and the thread is being emptied for that one.
 */
function mayWait(model: Model, job: ModelJob, able: readonly ModelJob[]): boolean {
  if (job.runsAlone) return true
  return able.some(
    (other) => other.runsAlone && (other.isVague || job.isVague || !model.isBefore(job, other)),
  )
}

/** What was sent ahead does not wait behind a long job: it is taken back when its thread does not move (I14). */
function checkAhead(model: Model, thread: ModelThread): void {
  const now = model.now()
  for (const exec of thread.execs) {
    if (exec.began || !exec.wasSentAhead || exec.job.handle.state !== 'ready') continue
    const since = Math.max(exec.startedAt, thread.reportedAt, model.blockedUntil)
    if (now > since + stuckWithinMs)
      model.wrong('I14', `job ${exec.job.payload} waits for ${now - since} ms behind a job it was sent after`)
  }
}

/** What waits expires at its moment (I15). */
export function checkExpiry(model: Model): void {
  const now = model.now()
  for (const job of model.live) {
    if (job.expiresAt >= now || job.isVague || job.state === 'running' || job.state === 'held') continue
    model.wrong('I15', `job ${job.payload} is ${job.state} ${now - job.expiresAt} ms after it expired`)
  }
}

/** What waits for an instant goes on at that instant (I14). */
export function checkDue(model: Model): void {
  const now = model.now()
  for (const job of model.live) {
    if (job.state !== 'scheduled' || job.isVague || job.runAt >= now) continue
    model.wrong('I14', `job ${job.payload} is still scheduled ${now - job.runAt} ms after it was due`)
  }
}

/** Every job is counted once, in the state it has (I20), and its bytes (I29). */
export function checkCounts(model: Model, stats: Stats, when = ''): void {
  const wrong = (invariant: string, what: string): void =>
    model.wrong(when === '' ? invariant : 'I2', when + what)
  const settled = stats.completed + stats.failed + stats.cancelled + stats.expired
  const waiting = stats.held + stats.scheduled + stats.blocked + stats.ready + stats.retrying
  const sum = waiting + stats.running + settled
  if (sum !== stats.accepted) wrong('I20', `${sum} jobs in all states, ${stats.accepted} accepted`)
  const seen = { held: 0, scheduled: 0, blocked: 0, ready: 0, running: 0, retrying: 0 }
  let bytes = 0
  for (const { state, payload, group } of model.live) {
    if (isSettled(state)) continue
    seen[state]++
    bytes += `{"n":${payload},"g":${group}}`.length
  }
  for (const state of ['held', 'scheduled', 'blocked', 'ready', 'running', 'retrying'] as const)
    if (seen[state] !== stats[state])
      wrong('I20', `stats count ${stats[state]} ${state}, there are ${seen[state]}`)
  let accepts = 0
  for (const job of model.jobs) accepts += job.accepts
  if (accepts !== stats.accepted) wrong('I20', `${stats.accepted} accepted instead of ${accepts}`)
  if (bytes !== stats.queuedBytes) wrong('I29', `${stats.queuedBytes} bytes queued instead of ${bytes}`)
}

/** One unsettled job per dedupe key, and in mode `last` one follower (I16). */
export function checkDuplicates(model: Model): void {
  const seen = new Map<string, number>()
  for (const { wanted, state, task, payload } of model.live) {
    const { dedupe } = wanted
    if (dedupe === undefined || state === 'held') continue
    const name = `${task} ${dedupe.key}`
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    if (count > (dedupe.mode === 'last' ? 2 : 1))
      model.wrong('I16', `job ${payload} is one too many of dedupe key ${dedupe.key}`)
  }
}

/** Nothing is kept that no unsettled job, open window or ttl accounts for (I21). */
export function checkSizes(model: Model, sizes: Readonly<Record<string, number>>): void {
  const { live } = model
  const withKey = live.filter(({ wanted }) => wanted.orderingKey !== undefined)
  const lingering = model.threads.reduce((sum, { execs }) => sum + execs.length, 0)
  const most: Record<string, number> = {
    jobs: live.length,
    lines: withKey.length + lingering,
    halted: model.halted.size,
    groups: live.length,
    dedupe: model.jobs.filter(({ wanted }) => wanted.dedupe !== undefined).length,
  }
  for (const [name, bound] of Object.entries(most)) {
    const size = sizes[name] ?? 0
    if (size > bound) model.wrong('I21', `${size} ${name} are kept, ${bound} can be accounted for`)
  }
}
