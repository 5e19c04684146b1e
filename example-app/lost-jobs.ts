/**
 * Jobs over a restart: what a close had to leave undone is written to a file, and taken back by the next start. This
 * covers a deploy, not a crash: a process that is killed writes nothing.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobSnapshot, Scheduler } from 'sidework'

function lostJobsFile(dataDir: string): string {
  return join(dataDir, 'lost-jobs.json')
}

/** Writes the jobs down: all of them or, if the process dies meanwhile, none. */
export async function keepLostJobs(dataDir: string, lost: readonly JobSnapshot[]): Promise<void> {
  if (lost.length === 0) return
  const file = lostJobsFile(dataDir)
  // Payloads can be personal: readable for this user only.
  await writeFile(`${file}.part`, JSON.stringify(lost), { mode: 0o600 })
  await rename(`${file}.part`, file)
}

/**
 * Hands the jobs of the last close back to the scheduler and answers how many there were. A file that cannot be taken
 * back is set aside with a warning: an old file must not keep the server from starting, nor vanish unseen.
 * Synchronous, so that no request can come in between and be told that a job is unknown.
 */
export function restoreLostJobs(dataDir: string, scheduler: Pick<Scheduler, 'restore'>): number {
  const file = lostJobsFile(dataDir)
  if (!existsSync(file)) return 0
  try {
    const jobs = scheduler.restore(JSON.parse(readFileSync(file, 'utf8')) as JobSnapshot[]) // `restore` checks it
    // Only after the jobs are accepted: dying in between means running them again, not losing them.
    rmSync(file)
    return jobs.length
  } catch (error) {
    renameSync(file, `${file}.unreadable`)
    console.error(
      `The jobs in ${file} cannot be taken back; they are kept in lost-jobs.json.unreadable.`,
      error,
    )
    return 0
  }
}
