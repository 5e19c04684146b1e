import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Job, JobSnapshot } from 'sidework'
import { expect, onTestFinished, test, vi } from 'vitest'
import { keepLostJobs, restoreLostJobs } from '../../example-app/lost-jobs.js'
import { temporaryFolder } from './temporary-folder.js'

const lostJob: JobSnapshot = {
  id: 'job-1',
  task: 'send-verification-mail',
  lane: 'io',
  state: 'retrying',
  priority: 5,
  attempt: 2,
  maxAttempts: 20,
  payload: { userId: 'user-1' },
  errors: [],
  acceptedAt: 1,
  runAt: 2,
  generation: 1,
}

/** Takes jobs back and remembers them. */
function taker() {
  const taken: JobSnapshot[] = []
  const restore = (jobs: readonly JobSnapshot[]) => {
    taken.push(...jobs)
    return jobs.map(({ id }) => ({ id }) as Job) // only the number of jobs is looked at
  }
  return { taken, restore }
}

test('jobs that were lost come back once', async () => {
  const folder = temporaryFolder()
  await keepLostJobs(folder, [lostJob])
  expect(readdirSync(folder)).toEqual(['lost-jobs.json'])

  const scheduler = taker()
  expect(restoreLostJobs(folder, scheduler)).toBe(1)
  expect(scheduler.taken).toEqual([lostJob])
  expect(readdirSync(folder)).toEqual([])
  expect(restoreLostJobs(folder, scheduler)).toBe(0)
})

test('nothing is written when nothing was lost', async () => {
  const folder = temporaryFolder()
  await keepLostJobs(folder, [])
  expect(readdirSync(folder)).toEqual([])
})

test.each([
  ['a broken file', '[{"id":', taker()],
  ['a job whose task is gone', JSON.stringify([lostJob]), { restore: refuse }],
])('%s is set aside: the server starts, and nothing vanishes', (_what, content, scheduler) => {
  const complaint = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => complaint.mockRestore())
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'lost-jobs.json'), content)
  expect(restoreLostJobs(folder, scheduler)).toBe(0)
  expect(existsSync(join(folder, 'lost-jobs.json'))).toBe(false)
  expect(readFileSync(join(folder, 'lost-jobs.json.unreadable'), 'utf8')).toBe(content)
  expect(complaint).toHaveBeenCalledOnce()
})

function refuse(): never {
  throw new Error("There is no task 'send-verification-mail'.")
}
