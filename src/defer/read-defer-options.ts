/** Reads what one `defer` says for itself into the job's details. */
import { types } from 'node:util'
import { OptionError } from '../errors.js'
import type { Job, JobDedupe, JobPolicy, JobWishes } from '../job/job.js'
import { durationMs, integer, key, maxDurationMs, ownOptions, priorityLevel, show } from '../options.js'
import { readBackoff } from '../task/backoff-options.js'
import { inlineTaskName } from '../task/task-name.js'
import { readDedupeOptions, timeoutMs } from '../task/task-policy.js'
import type { Clock } from '../world.js'

const known: ReadonlySet<string> = new Set([
  'delay',
  'priority',
  'runAt',
  'orderingKey',
  'dedupe',
  'attempts',
  'backoff',
  'timeout',
  'expiresIn',
  'signal',
  'id',
])

/**
 * Checks all options of a defer, then writes them to the job.
 * @throws OptionError, having written nothing that matters: the job was not accepted
 */
export function readDeferOptions(job: Job, options: unknown, clock: Clock): JobWishes {
  const own = ownDeferOptions(job, options)
  if (own['priority'] !== undefined) job.priority = priorityLevel(own['priority'])
  const runAt = readRunAt(own, clock)
  if (runAt !== undefined) job.more().runAt = runAt
  const isOver = own['runAt'] !== undefined && runAt === undefined
  if (own['orderingKey'] !== undefined) job.more().orderingKey = key('orderingKey', own['orderingKey'])
  const policy = readPolicy(own)
  if (policy !== undefined) job.more().policy = policy
  const dedupe = readDedupe(own['dedupe'])
  if (dedupe !== undefined) job.more().dedupe = dedupe
  return {
    delayMs: isOver ? 0 : readDelay(own['delay']),
    signal: readSignal(own['signal']),
    id: own['id'] === undefined ? undefined : readId(own['id']),
    expiresInMs:
      own['expiresIn'] === undefined
        ? job.task.policy.expiresInMs
        : durationMs('expiresIn', own['expiresIn']),
  }
}

/** With the mistake told that is likely behind an option there is not. */
function ownDeferOptions(job: Job, options: unknown): Record<string, unknown> {
  try {
    return ownOptions('defer', options, known)
  } catch (error) {
    if (typeof options !== 'object' || options === null || Array.isArray(options)) throw error
    if ('on' in options) {
      throw new OptionError("'on' is an option of req.defer. Call that, or leave it out.")
    }
    if (job.task.name !== inlineTaskName) throw error
    const { message } = error as Error // ownOptions throws nothing else
    throw new OptionError(
      `A function takes no payload: close over what it needs, or define a task. ${message}`,
    )
  }
}

/** Ids stand in paths of URLs, where these two are not what they seem, encoded or not (WHATWG URL, dot segments). */
function readId(value: unknown): string {
  const id = key('id', value)
  if (id !== '.' && id !== '..') return id
  throw new OptionError(
    `id is '${id}', which means a folder in the path of a URL. Give another one.`,
    'ERR_SIDEWORK_KEY',
  )
}

function readDelay(delay: unknown): number | undefined {
  return delay === undefined ? undefined : Math.ceil(durationMs('delay', delay, { zero: true }))
}

/** The due instant on the core's clock, if the job is to wait. */
function readRunAt(own: Record<string, unknown>, clock: Clock): number | undefined {
  const { delay, runAt } = own
  if (delay !== undefined && runAt !== undefined)
    throw new OptionError('defer got both delay and runAt. Give one.')
  const delayMs = readDelay(delay)
  if (delayMs !== undefined) return delayMs === 0 ? undefined : clock.now() + delayMs
  if (runAt === undefined) return undefined
  const at = types.isDate(runAt) ? runAt.getTime() : runAt
  const inMs = typeof at === 'number' ? Math.ceil(at - clock.wall()) : NaN
  if (!Number.isFinite(inMs) || inMs > maxDurationMs) {
    throw new OptionError(
      `runAt is ${show(at)}. Give a Date or milliseconds since the epoch, at most 10 years ahead.`,
    )
  }
  return inMs <= 0 ? undefined : clock.now() + inMs
}

function readPolicy(own: Record<string, unknown>): JobPolicy | undefined {
  const { attempts, backoff, timeout } = own
  if (attempts === undefined && backoff === undefined && timeout === undefined) return undefined
  return {
    ...(attempts === undefined ? undefined : { maxAttempts: integer('attempts', attempts, 1, 100) }),
    ...(backoff === undefined ? undefined : { backoff: readBackoff(backoff) }),
    ...(timeout === undefined ? undefined : { timeoutMs: timeoutMs('timeout', timeout) }),
  }
}

function readDedupe(value: unknown): JobDedupe | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string') return { key: key('dedupe', value), ...readDedupeOptions('dedupe', {}) }
  const own = ownOptions('dedupe', value, dedupeNames, 'a key, or { key, mode, ttl }')
  return { key: key('dedupe.key', own['key']), ...readDedupeOptions('dedupe', own) }
}

const dedupeNames: ReadonlySet<string> = new Set(['key', 'mode', 'ttl'])

function readSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new OptionError(`signal is ${show(signal)}. Give an AbortSignal.`)
}
