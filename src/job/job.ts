import type { JobState } from './lifecycle.js'
import type { EncodedPayload } from './payload.js'
import type { SerializedError } from './serialized-error.js'
import type { BackoffPolicy } from './backoff-policy.js'
import type { AttemptError, Progress, RequestContext, ScheduleContext } from './snapshot.js'
import type { TaskRecord } from './task-record.js'
import type { FlowStep } from './flow-step.js'

/**
 * One job, as the core keeps it. A small record of one shape, because a million may wait; what most jobs never need is
 * in `details`, made on demand. Instants are on the core's clock (whole ms).
 *
 * Only journal.ts writes `state`, `attempt`, `generation`, `startedAt` and `endedAt`.
 */
export class Job {
  readonly task: TaskRecord
  /** Acceptance number: breaks every tie. */
  readonly seq: number
  /** Its cell in the job table; the last characters of its id. */
  slot = -1
  state: JobState
  /** 0–9. Constant while the job is in a ready queue. */
  priority: number
  readonly acceptedAt: number
  /** When it became ready. Constant while the job is in a ready queue. */
  readyAt: number
  startedAt = -1
  endedAt = -1
  /** Attempts charged so far, the running one included. */
  attempt = 0
  /** The valid execution in its thread; 0 for none. Whatever names another token is ignored. */
  token = 0
  /** Where it stands in the structure that holds it (ready ring, heap). Written by that structure. */
  place = 0
  payload: EncodedPayload
  /** Its id, once somebody has asked; see `JobTable.idOf`. */
  idText: string | undefined = undefined
  details: JobDetails | undefined = undefined
  /** Main lane only. */
  mainWork: MainWork | undefined = undefined

  constructor(
    task: TaskRecord,
    seq: number,
    state: JobState,
    priority: number,
    acceptedAt: number,
    payload: EncodedPayload,
  ) {
    this.task = task
    this.seq = seq
    this.state = state
    this.priority = priority
    this.acceptedAt = acceptedAt
    this.readyAt = acceptedAt
    this.payload = payload
  }

  /** The job's details, made now if need be. */
  more(): JobDetails {
    return (this.details ??= new JobDetails())
  }

  /** Has the waiter told when the job settles. */
  tell(waiter: Waiter): void {
    const details = this.more()
    // As a rule it is the only one: an empty array would be given room for seventeen by the first push.
    if (details.waiters === undefined) details.waiters = [waiter]
    else details.waiters.push(waiter)
  }
}

/** The jobs of one ordering key. */
export interface Line {
  head: Job
  tail: Job
}

/** Who wants to know that a job has settled. */
export interface Waiter {
  settled(): void
}

/** One for all, as most jobs have none. */
export const noErrors: readonly AttemptError[] = Object.freeze([])

/** What most jobs never need. */
export class JobDetails {
  /** 1, and one more after each `retry(id)`. */
  generation = 1
  wanted: JobWishes | undefined = undefined
  /** An id of the user's own. */
  ownId: string | undefined = undefined
  orderingKey: string | undefined = undefined
  dedupe: JobDedupe | undefined = undefined
  /** The ordering line it stands in, and its neighbours there. Ordering lines only. */
  line: Line | undefined = undefined
  nextInLine: Job | undefined = undefined
  previousInLine: Job | undefined = undefined
  /** Keys of the task's limits, where those have keys. */
  limitKeys: LimitKeys | undefined = undefined
  /** What it had to pass when it last became ready. Queue and dispatcher only. */
  gates: Gates | undefined = undefined
  /** When it was or is due, if not at acceptance. */
  runAt: number | undefined = undefined
  /** Defer-time overrides of the task's policy. */
  policy: JobPolicy | undefined = undefined
  /** The instant after which no attempt starts. */
  expiresAt: number | undefined = undefined
  /** The alarm that expires it. Scheduler only. */
  expiry: Disarmable | undefined = undefined
  errors: readonly AttemptError[] = noErrors
  error: SerializedError | undefined = undefined
  progress: Progress | undefined = undefined
  result: EncodedPayload = undefined
  resultRefused: string | undefined = undefined
  request: RequestContext | undefined = undefined
  /** Of a recurring job. */
  schedule: ScheduleContext | undefined = undefined
  waiters: Waiter[] | undefined = undefined
  /** Its part in a flow. */
  step: FlowStep | undefined = undefined
  /** Stops listening to the caller's `signal`. */
  unlisten: (() => void) | undefined = undefined
  /** An execution without a token that has not really ended yet: no new attempt, and its key is not given on. */
  isLingering = false
  /**
   * What it does when the lingering execution has ended. `stay`: nothing, its time has not come or it is settled;
   * `go-on`: it is due; `join-again`: it is retried by `retry(id)` and joins its key's line at the end.
   */
  afterLingering: 'stay' | 'go-on' | 'join-again' = 'stay'
  /** It ran out of memory once; the next time is final. */
  ranOutOfMemory = false
  /** The attempt that is running was charged already before (interrupted or snoozed). */
  isAttemptCharged = false
  /**
   * Its thread crashed and nobody could be blamed: it runs with a thread to itself, of lane cpu with a fresh one, until there
   * is a verdict on it.
   */
  runsAlone = false
}

/** What a job of the main lane takes along, since it stays on its thread. */
export interface MainWork {
  /** The deferred closure, if it is one. */
  readonly closure: ((context: never) => unknown) | undefined
  /** The `AsyncLocalStorage` context of its defer, until it has settled. */
  context: { run<T>(task: () => T): T } | undefined
}

/** What the defer asked for and the record does not hold. */
export interface JobWishes {
  /** Ms from acceptance or release, if a delay was given; 0 for a `runAt` that was over. */
  readonly delayMs: number | undefined
  readonly signal: AbortSignal | undefined
  /** An id of the user's own. */
  readonly id: string | undefined
  /** Ms; Infinity when the job never expires. */
  readonly expiresInMs: number
}

/** How a job's duplicates are treated. */
export interface JobDedupe {
  readonly key: string
  readonly mode: 'first' | 'last'
  /** Ms after acceptance; undefined: while unsettled. */
  readonly ttlMs: number | undefined
}

/** Keys that a payload gives to its task's limits. */
export interface LimitKeys {
  readonly concurrency?: string
  readonly rate?: string
}

/** What a job has to pass to start. */
export interface Gate {
  /** A job that passes starts. */
  took(now: number): void
  /** Its execution has really ended. */
  gaveBack(now: number): void
}

/** The execution has really ended: what its start took of the limits can be had again. */
export function giveBackLimits(job: Job, now: number): void {
  const limits = job.details?.gates?.limits
  if (limits !== undefined) for (const limit of limits) limit.gaveBack(now)
}

/** A job's gates. Jobs with gates of one name wait in one group. */
export interface Gates<G extends Gate = Gate> {
  readonly name: string
  readonly limits: readonly G[]
}

/** Something timed that can be called off. */
export interface Disarmable {
  disarm(): void
}

/** How one job is retried and stopped, where it differs from its task. Numbers are ms. */
export interface JobPolicy {
  readonly maxAttempts?: number
  readonly timeoutMs?: number
  readonly backoff?: BackoffPolicy
}
