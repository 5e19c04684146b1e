/** The same app compiled, and under each program that runs TypeScript. */
import { describe, expect, it } from 'vitest'
import { fetchNode } from '../nodes/fetch-node.js'
import { arithmetic, commonjsApp, moduleApp, server, tasks, tsconfig, walked } from './the-app.js'
import { tools, UserApp } from './user-app.js'

describe('compiled by tsc', () => {
  it.each([
    ['for an app of ECMAScript modules', moduleApp],
    ['for a CommonJS app', commonjsApp],
  ])('%s', async (_, files) => {
    const app = new UserApp({ ...files, 'tsconfig.json': tsconfig({ outDir: 'dist' }) }, ['@types/node'])
    expect(await app.run([tools.tsc])).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await app.run(['dist/server.js'])).toEqual(walked)
  })
})

describe('under tsx', () => {
  it.each([
    ['tsx server.ts', moduleApp, [tools.tsx, 'server.ts']],
    ['tsx server.ts in a CommonJS app', commonjsApp, [tools.tsx, 'server.ts']],
    ['node --import tsx server.ts', moduleApp, ['--import', 'tsx', 'server.ts']],
  ])('%s', async (_, files, args) => {
    expect(await new UserApp(files, ['tsx']).run(args)).toEqual(walked)
  })
})

describe('under ts-node', () => {
  const commonjs = { ...commonjsApp, 'tsconfig.json': tsconfig() }
  const modules = { ...moduleApp, 'tsconfig.json': tsconfig() }
  const installed = ['ts-node', 'typescript', '@types/node']

  it.each([
    ['ts-node server.ts', [tools.tsNode, 'server.ts']],
    ['node --require ts-node/register server.ts', ['--require', 'ts-node/register', 'server.ts']],
  ])('%s in a CommonJS app', async (_, args) => {
    expect(await new UserApp(commonjs, installed).run(args)).toEqual(walked)
  })

  it('node --loader ts-node/esm/transpile-only server.ts in an app of ECMAScript modules', async () => {
    const args = ['--no-warnings', '--loader', 'ts-node/esm/transpile-only', 'server.ts']
    expect(await new UserApp(modules, installed).run(args)).toEqual(walked)
  })
})

describe("with Node's own type stripping", () => {
  it.each([22, 24])('on Node %i', async (version) => {
    const node = await fetchNode(version)
    const app = new UserApp({
      ...moduleApp,
      'server.ts': server('./tasks.ts'),
      'tasks.ts': tasks('./arithmetic.ts'),
      'arithmetic.ts': arithmetic,
    })
    const { code, stdout } = await app.run(['--no-warnings', 'server.ts'], node)
    expect({ code, stdout }).toEqual({ code: walked.code, stdout: walked.stdout })
  })
})
