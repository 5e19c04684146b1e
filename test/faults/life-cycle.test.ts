/** Group E of README.md: the life of a process, from the import of the package to its exit. */
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createScheduler } from '../../src/index.js'
import { packageRoot } from '../fixtures/loader/project.js'
import { withThreads } from '../scenarios/with-threads.js'
import { openFiles } from './open-files.js'

const faulty = new URL('../fixtures/tasks/faulty.mjs', import.meta.url)

interface Told {
  readonly event: string
  readonly refusal?: string
  readonly lost?: string[]
}

/** Brings an app into a state, sends SIGTERM, and tells how it went. */
async function leave(state: string) {
  const file = fileURLToPath(new URL('leaving-app.mjs', import.meta.url))
  const child = fork(file, [state], {
    execArgv: [],
    env: { PATH: process.env['PATH'], LEDGER: '/dev/null' },
    silent: true,
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const told: Told[] = []
  let signalledAt = 0
  let tookMs = Infinity
  child.on('message', (message) => {
    const one = message as Told // the only kind that the app sends
    told.push(one)
    if (one.event === 'closed') tookMs = performance.now() - signalledAt
    if (one.event !== 'there') return
    signalledAt = performance.now()
    child.kill('SIGTERM')
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  const closed = told.find(({ event }) => event === 'closed')
  return {
    code,
    stderr,
    refusal: closed?.refusal,
    lost: closed?.lost,
    tookMs,
  }
}

describe('E1: SIGTERM ends the process with 0 within the timeout of 1 s and a second, and refuses new jobs:', () => {
  it.each([
    ['idle', []],
    ['threads starting', []],
    ['running', ['endless running']],
    ['running on threads', ['stuck running', 'minds-nothing running']],
    ['retrying', ['bad retrying']],
    ['rate-limited', ['narrow ready']],
    ['paused', ['quick ready']],
    ['held jobs', ['quick held']],
    ['already closing', ['endless running']],
  ])('%s', async (state, lost) => {
    const { tookMs, ...left } = await leave(state)
    expect(left).toEqual({ code: 0, stderr: '', refusal: 'ERR_SIDEWORK_CLOSED', lost })
    expect(tookMs).toBeLessThan(2000)
  })
})

it('E4: close() answers the same promise 100 times at once, before a start and after a failure, and never throws', async () => {
  const fresh = createScheduler({ logger: false })
  const broken = createScheduler({ logger: false, tasks: './nowhere.js' })
  await expect(broken.ready()).rejects.toThrow('nowhere.js')
  for (const scheduler of [fresh, broken]) {
    const closings = Array.from({ length: 100 }, () => scheduler.close({ timeout: 0 }))
    expect(new Set(closings).size).toBe(1)
    expect(await closings[0]).toMatchObject({ lost: [] })
    expect(scheduler.close()).toBe(closings[0])
  }
})

it('E5: 1,000 schedulers that are made, used and closed leave nothing', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length
  const cycle = async (): Promise<void> => {
    const scheduler = createScheduler({ logger: false })
    expect(await scheduler.defer(() => 'done').result()).toBe('done')
    await scheduler.close()
  }
  await cycle()
  const left = (): number[] => [
    process.getActiveResourcesInfo().length,
    descriptors(),
    process.eventNames().length,
  ]
  const before = left()
  for (let n = 0; n < 1000; n++) await cycle()
  for (const [index, count] of left().entries()) expect(count).toBeLessThanOrEqual(before[index] ?? 0)
})

it.runIf(process.platform === 'linux')(
  'E5: 50 schedulers that are closed while their threads start leave no file of a module open',
  async () => {
    const before = openFiles().length
    for (let n = 0; n < 50; n++) {
      const scheduler = withThreads({ tasks: faulty })
      const ready = scheduler.ready().catch((error: { code: string }) => error.code)
      await setTimeout(2 * n)
      await scheduler.close()
      expect([undefined, 'ERR_SIDEWORK_CLOSED']).toContain(await ready)
    }
    expect(openFiles().length - before).toBeLessThanOrEqual(0)
  },
)

it('E9: the library calls process.exit and handles signals in closeOnSignal only, and handles no uncaught error', () => {
  const sources = readdirSync(join(packageRoot, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts'),
  )
  const mentions = (pattern: RegExp): string[] =>
    sources.filter((file) =>
      readFileSync(join(packageRoot, 'src', file), 'utf8')
        .split('\n')
        .some((line) => !/^\s*(\/?\*|\/\/)/.test(line) && pattern.test(line)),
    )
  // In a thread, which must tell a crash before it ends, `process` is the thread's own.
  const exits = mentions(/process\.(exit|abort|kill|reallyExit)\(/)
  expect(exits.filter((file) => !file.startsWith('threads/'))).toEqual(['express/close-on-signal.ts'])
  const handlers = mentions(/process\.(on|once|addListener|prependListener)\(/)
  expect(handlers.filter((file) => !file.startsWith('threads/'))).toEqual(['express/close-on-signal.ts'])
})

it('the library opens no connection: only the client of browsers fetches, and servers are given to it', () => {
  const sources = readdirSync(join(packageRoot, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts'),
  )
  const connecting = sources.filter((file) => {
    // The classes of messages connect nothing.
    const classes = "import { IncomingMessage, ServerResponse } from 'node:http'"
    const text = readFileSync(join(packageRoot, 'src', file), 'utf8').replace(classes, '')
    const imports =
      /^import (?!type )(\{[^}]*\}|\* as \w+|\w+) from '(node:)?(net|http|https|http2|tls|dns|dgram|undici)'/m
    const calls = /^(?!\s*(\*|\/\/)).*\b(fetch|new (WebSocket|EventSource))\(/m
    return imports.test(text) || calls.test(text)
  })
  expect(connecting.filter((file) => !file.startsWith('client/'))).toEqual([])
})

it('E11: require and import give one copy of the package', () => {
  const source = `
    import { createRequire } from 'node:module'
    import * as imported from 'sidework'
    const required = createRequire(import.meta.url)('sidework')
    console.log(imported.defineTask === required.defineTask, imported.createScheduler === required.createScheduler)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source.replaceAll('import.meta.url', `'${join(packageRoot, 'x.js')}'`)], { cwd: packageRoot, encoding: 'utf8', env: { PATH: process.env['PATH'] } }) // prettier-ignore
  expect({ stdout, stderr }).toEqual({ stdout: 'true true\n', stderr: '' })
})
