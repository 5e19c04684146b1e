/** What somebody sees who makes the usual mistakes of the first hour. Real threads, the built package. */
import { afterEach, describe, expect, it } from 'vitest'
import { createScheduler, type JobState, type Scheduler, type SchedulerOptions } from 'sidework'
import { Project } from '../fixtures/loader/project.js'

const open: Scheduler[] = []

function scheduler(options: SchedulerOptions = {}): Scheduler {
  const made = createScheduler({ logger: false, ...options })
  open.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close({ timeout: 0 })))
})

/** What `ready()` rejects with for one task module of this content. */
async function refusal(content: string): Promise<unknown> {
  using project = new Project({ 'tasks.js': content })
  const tried = scheduler({ tasks: `${project.folder}/tasks.js` })
  try {
    await tried.ready()
  } catch (error) {
    return error
  }
  throw new Error('ready() did not reject')
}

describe('ready() with a task module that cannot be imported', () => {
  it('rejects with the real error as the cause', async () => {
    const thrown = await refusal("throw new RangeError('no SMTP_URL')\n")
    expect(String((thrown as Error).cause)).toBe('RangeError: no SMTP_URL')
    expect(thrown).toMatchObject({
      name: 'ThreadStartError',
      code: 'ERR_SIDEWORK_THREAD_START',
      message: expect.stringMatching(/tasks\.js could not be imported: RangeError: no SMTP_URL/) as string,
      cause: { name: 'RangeError', message: 'no SMTP_URL' },
    })
  })

  it('says that a task module must not import the server', async () => {
    expect(await refusal("import { createScheduler } from 'sidework'\ncreateScheduler()\n")).toMatchObject({
      message: expect.stringContaining('A task module imports the server') as string,
      cause: { code: 'ERR_SIDEWORK_NESTED_SCHEDULER' },
    })
  })

  it('names the file that is not there and the working directory', async () => {
    await expect(scheduler({ tasks: './nowhere.js' }).ready()).rejects.toThrow(
      /nowhere\.js is not a file.*The working directory is /,
    )
  })
})

describe('a misspelt name', () => {
  it('of an event is refused with the names there are', () => {
    for (const method of ['on', 'once'] as const) {
      expect(() => scheduler()[method]('finished' as 'completed', () => undefined)).toThrow(
        "There is no event 'finished'. Known are: accepted, started,",
      )
    }
  })

  it('of a state to look for is refused with the states there are', () => {
    expect(() => scheduler().jobs({ state: 'done' as JobState })).toThrow(
      "state is 'done'. Give one of held, scheduled,",
    )
  })

  it('of an option is refused with the options there are', () => {
    expect(() => createScheduler({ task: './tasks.js' } as object)).toThrow(
      "createScheduler has an unknown option 'task'. Known are: tasks, threads,",
    )
  })
})
