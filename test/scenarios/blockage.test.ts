import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { packageRoot } from '../fixtures/loader/project.js'

/** Holds the main thread until stderr, which is a file, has a line. */
const untilTold = 'while (fstatSync(2).size === 0);'
const source = (handler: string, { blockedAfter = 200 } = {}) => `
  import { fstatSync } from 'node:fs'
  import { pino } from 'pino'
  import { createScheduler, defineTask } from 'sidework'
  const scheduler = createScheduler({ logger: pino(), main: { blockedAfter: ${blockedAfter} } })
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
  const { stdout, stderr } = await runTold(source(`() => { ${untilTold} }`))
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stdout).toMatch(
    /"task":"greedy","blockedMs":\d+,"msg":"a task of lane main blocked the main thread"/,
  )
})

it('what is done after yieldNow() counts too', async () => {
  const { stderr } = await runTold(source(`async (_, { yieldNow }) => { await yieldNow(); ${untilTold} }`))
  expect(stderr).toContain('"task":"greedy"')
})

it('nothing is told of tasks that let go in time', async () => {
  const handler =
    'async (_, { yieldNow }) => { for (let n = 0; n < 40; n++) { for (const end = Date.now() + 40; Date.now() < end; ); await yieldNow() } }'
  const { stderr } = await runTold(source(handler, { blockedAfter: 1000 }))
  expect(stderr).toBe('')
})

it('what NODE_OPTIONS preloads into the app is not loaded into the watching thread', async () => {
  const preload = "data:text/javascript,process.stderr.write('loaded ')"
  // Until the watching thread has written its line, which comes after what it has loaded.
  const program = source('() => { while (fstatSync(2).size < 20); }')
  const { stderr } = await runTold(program, { NODE_OPTIONS: `--import "${preload}"` })
  expect(stderr.match(/loaded/g)).toHaveLength(1)
})

/** Runs a program whose stderr is a file, which it can look at while its main thread is held. */
async function runTold(
  program: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ stdout: string; stderr: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'sidework-blockage-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'stderr')
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: packageRoot,
    stdio: ['ignore', 'pipe', openSync(file, 'w')],
    timeout: 25_000,
    env: { ...process.env, ...env },
  })
  const [stdout] = await Promise.all([text(child.stdout ?? expect.unreachable()), once(child, 'exit')])
  return { stdout, stderr: readFileSync(file, 'utf8') }
}
