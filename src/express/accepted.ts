/** `res.accepted(job, body?)`: 202 Accepted, with where to look for the job (RFC 9110 §15.3.3). */
import type { ServerResponse } from 'node:http'
import { OptionError } from '../errors.js'
import { show } from '../options.js'
import type { Job } from '../scheduler.js'
import { answerJson } from './answer.js'

/** What `res.accepted` needs of a job. */
export type AcceptedJob = Pick<Job, 'id' | 'state'>

/** What a body of your own may not name: `id`, `state` and `links` are the job's. */
export interface JobFields {
  readonly id?: never
  readonly state?: never
  readonly links?: never
}

/**
 * Answers 202 with `Location`, `Retry-After: 1`, `Cache-Control: no-store` and the JSON body
 * `{ id, state, links: { self, events }, ...body }`. The job's own three fields win over fields of `body`.
 * @throws OptionError when `body` is not an object; TypeError when it is not JSON; nothing is sent then
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

/** Answers 202 for a job whose status is found under `jobsPath`; see `Accepted`. */
export function answerAccepted(res: ServerResponse, jobsPath: string, job: AcceptedJob, body: unknown): void {
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw new OptionError(
      `The body of res.accepted is ${show(body)}. Give an object; its fields are added to the answer.`,
    )
  }
  const self = `${jobsPath}/${encodeURIComponent(job.id)}`
  const own = { id: job.id, state: job.state, links: { self, events: `${self}/events` } }
  // Spread twice: the first gives the order of the fields, the last the final word.
  const json = JSON.stringify({ ...own, ...body, ...own })
  answerJson(res, 202, json, { Location: self, 'Retry-After': '1', 'Cache-Control': 'no-store' })
}
