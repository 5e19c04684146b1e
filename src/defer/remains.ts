/** What only the process knows in which a job waits: written down when it is lost, read by the one that takes it back. */
import { OptionError } from '../errors.js'
import type { Job } from '../job/job.js'
import type { JobRemains } from '../job/snapshot.js'
import { integer, key, show } from '../options.js'
import type { Clock } from '../world.js'

/** How a closing scheduler's lines stand. */
export interface LastLines {
  /** Of every job that stands in one. */
  readonly positions: ReadonlyMap<Job, number>
  /** Halted keys with the id of the job that halted each. */
  readonly halted: ReadonlyMap<string, string>
}

export function remainsOf(job: Job, { positions, halted }: LastLines, clock: Clock): JobRemains {
  const linePosition = rejoins(job) ? undefined : positions.get(job)
  const haltedBy = halted.get(job.details?.orderingKey ?? '') // no key is empty
  const { wanted, step } = job.details ?? {}
  const delayMs = step?.isWaiting === true ? wanted?.delayMs : undefined
  const expiresInMs = ownExpiryMs(job)
  // A running one is cut off, and keeps the instant.
  const isReady = job.state === 'ready' || job.state === 'running'
  return Object.freeze({
    ...(isReady ? { readyAt: clock.wallAt(job.readyAt) } : undefined),
    ...(linePosition === undefined ? undefined : { linePosition }),
    ...(haltedBy === undefined ? undefined : { haltedBy }),
    ...(delayMs === undefined ? undefined : { delayMs }),
    ...(expiresInMs === undefined ? undefined : { expiresInMs }),
  })
}

/** Its task's is the next process's to say. */
function ownExpiryMs({ details, task }: Job): number | undefined {
  const expiresInMs = details?.wanted?.expiresInMs ?? Infinity
  const isOwn = expiresInMs !== Infinity && expiresInMs !== task.policy.expiresInMs
  return isOwn ? Math.ceil(expiresInMs) : undefined
}

/** It stands in its line for an execution that is still ending, and would have left it then to join anew. */
function rejoins({ state, details }: Job): boolean {
  return details?.isLingering === true && (state === 'scheduled' || details.afterLingering === 'join-again')
}

/** What a report says of a job; undefined where it says nothing. */
export interface KnownRemains {
  readonly readyAt: number | undefined
  readonly linePosition: number | undefined
  readonly haltedBy: string | undefined
  readonly delayMs: number | undefined
  readonly expiresInMs: number | undefined
}

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
  const count = (name: Exclude<keyof JobRemains, 'haltedBy'>): number | undefined => {
    const value = given[name]
    if (value === undefined) return undefined
    // A wall clock may tell fractions.
    return integer(`restore: remains.${name}`, typeof value === 'number' ? Math.ceil(value) : value, 0)
  }
  const { haltedBy } = given
  return {
    readyAt: count('readyAt'),
    linePosition: count('linePosition'),
    haltedBy: haltedBy === undefined ? undefined : key('restore: remains.haltedBy', haltedBy),
    delayMs: count('delayMs'),
    expiresInMs: count('expiresInMs'),
  }
}
