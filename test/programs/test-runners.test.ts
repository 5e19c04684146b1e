/** The test kit of the packed package in an empty folder, under each test runner. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { codeBlocks } from '../fixtures/markdown.js'
import { installPackage, isThere, root, type Installed } from './installed-package.js'

let installed: Installed
beforeAll(async () => {
  installed = await installPackage()
}, 60_000)
afterAll(() => installed.remove())

const tasks = `
  import { defineTask } from 'sidework'
  import { threadId } from 'node:worker_threads'
  import { send } from './mailer.js'
  export const mail = defineTask('mail', async ({ to }) => ({ sent: await send(to), threadId }), { lane: 'io' })
`
const mailer = `export const send = async (to) => 'really sent to ' + to`

/** One life of a job, with the matchers. */
const life = `
  const scheduler = createTestScheduler({ now: '2026-03-08T00:00:00Z', strict: true })
  scheduler.failNext(mail, new Error('busy'), 2)
  scheduler.defer(mail, { to: 'asha' }, { priority: 'high' })
  expect(scheduler).toHaveDeferred(mail, { to: 'asha' }, { priority: 'high', times: 1 })
  expect(await scheduler.run()).toHaveLength(0)
  await scheduler.advance('10m')
  expect(scheduler).toHaveRetried(mail, { after: ['1m', '2m'], error: /busy/ })
  expect(scheduler).toHaveSettled(mail, { state: 'completed', result: { sent: expect.stringContaining('asha'), threadId } })
  expect(() => expect(scheduler).not.toHaveDeferred(mail)).toThrow('Deferred were:')
  await expect(perform(mail, { to: new Date() })).rejects.toThrow('payload.to')
  await scheduler.close()
`

interface Ran {
  readonly code: number
  readonly told: string
}

/** Runs node in a project, as from a shell. */
function node(folder: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
    const child = execFile(
      process.execPath,
      args,
      { cwd: folder, env, timeout: 25_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, told: stdout + stderr }),
    )
  })
}

/** What the chapter shows of this name. */
async function shown(file: string): Promise<string> {
  const chapter = 'src/testing/README.md'
  const blocks = codeBlocks(chapter, await readFile(join(root, chapter), 'utf8'))
  return blocks.find((block) => block.file === file)?.code ?? ''
}

/** A project with packages of this repository beside the installed one. */
async function project(
  name: string,
  files: Record<string, string>,
  lent: readonly string[] = [],
): Promise<string> {
  await installed.project(name, {
    'package.json': '{ "type": "module" }',
    'tasks.js': tasks,
    'mailer.js': mailer,
    ...files,
  })
  const folder = join(installed.folder, name)
  for (const one of lent) {
    const link = join(installed.folder, 'node_modules', one)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, 'node_modules', one), link).catch(isThere)
  }
  return folder
}

/** What runs jest on a project. */
function jestIn(folder: string, ...options: string[]): string[] {
  return [join(root, 'node_modules/jest/bin/jest.js'), '--rootDir', folder, '--watchman=false', ...options]
}

it.each(['forks', 'threads'])('vitest, pool %s: matchers, module mocks and module resets', async (pool) => {
  const folder = await project(
    `vitest-${pool}`,
    {
      'kit.test.js': `
        import { createTestScheduler, perform } from 'sidework/testing'
        import 'sidework/testing/matchers'
        import { threadId } from 'node:worker_threads'
        import { expect, test, vi } from 'vitest'
        import { mail } from './tasks.js'
        vi.mock('./mailer.js', () => ({ send: async (to) => 'mocked for ' + to }))
        test('a life', async () => { ${life} })
        test('module mocks reach handlers, also after a reset', async () => {
          const scheduler = createTestScheduler()
          vi.resetModules()
          const again = await import('./tasks.js')
          expect(again.mail).not.toBe(mail)
          scheduler.defer(again.mail, { to: 'asha' })
          const [job] = await scheduler.run()
          expect(job.result.sent).toBe('mocked for asha')
          expect(scheduler).toHaveSettled(mail, 'completed')
        })
      `,
    },
    ['vitest'],
  )
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { code, told } = await node(folder, [vitest, 'run', '--root', folder, '--pool', pool])
  expect(told).toMatch(/2 passed/)
  expect(code).toBe(0)
})

it('jest: matchers and module mocks', async () => {
  const folder = await project('jest', {
    'package.json': '{ "type": "module", "jest": { "transform": {}, "haste": { "enableSymlinks": false } } }',
    'kit.test.js': `
      import { jest } from '@jest/globals'
      import { threadId } from 'node:worker_threads'
      import { createTestScheduler, perform } from 'sidework/testing'
      import 'sidework/testing/matchers'
      jest.unstable_mockModule('./mailer.js', () => ({ send: async (to) => 'mocked for ' + to }))
      const { mail } = await import('./tasks.js')
      test('a life', async () => { ${life} })
      test('module mocks reach handlers', async () => {
        const scheduler = createTestScheduler()
        scheduler.defer(mail, { to: 'asha' })
        expect((await scheduler.run())[0].result.sent).toBe('mocked for asha')
      })
    `,
  })
  const { code, told } = await node(folder, ['--experimental-vm-modules', ...jestIn(folder)])
  expect(told).toMatch(/Tests: +2 passed, 2 total/)
  expect(code).toBe(0)
})

const commonJsTasks = `
  const { defineTask } = require('sidework')
  const { threadId } = require('node:worker_threads')
  const { send } = require('./mailer.js')
  exports.mail = defineTask('mail', async ({ to }) => ({ sent: await send(to), threadId }), { lane: 'io' })
`

it.each([
  ['a global expect', true, "require('sidework/testing/matchers')"],
  [
    'injectGlobals: false',
    false,
    `const { expect, jest, test } = require('@jest/globals')
     expect.extend(require('sidework/testing/matchers').matchers)`,
  ],
])(
  'jest with CommonJS and %s, by the configuration that the chapter shows: module mocks and real threads',
  async (_name, injectGlobals, matchers) => {
    const folder = await project(
      `jest-commonjs-${injectGlobals}`,
      {
        'package.json': '{}',
        'jest.config.cjs': await shown('jest.config.cjs'),
        'tasks.js': commonJsTasks,
        'mailer.js': `exports.send = async (to) => 'really sent to ' + to`,
        'kit.test.js': `
          const { join } = require('node:path')
          const { threadId } = require('node:worker_threads')
          const { createScheduler } = require('sidework')
          const { createTestScheduler, perform } = require('sidework/testing')
          ${matchers}
          jest.mock('./mailer.js', () => ({ send: async (to) => 'mocked for ' + to }))
          const { mail } = require('./tasks.js')
          test('a life', async () => { ${life} })
          test('module mocks reach handlers', async () => {
            const scheduler = createTestScheduler()
            scheduler.defer(mail, { to: 'asha' })
            expect((await scheduler.run())[0].result.sent).toBe('mocked for asha')
          })
          test('real threads', async () => {
            const scheduler = createScheduler({ tasks: join(__dirname, 'tasks.js'), logger: false })
            const { sent, threadId } = await scheduler.defer(mail, { to: 'asha' }).result()
            await scheduler.close()
            expect(sent).toBe('really sent to asha')
            expect(threadId).toBeGreaterThan(0)
          }, 20_000)
        `,
      },
      ['babel-jest', '@babel/plugin-transform-modules-commonjs', 'babel-plugin-transform-import-meta'],
    )
    const { code, told } = await node(folder, jestIn(folder, `--injectGlobals=${injectGlobals}`))
    expect(told).toMatch(/Tests: +3 passed, 3 total/)
    expect(code).toBe(0)
  },
)

it('jest: TypeScript knows the matchers of @jest/globals by the file that the chapter shows', async () => {
  const strict = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: 'nodenext',
    target: 'es2022',
    types: ['node'],
  }
  const test = `
    import { expect } from '@jest/globals'
    import { defineTask } from 'sidework'
    import { createTestScheduler } from 'sidework/testing'
    const mail = defineTask('mail', (_: { to: string }) => undefined)
    const scheduler = createTestScheduler()
    expect(scheduler).toHaveDeferred(mail, { to: 'asha' }, { priority: 'high', times: 1 })
    expect(scheduler).not.toHaveSettled(mail, 'failed')
    expect(scheduler).toHaveRetried(mail, { after: ['1m'] })
    const promised: Promise<void> = expect(Promise.resolve(scheduler)).resolves.toHaveSettled(mail)
    // @ts-expect-error Not the task's payload.
    expect(scheduler).toHaveDeferred(mail, { to: 7 })
    // @ts-expect-error No such state.
    expect(scheduler).toHaveSettled(mail, 'done')
    export { promised }
  `
  const made = await installed.project('jest-types', {
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions: strict, include: ['*.ts'] }),
    'kit.test.ts': test,
  })
  const folder = join(installed.folder, 'jest-types')
  await mkdir(join(folder, 'node_modules/@jest'), { recursive: true })
  for (const name of ['@jest/globals', 'expect'])
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  expect(await made.tsc()).toContain("Property 'toHaveDeferred' does not exist")
  await writeFile(join(folder, 'jest-matchers.d.ts'), await shown('jest-matchers.d.ts'))
  expect(await made.tsc()).toBe('')
}, 60_000)

it('node --test: without an expect', async () => {
  const folder = await project('node-test', {
    'kit.test.js': `
      import assert from 'node:assert/strict'
      import { test } from 'node:test'
      import { threadId } from 'node:worker_threads'
      import { createTestScheduler, perform } from 'sidework/testing'
      import { mail } from './tasks.js'
      test('a life', async (t) => {
        const scheduler = createTestScheduler({ strict: true })
        t.after(() => scheduler.close())
        scheduler.failNext(mail)
        scheduler.defer(mail, { to: 'asha' })
        const [job] = await scheduler.advance('10m')
        assert.deepEqual(job.result, { sent: 'really sent to asha', threadId })
        assert.deepEqual(scheduler.deferred(mail).map(({ state, attempt }) => [state, attempt]), [['completed', 2]])
        assert.equal((await perform(mail, { to: 'b' })).sent, 'really sent to b')
      })
      test('the matchers may be imported for an expect of your own', async () => {
        const { matchers } = await import('sidework/testing/matchers')
        const scheduler = createTestScheduler()
        const has = () => matchers.toHaveDeferred.call({}, scheduler, mail).pass
        assert.equal(has(), false)
        scheduler.defer(mail, { to: 'asha' })
        assert.equal(has(), true)
      })
    `,
  })
  const { code, told } = await node(folder, ['--test', 'kit.test.js'])
  expect(told).toMatch(/^[#ℹ] pass 2$/m)
  expect(code).toBe(0)
})

it('real threads in virtual time', async () => {
  const folder = await project('threads', {
    'main.js': `
      import { createTestScheduler } from 'sidework/testing'
      import { mail } from './tasks.js'
      const scheduler = createTestScheduler({ threads: true, tasks: new URL('./tasks.js', import.meta.url) })
      await scheduler.ready()
      scheduler.defer(mail, { to: 'asha' })
      scheduler.defer(mail, { to: 'late' }, { delay: '1d' })
      const now = await scheduler.run()
      const later = await scheduler.advance('1d')
      console.log(JSON.stringify([...now, ...later].map(({ result: { sent, threadId } }) => [sent, threadId > 0])))
      await scheduler.close()
    `,
  })
  const { code, told } = await node(folder, ['main.js'])
  expect(told).toBe('[["really sent to asha",true],["really sent to late",true]]\n')
  expect(code).toBe(0)
})
