/** What only the process knows in which a job waits: written down when it is lost, read by the one that takes it back. */
import { OptionError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { JobRemains } from '../job/snapshot.js'
import { integer, show } from '../options.js'

/** @param positions of all jobs that stand in a line */
export function remainsOf(job: Job, positions: ReadonlyMap<Job, number>): JobRemains {
  const linePosition = rejoins(job) ? undefined : positions.get(job)
  return Object.freeze({
    ...(linePosition === undefined ? undefined : { linePosition }),
  })
}

/** It stands in its line for an execution that is still ending, and would have left it then to join anew. */
function rejoins({ state, details }: Job): boolean {
  return details?.isLingering === true && (state === 'scheduled' || details.afterLingering === 'join-again')
}

/** What a report says of a job; undefined where it says nothing. */
export type KnownRemains = { readonly [field in keyof JobRemains]-?: JobRemains[field] | undefined }

/**
 * @returns undefined when the snapshot has none: a release before wrote it, or a hand
 * @throws OptionError for what cannot have been in a report
 */
export function readRemains(remains: unknown): KnownRemains | undefined {
  if (remains === undefined) return undefined
  if (typeof remains !== 'object' || remains === null)
    throw new OptionError(
      `restore got a job whose remains is ${show(remains)}. Give the \`lost\` list of a CloseReport, unchanged.`,
    )
  const given = remains as Partial<Record<keyof JobRemains, unknown>> // judged here, field by field
  const count = (name: keyof JobRemains): number | undefined =>
    given[name] === undefined ? undefined : integer(`restore: remains.${name}`, given[name], 0)
  return { linePosition: count('linePosition') }
}
