/** tsx watch: an edit restarts the app, and nothing of the old one is left. */
import { readdirSync, readlinkSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { threads, tsconfig } from './the-app.js'
import { tools, UserApp } from './user-app.js'

const tasks = (version: number): string => `
import { defineTask } from 'sidework'
export const version = defineTask('version', (): number => ${version}, { lane: 'io' })
export const endless = defineTask('endless', () => new Promise<void>(() => setInterval(() => {}, 1000)), { lane: 'io' })
`

/** Busy for ever, as a server is: the old process ends by a signal only. */
const server = `
import express from 'express'
import { createScheduler } from 'sidework'
import { closeOnSignal, sidework } from 'sidework/express'
import { endless, version } from './tasks.js'

const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url), logger: false, threads: ${threads} })
const app = express()
app.use(sidework(scheduler))
scheduler.defer(endless)
scheduler.once('started', async () => {
  console.log('pid', process.pid, 'version', await scheduler.defer(version).result(), 'threads', scheduler.stats().threads)
})
closeOnSignal(app.listen(0), scheduler, { timeout: '1s' })
`

it('tsx watch runs an edited task module, and leaves no process and no thread of the old one', async () => {
  const app = new UserApp(
    {
      'package.json': '{ "type": "module" }',
      'tsconfig.json': tsconfig(),
      'tasks.ts': tasks(1),
      'server.ts': server,
    },
    ['tsx', 'express'],
  )
  const watch = app.start([tools.tsx, 'watch', 'server.ts'])
  const [, first = ''] = await watch.says(/pid (\d+) version 1 threads 1$/m)
  // tsx hears from the app which files to watch; an edit before that is not seen, and whoever edits would do so again.
  const edit = (): void => app.write('tasks.ts', tasks(2))
  edit()
  const again = setInterval(edit, 20_000)
  onTestFinished(() => clearInterval(again))
  const [, second = ''] = await watch.says(/pid (\d+) version 2 threads 1$/m)
  clearInterval(again)
  expect(second).not.toBe(first)
  expect(isAlive(first)).toBe(false)
  expect(processesIn(app.folder)).toContain(second)
  watch.kill('SIGINT')
  await watch.ended
  expect(processesIn(app.folder)).toEqual([])
})

function isAlive(pid: string): boolean {
  try {
    return process.kill(Number(pid), 0)
  } catch {
    return false // there is no such process
  }
}

/** The processes that work in this folder. */
function processesIn(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && workingDirectory(pid) === folder)
}

function workingDirectory(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined // gone meanwhile, or another user's
  }
}
