import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { exportedFile, findPackage } from '../../src/threads/installed-package.js'
import { importTaskModules } from '../../src/threads/loader.js'
import { detectLoader, loaderEnv, type LoaderEnv, type LoaderKind } from '../../src/threads/loader-hint.js'
import { nodeOptionsWords, threadExecArgv } from '../../src/threads/node-flags.js'
import { packageRoot, Project } from '../fixtures/loader/project.js'

const bare: LoaderEnv = {
  execArgv: [],
  threadExecArgv: undefined,
  nodeOptions: undefined,
  tsNode: false,
  vitest: false,
  nativeTypescript: false,
}
const everything: LoaderEnv = {
  execArgv: ['--import', 'tsx', '--loader', 'ts-node/esm'],
  threadExecArgv: ['--import', './register.mjs'],
  nodeOptions: '--require esbuild-register',
  tsNode: true,
  vitest: true,
  nativeTypescript: true,
}

describe('what loads TypeScript in this process', () => {
  it('is decided in the order: own flags, tsx, ts-node, other loaders, vitest, Node, a search', () => {
    const order: LoaderKind[] = []
    const drop: Partial<LoaderEnv>[] = [
      { threadExecArgv: undefined },
      { execArgv: [] },
      { tsNode: false },
      { nodeOptions: undefined },
      { vitest: false },
      { nativeTypescript: false },
      {},
    ]
    let env = everything
    for (const less of drop) {
      order.push(detectLoader(env).kind)
      env = { ...env, ...less }
    }
    expect(order).toEqual(['flags', 'tsx', 'ts-node', 'flags', 'vitest', 'native', 'search'])
  })

  it.each<[string[], LoaderKind]>([
    [['--import', 'tsx'], 'tsx'],
    [['--import=tsx/esm'], 'tsx'],
    [['-r', 'tsx/cjs'], 'tsx'],
    [['--require', '/x/tsx/dist/preflight.cjs', '--import', 'file:///x/tsx/dist/loader.mjs'], 'tsx'],
    [['--import', 'C:\\x\\node_modules\\tsx\\dist\\loader.mjs'], 'tsx'],
    [['--import', '@swc-node/register/esm-register'], 'flags'],
    [['--import', './register.mjs'], 'flags'],
    [
      [
        '--import',
        'data:text/javascript,import{register}from"node:module";register("ts-node/esm","file:///x/")',
      ],
      'flags',
    ],
    [['--experimental-loader', 'ts-node/esm'], 'flags'],
    [['--require', '/app/node_modules/esbuild-register/dist/node.js'], 'flags'],
    [['--require', 'dotenv/config'], 'search'],
    [['--import', './instrument.mjs'], 'search'],
    [['--import', '@opentelemetry/auto-instrumentations-node/register'], 'search'],
    [['--import', 'file:///home/loader/register/app/trace.mjs'], 'search'],
    [['--require', '/home/loader/node_modules/vitest/suppress-warnings.cjs'], 'search'],
    [['--conditions', 'tsx'], 'search'],
  ])('with %j is %s', (execArgv, kind) => {
    expect(detectLoader({ ...bare, execArgv }).kind).toBe(kind)
    const nodeOptions = execArgv.map((word) => JSON.stringify(word)).join(' ')
    expect(detectLoader({ ...bare, nodeOptions }).kind).toBe(kind)
  })

  it('can be told to a thread: it is plain data', () => {
    const hint = detectLoader({ ...bare, execArgv: ['--import', 'file:///x/tsx/dist/loader.mjs'] })
    expect(structuredClone(hint)).toEqual({ kind: 'tsx', named: 'file:///x/tsx/dist/loader.mjs' })
  })

  it('is vitest here', () => {
    expect(detectLoader(loaderEnv()).kind).toBe('vitest')
  })

  it('is read from NODE_OPTIONS as Node splits them', () => {
    expect(nodeOptionsWords('--import "/my app/\\"x\\".mjs"  -r=a')).toEqual([
      '--import',
      '/my app/"x".mjs',
      '-r=a',
    ])
  })
})

describe('the flags a thread is started with', () => {
  it.each([
    [
      ['--import', 'tsx', '--conditions', 'development'],
      ['--conditions', 'development'],
    ],
    [['--require', '/x/tsx/dist/preflight.cjs', '--import', 'file:///x/tsx/dist/loader.mjs'], []],
    [
      ['--import', './trace.mjs', '--import=./trace.ts'],
      ['--import', './trace.mjs'],
    ],
    [
      ['--input-type=module', '--inspect-brk', '--inspect=0', '--watch', '--test', '--test-reporter', 'tap'],
      [],
    ],
    [
      ['--input-type', 'module', '-e', 'code', '-C', 'x'],
      ['-C', 'x'],
    ],
    [
      [
        '--max-old-space-size=100',
        '--expose-gc',
        '--allow-natives-syntax',
        '--experimental-stack-trace-frames',
        '--title',
        'x',
        '--stack-trace-limit=50',
        '--cpu-prof',
      ],
      [],
    ],
    [
      [
        '--require',
        'ts-node/register',
        '-r',
        '/app/node_modules/ts-node/register/index.js',
        '-r',
        './env.cjs',
      ],
      ['-r', './env.cjs'],
    ],
    [
      ['--no-warnings', '--enable-source-maps', '--trace-uncaught'],
      ['--no-warnings', '--enable-source-maps', '--trace-uncaught'],
    ],
    [
      ['--experimental-vm-modules', '--experimental-wasm-gc', '--experimental-test-coverage'],
      ['--experimental-vm-modules'],
    ],
    [
      ['--permission', '--allow-fs-read', '/app', '--allow-worker'],
      ['--permission', '--allow-fs-read', '/app', '--allow-worker'],
    ],
  ])('of %j are %j', (given, kept) => {
    expect(threadExecArgv(given)).toEqual(kept)
  })

  it('are taken by this Node, all of them', async () => {
    const needsValue =
      /^-.$|^--(require|import|.*loader|conditions|.*permission|allow-.*)$|rejections|disable-w|redirect|dns-|max-http|default-type|package-map/
    const kept = [...process.allowedNodeEnvironmentFlags].filter((flag) => threadExecArgv([flag]).length > 0)
    expect(kept.length).toBeGreaterThan(40)
    const worker = new Worker('', {
      eval: true,
      execArgv: kept.filter((flag) => !needsValue.test(flag)),
      stderr: true,
    })
    await worker.terminate()
  })

  it("are the user's, where there are some, under the permissions of the process", () => {
    expect(threadExecArgv(['--permission', '--no-warnings'], ['--expose-gc'])).toEqual([
      '--permission',
      '--expose-gc',
    ])
  })
})

describe('importing task modules', () => {
  it('answers what each module exports, in the order given', async () => {
    using app = new Project({ 'a.js': 'export const setup = 1', 'b.cjs': 'exports.teardown = 2' })
    const urls = ['b.cjs', 'a.js'].map((file) => pathToFileURL(join(app.folder, file)).href)
    const { loader, modules } = await importTaskModules(urls, { kind: 'search', named: undefined })
    expect(loader).toBe('none')
    expect(modules.map(({ url }) => url)).toEqual(urls)
    expect(modules.map(({ exports }) => exports)).toMatchObject([{ teardown: 2 }, { setup: 1 }])
  })

  it.each([
    ['Object.create(null)', 'an object was thrown'],
    ["Object.assign(new Error('no'), { name: Symbol('s') })", 'Error: no'],
    [
      'new Proxy({}, { get() { throw 1 }, has() { throw 2 }, getPrototypeOf() { throw 3 } })',
      'an object was thrown',
    ],
  ])('names the file that throws %s', async (thrown, told) => {
    using app = new Project({ 'a.js': `throw ${thrown}` })
    const url = pathToFileURL(join(app.folder, 'a.js')).href
    const imported = importTaskModules([url], { kind: 'search', named: undefined })
    const message = `The task module ${join(app.folder, 'a.js')} could not be imported: ${told}`
    await expect(imported).rejects.toMatchObject({ code: 'ERR_SIDEWORK_THREAD_START', message })
  })

  it('imports nothing when there is nothing', async () => {
    expect(await importTaskModules([], { kind: 'tsx', named: undefined })).toEqual({
      loader: 'none',
      modules: [],
    })
  })

  it('finds the build that a package has for import', () => {
    const here = pathToFileURL(join(packageRoot, 'src/x.ts')).href
    const folder = join(packageRoot, 'node_modules/tsx')
    expect(findPackage('tsx', [undefined, 'file:///nowhere/x.ts', here])).toBe(folder)
    expect(exportedFile(folder, './esm/api')).toBe(join(folder, 'dist/esm/api/index.mjs'))
    expect(() => exportedFile(folder, './none')).toThrow(/tsx \d\S+ does not export '\.\/none'\. Update it\./)
  })

  it("does not take an app in a folder named 'tsx' for the package", () => {
    expect(findPackage('tsx', ['file:///nowhere/tsx/dist/tasks.js'])).toBeUndefined()
  })
})
