import { expect, it } from 'vitest'
import { Job } from '../../src/job/job.js'
import { Journal, type Announcer } from '../../src/job/journal.js'
import { isSettled, transitions, type JobState } from '../../src/job/lifecycle.js'
import { TaskRecord, zeroCounts } from '../../src/job/task-record.js'
import { readTaskPolicy } from '../../src/task/task-policy.js'
import { VirtualWorld } from '../simulation/world.js'

const error = { name: 'Error', message: 'no' }
const silent = new Proxy({} as Announcer, { get: () => () => undefined })

/** Each state's arrow. Expired and cancelled can be reached from wherever the table says. */
const arrows: Readonly<Record<Exclude<JobState, 'held'>, (journal: Journal, job: Job) => void>> = {
  scheduled: (journal, job) => journal.schedule(job),
  blocked: (journal, job) => journal.block(job),
  ready: (journal, job) => journal.ready(job),
  running: (journal, job) => journal.start(job, 0),
  retrying: (journal, job) => journal.retry(job, error, 1),
  completed: (journal, job) => journal.complete(job, undefined, 0),
  failed: (journal, job) => journal.fail(job, error, 0),
  cancelled: (journal, job) => journal.cancel(job, error, 0),
  expired: (journal, job) => journal.expire(job, error, 0),
}
const ways = Object.keys(transitions).flatMap((from) =>
  Object.keys(arrows).map((to) => [from as JobState, to as keyof typeof arrows] as const),
)

it.each(ways)(
  'a %s job becomes %s only where the life cycle says so; otherwise no count changes',
  (from, to) => {
    const task = new TaskRecord('t', readTaskPolicy('t', {}, {}), 1)
    const journal = new Journal(silent, new VirtualWorld().clock)
    const job = new Job(task, 1, from, 5, 0, undefined)
    journal.accept(job)
    const isAllowed = !isSettled(from) && transitions[from].includes(to)
    if (isAllowed) arrows[to](journal, job)
    else expect(() => arrows[to](journal, job)).toThrow(`A ${from} job cannot become ${to}.`)
    const state = isAllowed ? to : from
    expect(job.state).toBe(state)
    expect(journal.counts).toEqual({ ...zeroCounts(), [state]: 1 })
    expect(task.counts).toEqual(journal.counts)
  },
)
