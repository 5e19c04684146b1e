import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { packageRoot } from '../fixtures/loader/project.js'

const run = promisify(execFile)
const source = (handler: string, options = '') => `
  import { pino } from 'pino'
  import { createScheduler, defineTask } from 'sidework'
  const scheduler = createScheduler({ logger: pino(), main: { blockedAfter: 200 }, ${options} })
  const task = defineTask('greedy', ${handler}, { lane: 'main' })
  await scheduler.defer(task).result()
  await scheduler.close()`

it('a task that blocks the main thread is named on stderr while it does', async () => {
  const program = source('() => { for (;;); }')
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: packageRoot })
  const line = await new Promise<string>((resolve) => {
    child.stderr.once('data', (chunk: Buffer) => resolve(chunk.toString()))
  })
  child.kill('SIGKILL') // it would go on for ever
  expect(JSON.parse(line)).toMatchObject({ level: 40, name: 'sidework', task: 'greedy', pid: child.pid })
})

it('and in the log afterwards; the process exits by itself', async () => {
  const program = source('() => { for (const end = Date.now() + 600; Date.now() < end; ); }')
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', program], {
    cwd: packageRoot,
    timeout: 15_000,
  })
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stdout).toMatch(
    /"task":"greedy","blockedMs":\d+,"msg":"a task of lane main blocked the main thread"/,
  )
})

it('what is done after yieldNow() counts too', async () => {
  const handler =
    'async (_, { yieldNow }) => { await yieldNow(); for (const end = Date.now() + 600; Date.now() < end; ); }'
  const { stderr } = await run(process.execPath, ['--input-type=module', '-e', source(handler)], {
    cwd: packageRoot,
    timeout: 15_000,
  })
  expect(stderr).toContain('"task":"greedy"')
})

it('nothing is told of tasks that let go in time', async () => {
  const handler =
    'async (_, { yieldNow }) => { for (let n = 0; n < 20; n++) { for (const end = Date.now() + 40; Date.now() < end; ); await yieldNow() } }'
  const { stderr } = await run(process.execPath, ['--input-type=module', '-e', source(handler)], {
    cwd: packageRoot,
    timeout: 15_000,
  })
  expect(stderr).toBe('')
})

it('what NODE_OPTIONS preloads into the app is not loaded into the watching thread', async () => {
  const preload = "data:text/javascript,process.stderr.write('loaded ')"
  const { stderr } = await run(
    process.execPath,
    ['--input-type=module', '-e', source('() => new Promise((done) => setTimeout(done, 500))')],
    {
      cwd: packageRoot,
      timeout: 15_000,
      env: { ...process.env, NODE_OPTIONS: `--import "${preload}"` },
    },
  )
  expect(stderr).toBe('loaded ')
})
