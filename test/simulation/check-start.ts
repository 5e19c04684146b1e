/** What must hold when the scheduler gives a job to a thread: lines, limits, places, time, and that it may start at all. */
import { isSettled, type Exec, type ModelJob, type ModelThread } from './model-records.js'
import { isLate, type Model } from './model.js'

/** Notes that the job was given to the thread. */
export function checkStart(model: Model, thread: ModelThread, job: ModelJob, token: number): Exec {
  const now = model.now()
  const { lane } = thread.fake
  const name = `job ${job.payload}`
  // What was sent to a cpu thread and not taken has been recalled, or it would not be sent again.
  for (const exec of job.execs) {
    if (exec.isOver || exec.began || lane !== 'cpu') continue
    model.over(exec)
    model.sometimes.reached('recall took back a job that was sent ahead')
  }
  if (job.execs.some((exec) => !exec.isDone && exec.began && lane !== 'main'))
    model.wrong('I3', `${name} was started while its last attempt ran`)
  checkMayStart(model, job, name)
  if (now >= job.expiresAt)
    model.wrong('I15', `${name} was started ${now - job.expiresAt} ms after it expired`)
  if (thread.wasStopped) model.wrong('I13', `${name} was given to a thread that was stopped`)
  if (thread.isRetired === 'surely') model.wrong('I13', `${name} was given to a thread that was retired`)
  thread.isRetired = 'no'
  const limits = model.limitsOf(job)
  const exec: Exec = {
    thread, token, job, limits, startedAt: now, began: false, isDone: false, isOver: false,
    wasSentAhead: job.state === 'ready', stoppedAt: undefined,
  } // prettier-ignore
  job.hasReported = false
  job.heardProgress = 0
  if (exec.wasSentAhead) {
    model.sometimes.reached('a job was sent ahead of its turn')
    if (limits.length > 0 || job.expiresAt < Infinity)
      model.wrong('I10', `${name} was sent ahead and has a limit or an expiry`)
    if (job.wanted.orderingKey !== undefined) model.sometimes.reached('the first of a key was sent ahead')
  }
  checkCompany(model, thread, job, name)
  checkLine(model, job, name)
  for (const limit of limits) checkLimit(model, exec, limit, name)
  thread.execs.push(exec)
  job.execs.push(exec)
  const holding = thread.execs.filter(
    (other) => !other.isOver && !other.wasSentAhead && !mayBeGivenUp(model, other),
  )
  const places = model.places[lane]
  if (holding.length > places) model.wrong('I13', `${holding.length} jobs hold ${places} places`)
  return exec
}

function checkMayStart(model: Model, job: ModelJob, name: string): void {
  if (isSettled(job.state)) model.wrong('I18', `${name} was started and is ${job.state}`)
  if (model.isPaused) model.wrong('I18', `${name} was started while everything is paused`)
  if (model.pausedTasks.has(job.task)) model.wrong('I18', `${name} was started while its task is paused`)
  if (!model.mayStart) model.wrong('I18', `${name} was started after the deadline of close`)
}

/** After a crash that nobody could be blamed for, whoever was there has a thread to itself. */
function checkCompany(model: Model, thread: ModelThread, job: ModelJob, name: string): void {
  const isAlone = thread.execs.length === 0
  if (job.runsAlone) {
    if (!isAlone) model.wrong('I14', `${name} must run alone and was given a thread that is not empty`)
    thread.isKept = true
    model.sometimes.reached('a job ran alone after a crash')
  } else if (thread.isKept && !isAlone)
    model.wrong('I14', `${name} was given a thread that is kept for another`)
}

function checkLimit(model: Model, exec: Exec, limit: Exec['limits'][number], name: string): void {
  const now = model.now()
  limit.running.push(exec)
  limit.starts.push(now)
  if (now < limit.pausedUntil) model.wrong('I12', `${name} was started while ${limit.name} is paused`)
  if (limit.rate !== undefined) {
    const starts = model.inWindow(limit)
    if (starts === limit.rate.limit) model.sometimes.reached('a rate window was full')
    if (starts > limit.rate.limit)
      model.wrong(
        'I12',
        `${name} is start ${starts} of ${limit.rate.limit} in ${limit.rate.per} ms of ${limit.name}`,
      )
  }
  const sure = limit.running.filter((other) => !mayBeGivenUp(model, other))
  if (sure.length > limit.concurrency)
    model.wrong('I13', `${name} makes ${sure.length} of ${limit.concurrency} running of ${limit.name}`)
}

/** A main-lane handler whose grace is over: its place and limits may have come back. */
function mayBeGivenUp(model: Model, exec: Exec): boolean {
  return exec.thread.fake.lane === 'main' && isLate(exec, model)
}

function checkLine(model: Model, job: ModelJob, name: string): void {
  const key = job.wanted.orderingKey
  if (key === undefined) return
  if (model.halted.has(key)) model.wrong('I8', `${name} was started while its key ${key} is halted`)
  for (const other of model.jobs) {
    if (other === job || other.wanted.orderingKey !== key) continue
    const isAhead =
      !other.isRankVague && !job.isRankVague && (other.rank ?? Infinity) < (job.rank ?? Infinity)
    if (isAhead && !isSettled(other.state))
      model.wrong('I8', `${name} passed job ${other.payload} of its key ${key}`)
    const runs = other.execs.some((exec) => exec.began && !exec.isDone && exec.thread.fake.lane !== 'main')
    if (runs) model.wrong('I9', `${name} was started while job ${other.payload} of its key ${key} runs`)
  }
}
