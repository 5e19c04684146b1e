import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installPackage, root, type Installed } from './installed-package.js'

const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { exports: object }

let installed: Installed
beforeAll(async () => {
  installed = await installPackage()
}, 60_000)
afterAll(() => installed.remove())

describe('the installed package runs', () => {
  it('from an ES module, with a task on a real thread, where there is no Express', async () => {
    const project = await installed.project('esm', {
      'package.json': '{ "type": "module" }',
      'tasks.js': `
        import { isMainThread } from 'node:worker_threads'
        import { defineTask } from 'sidework'
        export const add = defineTask('add', ({ a, b }) => ({ sum: a + b, isMainThread }))
      `,
      'main.js': `
        import { createScheduler } from 'sidework'
        import { add } from './tasks.js'
        const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url), logger: false })
        await scheduler.ready()
        console.log(JSON.stringify(await scheduler.defer(add, { a: 1, b: 2 }).result()))
        await scheduler.close()
        const { sidework } = await import('sidework/express')
        console.log(typeof sidework)
        await import('express').catch(({ code }) => console.log(code))
      `,
    })
    expect(await project.node('main.js')).toEqual({
      stdout: '{"sum":3,"isMainThread":false}\nfunction\nERR_MODULE_NOT_FOUND\n',
      stderr: '',
    })
  })

  it('from CommonJS, with a task module in CommonJS and without a warning', async () => {
    const project = await installed.project('cjs', {
      'package.json': '{ "type": "commonjs" }',
      'tasks.js': `
        const { isMainThread } = require('node:worker_threads')
        const { defineTask } = require('sidework')
        exports.add = defineTask('add', ({ a, b }) => ({ sum: a + b, isMainThread }))
      `,
      'main.js': `
        const { join } = require('node:path')
        const { createScheduler } = require('sidework')
        const { closeOnSignal } = require('sidework/express')
        const { add } = require('./tasks.js')
        const scheduler = createScheduler({ tasks: join(__dirname, 'tasks.js'), logger: false })
        scheduler.defer(add, { a: 1, b: 2 }).result()
          .then((result) => console.log(JSON.stringify(result), typeof closeOnSignal))
          .then(() => scheduler.close())
      `,
    })
    expect(await project.node('main.js')).toEqual({
      stdout: '{"sum":3,"isMainThread":false} function\n',
      stderr: '',
    })
  })
})

it('the installed package type-checks in a strict project, and a wrong payload does not', async () => {
  const project = await installed.project('typescript', {
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({
      compilerOptions: { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, types: ['node'] },
    }),
    'tasks.ts': `
      import { defineTask } from 'sidework'
      export const resize = defineTask('resize', async ({ file }: { file: string }) => ({ width: file.length }))
    `,
    'app.ts': `
      import express from 'express'
      import { createScheduler, type Job, type Scheduler } from 'sidework'
      import { closeOnSignal, jobsRouter, sidework } from 'sidework/express'
      import { resize } from './tasks.js'
      const scheduler: Scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url) })
      const app = express()
      app.use(sidework(scheduler)).use('/jobs', jobsRouter(scheduler))
      app.post('/', (req, res) => {
        const job: Job<{ width: number }> = req.defer(resize, { file: 'a' })
        res.accepted(job, { message: 'Soon.' })
      })
      closeOnSignal(app.listen(3000), scheduler)
    `,
    'wrong.ts': `
      import { createScheduler } from 'sidework'
      import { resize } from './tasks.js'
      const scheduler = createScheduler()
      scheduler.defer(resize, { file: 1 })
      scheduler.deferWithRequest(undefined, resize)
    `,
  })
  const told = await project.tsc()
  const errors = told.split('\n').filter((line) => line.includes(': error '))
  expect(errors.map((line) => line.replace(/: error .*/, ''))).toEqual(['wrong.ts(5,17)', 'wrong.ts(6,17)'])
  expect(told).toContain("Type 'number' is not assignable to type 'string'")
  expect(told).toContain("Property 'deferWithRequest' does not exist on type 'Scheduler'")
})

it('every entry has its types where the compiler knows no `exports`, as with module commonjs', async () => {
  const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
  const project = await installed.project('node10', {
    'package.json': '{ "type": "commonjs" }',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'commonjs',
        moduleResolution: 'node10',
        ignoreDeprecations: '6.0',
        target: 'es2022',
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node'],
      },
    }),
    'app.ts': entries.map((entry, n) => `export * as entry${n} from '${join('sidework', entry)}'`).join('\n'),
  })
  expect(entries.length).toBeGreaterThan(8)
  expect(await project.tsc()).toBe('')
})

it.each(['@types/node', 'types-node-latest'])(
  'its own declarations are checked too, and hold with %s',
  async (node) => {
    const project = await installed.project(`declarations-${node.replace('/', '-')}`, {
      'package.json': '{ "type": "module" }',
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2022',
          strict: true,
          noEmit: true,
          types: ['node'],
        },
      }),
      'app.ts': `
        import { createScheduler, defineTask, type Scheduler } from 'sidework'
        import { createCron } from 'sidework/cron'
        import { sidework } from 'sidework/express'
        import { createTestScheduler } from 'sidework/testing'
        import 'sidework/testing/matchers'
        const mail = defineTask('mail', async ({ to }: { to: string }) => to.length)
        const schedulers: Scheduler[] = [createScheduler(), createTestScheduler()]
        for (const scheduler of schedulers) createCron(scheduler).every('daily', '1d', mail, { to: 'asha' })
        export const middleware = schedulers.map((scheduler) => sidework(scheduler))
      `,
    })
    expect(await project.tsc({ node })).toBe('')
  },
  60_000,
)

describe('the tarball', () => {
  it('holds the documents and the sources beside the code, and no tests', () => {
    const { files } = installed
    const needed = [
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'src/express/README.md',
      'src/scheduler.ts',
      'dist/index.d.ts',
    ]
    expect(needed.filter((file) => !files.includes(file))).toEqual([])
    expect(files.filter((file) => !/^(dist|src)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(file))).toEqual([])
    expect(files.filter((file) => /\.(test|spec)\.|(^|\/)(test|bench|fixtures)\//.test(file))).toEqual([])
  })

  it('has no complaint from publint', async () => {
    const tarball = await readFile(installed.tarball)
    const { messages, pkg } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('has types that every resolver of ES modules agrees with', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    const args = [attw, installed.tarball, '--profile', 'esm-only', '--format', 'json']
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 2 ** 20 })
    expect(JSON.parse(stdout)).toMatchObject({
      analysis: { packageName: 'sidework', types: { kind: 'included' } },
    })
  })
})
