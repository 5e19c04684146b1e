/** Cases about threads that do not start or do not end, with real ones. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { packageRoot } from '../fixtures/loader/project.js'
import '../fixtures/tasks/faulty.mjs'
import { end, next, withThreads } from '../scenarios/with-threads.js'

const run = promisify(execFile)
const faulty = new URL('../fixtures/tasks/faulty.mjs', import.meta.url)
const sidework = new URL('../../dist/index.js', import.meta.url).href
const canary = `import { defineTask } from ${JSON.stringify(sidework)}
  defineTask('canary', (payload) => payload)`

/** A task module of this source, at a path that is then its own. */
function moduleOf(source: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'sidework-starting-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'tasks.mjs')
  const write = (text: string): void => writeFileSync(file, text)
  if (source !== undefined) write(source)
  return { file, write }
}

/** A logger that resolves a promise with each error it is told. */
function telling() {
  const errors: { at: number; message: string }[] = []
  let wake = (): void => undefined
  const nothing = (): void => undefined
  const logger: object = {
    debug: nothing, info: nothing, warn: nothing,
    error: ({ err }: { err: Error }) => {
      errors.push({ at: performance.now(), message: err.message })
      wake()
    },
    isLevelEnabled: () => true, child: () => logger,
  } // prettier-ignore
  const until = async (count: number): Promise<void> => {
    while (errors.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { logger: logger as never, errors, until }
}

/** What is wrong with a module, its source, and what is told. */
const broken = [
  ['is missing', undefined, 'is not a file'],
  ['has a syntax error', 'export const = 1', 'Unexpected token'],
  ['throws at import', 'throw new Error("no database")', 'no database'],
  ['imports what is not there', 'import { nothing } from "node:fs"', 'nothing'],
  [
    'leaves a rejection unhandled',
    `${canary}; void Promise.reject(new Error("no connection"))`,
    'no connection',
  ],
] as const

it('B19: a task module that cannot be imported is told by ready(), log and waiting jobs; threads start ever more rarely', async () => {
  await Promise.all(
    broken.map(async ([name, source, message]) => {
      const module = moduleOf(source)
      const { logger, errors, until } = telling()
      const scheduler = withThreads({ tasks: module.file, threads: { cpu: 1, io: 1 }, logger })
      const job = scheduler.defer('canary', 'mended')
      const tells = expect.stringContaining(message) as string
      await expect(scheduler.ready(), `one that ${name}`).rejects.toMatchObject({ message: tells })
      await until(2) // lanes cpu and io
      expect(job.snapshot()).toMatchObject({ state: 'ready', attempt: 0, error: { message: tells } })
      await until(4)
      const [, , first, second] = errors
      // Pauses of 500 ms, 1 s, 2 s, 4 s and 8 s: five starts in 10 s.
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(900)
      expect(errors.every((error) => error.message.includes(message))).toBe(true)
      module.write(canary)
      expect(await end(job)).toBe('mended')
    }),
  )
})

it('B20: an import and a setup() that never end are told with their file within 10 s', async () => {
  const start = performance.now()
  const endless = '; await new Promise(() => setInterval(() => undefined, 60_000))'
  const sources = [
    [canary + endless, 'has not imported'],
    [`${canary}; export async function setup() { ${endless} }`, 'setup() of'],
  ] as const
  await Promise.all(
    sources.map(async ([source, message]) => {
      const { file, write } = moduleOf(source)
      const scheduler = withThreads({ tasks: file })
      const job = scheduler.defer('canary', 'mended')
      const error = (await scheduler.ready().catch((thrown: unknown) => thrown)) as Error
      expect(error.message).toContain(message)
      expect(error.message).toContain(file)
      expect(performance.now() - start).toBeLessThan(10_000)
      write(canary)
      expect(await end(job)).toBe('mended')
    }),
  )
})

it('B21: a process that may start no threads is told which flag is missing', async () => {
  const permission = ['--permission', '--experimental-permission'].find((flag) =>
    process.allowedNodeEnvironmentFlags.has(flag),
  )
  const program = `
    import { createScheduler } from 'sidework'
    const scheduler = createScheduler({ tasks: ${JSON.stringify(faulty.href)}, logger: false })
    console.log((await scheduler.ready().catch((thrown) => thrown)).message)
    await scheduler.close()`
  const args = [permission ?? '', '--allow-fs-read=*', '--input-type=module', '-e', program]
  const { stdout } = await run(process.execPath, args, { cwd: packageRoot, timeout: 20_000 })
  expect(stdout).toMatch(/^Node may start no thread \(.+\)\. Start it with --allow-worker\.\n$/)
})

it.runIf(process.platform === 'linux')(
  'B21: when the system gives no thread the jobs wait, and run when it does',
  async () => {
    const tasks = JSON.stringify(faulty.href)
    const program = `
      import { execFileSync } from 'node:child_process'
      import { readFileSync } from 'node:fs'
      import { createScheduler } from 'sidework'
      import ${tasks}
      const scheduler = createScheduler({ tasks: ${tasks}, logger: false })
      await scheduler.ready() // everything is loaded once
      await scheduler.defer('canary').result()
      const starving = createScheduler({ tasks: ${tasks}, logger: false })
      const kb = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
      const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':unlimited'])
      limit((kb + 1024) * 1024)
      const job = starving.defer('canary', 'fed')
      const error = await starving.ready().catch((thrown) => thrown)
      const { state } = job
      limit('unlimited')
      const result = await job.result()
      console.log(JSON.stringify({ code: error?.code, message: error?.message, state, result }))
      await scheduler.close()
      await starving.close()`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
      cwd: packageRoot,
      timeout: 20_000,
    })
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'ERR_SIDEWORK_THREAD_START',
      message: expect.stringContaining('The system gave no thread (EAGAIN)') as string,
      state: 'ready',
      result: 'fed',
    })
  },
)

it.runIf(process.platform !== 'win32')(
  'B30: a thread that is terminated and does not exit holds nobody up',
  async () => {
    const scheduler = withThreads({ tasks: faulty, threads: { cpu: 1, io: 1, idleTimeout: '10m' } })
    await scheduler.ready()
    const order: string[] = []
    scheduler.on('thread:exited', ({ reason }) => void order.push(reason))
    const exited = next(scheduler, 'thread:exited')
    // It waits for a child process inside Node, where no thread can be interrupted.
    const job = scheduler.defer('cannot-be-interrupted', 8000)
    expect(await end(job)).toEqual(['ERR_SIDEWORK_FAILED', 'ERR_SIDEWORK_TIMEOUT'])
    expect(await end(scheduler.defer('canary', 'alive'))).toBe('alive')
    order.push('canary')
    await exited
    expect(order).toEqual(['canary', 'timeout'])
  },
)
