/** `res.accepted(job, body?)`: 202 Accepted, with where to look for the job (RFC 9110 §15.3.3). */
import type { ServerResponse } from 'node:http'
import { types } from 'node:util'
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { Job } from '../scheduler.js'
import { answerJson } from './answer.js'
import type { FlowSnapshot } from '../flows/flow-snapshot.js'
import type { JobSnapshot } from '../job/snapshot.js'
import { nowFollows } from './followers.js'
import { flowStatus, type FlowStatus } from './flow-status.js'
import { jobStatus, statusJson, type JobStatus } from './job-status.js'
import { preferredWaitS, waitFor } from './prefer-wait.js'

/** What `res.accepted` needs of a job or flow. */
export type AcceptedJob = Pick<Job, 'id' | 'state' | 'result'> & {
  snapshot(): JobSnapshot | FlowSnapshot
}

/** What a body of your own may not name: `id`, `state` and `links` are the job's. */
export interface JobFields {
  readonly id?: never
  readonly state?: never
  readonly links?: never
}

/**
 * Answers 202 with `Location`, `Retry-After: 1`, `Cache-Control: no-store` and the JSON body
 * `{ id, state, links: { self, events }, ...body }`. The job's own fields win over fields of `body`.
 *
 * A request with `Prefer: wait=n` (seconds, at most 30) whose job settles in that time is answered 200 with the job's
 * status and result instead; not for a held job, and nothing of a `sensitive` task's result.
 * @throws OptionError for what is no job or flow, and when `body` is not an object; TypeError when it is not JSON; nothing is sent then
 */
// The parameter lets an object literal have fields that JobFields does not name.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export type Accepted = <Body extends object>(job: AcceptedJob, body?: Body & JobFields) => void

const pathCharacters = /^(?:\/[\w.~!$&'()*+,;=:@%-]+)*\/?$/

/**
 * The path of the jobs without a slash at its end.
 * @throws OptionError unless an absolute path without query and empty segments
 */
export function readJobsPath(value: unknown): string {
  if (typeof value === 'string' && value.startsWith('/') && pathCharacters.test(value))
    return value.replace(/\/$/, '')
  throw new OptionError(
    `jobsPath is ${show(value)}. Give the absolute path, as clients see it, at which jobsRouter answers, e.g. '/api/jobs'.`,
  )
}

/** What answering needs beside the response. */
export interface AcceptedPlace {
  readonly jobsPath: string
  isSensitive(id: string): boolean
}

/** Answers for a job whose status is found under `jobsPath`; see `Accepted`. */
export function answerAccepted(
  res: ServerResponse,
  place: AcceptedPlace,
  job: AcceptedJob,
  body: unknown,
): void {
  refuseOthers(job)
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw new OptionError(
      `The body of res.accepted is ${show(body)}. Give an object; its fields are added to the answer.`,
    )
  }
  const extra = JSON.parse(JSON.stringify(body ?? {})) as object // as it is now, and refused here when it is not JSON
  const waitS = preferredWaitS(res.req)
  if (waitS === undefined) return answerNow(res, place, job, job.state, extra)
  const { state } = job
  if (state !== 'held') nowFollows(res)
  const isShown = !place.isSensitive(job.id) // nobody knows once it is kept no longer
  void waitFor(job, waitS).then((waited) => {
    if (res.headersSent) return // to a client that is gone too: idempotent() keeps the answer for its return
    if (waited === 'settled') void answerSettled(res, place, job, isShown, extra, waitS)
    else answerNow(res, place, job, waited === 'lost' ? state : job.state, extra)
  })
}

function answerNow(
  res: ServerResponse,
  { jobsPath }: AcceptedPlace,
  job: AcceptedJob,
  state: AcceptedJob['state'],
  extra: object,
): void {
  const links = linksOf(jobsPath, job.id)
  const own = { id: job.id, state, links }
  // Spread twice: the first gives the order of the fields, the last the final word.
  const json = JSON.stringify({ ...own, ...extra, ...own })
  answerJson(res, 202, json, { Location: links.self, 'Retry-After': '1', 'Cache-Control': 'no-store' })
}

async function answerSettled(
  res: ServerResponse,
  place: AcceptedPlace,
  job: AcceptedJob,
  isShown: boolean,
  extra: object,
  waitS: number,
): Promise<void> {
  const links = linksOf(place.jobsPath, job.id)
  const status = await statusOf(job, isShown)
  if (res.headersSent) return
  // What the job does not have is no field of it, and would hide one of the body.
  const own = Object.fromEntries(
    Object.entries({ ...status, links }).filter(([, value]) => value !== undefined),
  )
  answerJson(res, 200, statusJson({ ...own, ...extra, ...own }), {
    Location: links.self,
    'Preference-Applied': `wait=${waitS}`,
    'Cache-Control': 'no-store',
  })
}

/** @param isShown whether result and message of an error may leave the process */
async function statusOf(job: AcceptedJob, isShown: boolean): Promise<JobStatus | FlowStatus> {
  const snapshot = job.snapshot()
  if (!('steps' in snapshot)) return jobStatus(snapshot, { result: isShown, errorMessage: isShown })
  const status = flowStatus(snapshot, { errorMessage: isShown })
  if (!isShown || snapshot.state !== 'completed') return status
  return { ...status, result: await job.result().catch(() => undefined) } // one that was dropped is not shown
}

function linksOf(jobsPath: string, id: string): { self: string; events: string } {
  const self = `${jobsPath}/${encodeURIComponent(id)}`
  return { self, events: `${self}/events` }
}

/** @throws OptionError for what is no job and no flow */
function refuseOthers(job: unknown): void {
  const { id, result, snapshot } = (job ?? {}) as Partial<Record<keyof AcceptedJob, unknown>>
  if (typeof id === 'string' && typeof result === 'function' && typeof snapshot === 'function') return
  throw new OptionError(`res.accepted got ${shown(job)}. Give what req.defer answered.`)
}

function shown(given: unknown): string {
  if (types.isPromise(given)) return 'a promise'
  const { id, state, name, run } = (given ?? {}) as Record<string, unknown>
  if (typeof id === 'string' && typeof state === 'string') return `the snapshot of job ${show(id)}`
  return typeof name === 'string' && typeof run === 'function' ? `the task ${show(name)}` : show(given)
}
