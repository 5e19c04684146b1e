/** Real processes, real threads: every way to run an app gets its task modules into a thread. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { packageRoot, Project, startThreadUrl } from '../fixtures/loader/project.js'
import { startThread } from '../fixtures/loader/start-thread.mjs'

const tsxCli = join(packageRoot, 'node_modules/tsx/dist/cli.mjs')
const stripsTypes = 'typescript' in process.features && Boolean(process.features.typescript)

const server = `
import { startThread } from '${startThreadUrl}'
console.log(JSON.stringify(await startThread(new URL('./tasks.js', import.meta.url))))
`
/** TypeScript that types alone cannot be stripped from (an enum, an import of './x.js'). */
const typescriptApp = {
  'server.ts': `import './tasks.js'\n${server}`,
  'tasks.ts': `
import { defineTask } from 'sidework'
import { Channel, type Mail } from './mail.js'
export const sendMail = defineTask('send-mail', (mail: Mail) => \`\${Channel.Mail} \${mail.to}\`, { lane: 'io' })
`,
  'mail.ts': 'export enum Channel { Mail }\nexport interface Mail { to: string }\n',
}
const javascriptTasks = `
import { defineTask } from 'sidework'
export const resize = defineTask('resize', () => 1)
export function setup() {}
`
const resized = { loader: 'none', tasks: ['resize'], exports: [['resize', 'setup']] }
const mailed = { tasks: ['send-mail'], exports: [['sendMail']] }

describe('compiled JavaScript', () => {
  it('loads as ECMAScript modules', async () => {
    using app = new Project({ 'server.js': server, 'tasks.js': javascriptTasks })
    expect(await app.report(['server.js'])).toEqual(resized)
  })

  it('loads as CommonJS', async () => {
    using app = new Project({
      'package.json': '{}',
      'server.js': `
        import('${startThreadUrl}').then(async ({ startThread }) =>
          console.log(JSON.stringify(await startThread(require('node:path').join(__dirname, 'tasks.js')))))`,
      'tasks.js':
        "const { defineTask } = require('sidework')\nexports.resize = defineTask('resize', () => 1)\n",
    })
    expect(await app.report(['server.js'])).toMatchObject({ loader: 'none', tasks: ['resize'] })
  })

  it('loads from several modules, in the order given', async () => {
    using app = new Project({
      'server.js': server.replace("new URL('./tasks.js', import.meta.url)", "['./b.js', './a.mjs']"),
      'a.mjs': javascriptTasks,
      'b.js': "import { defineTask } from 'sidework'\nexport const b = defineTask('b', () => 1)\n",
    })
    expect((await app.report(['server.js'])).tasks).toEqual(['b', 'resize'])
  })

  it.each([
    [
      '--input-type',
      ['--input-type=module', '-'],
      server.replace('import.meta.url', "'file://' + process.cwd() + '/'"),
    ],
    [
      'V8 and process flags',
      ['--max-old-space-size=200', '--expose-gc', '--title', 'app', '--stack-size=900', 'server.js'],
    ],
    ['an inspector', ['--inspect=0', 'server.js']],
    [
      'the test runner',
      ['--test-only', '--test-name-pattern', 'x', '--experimental-test-coverage', 'server.js'],
    ],
    ['warnings and conditions', ['--no-warnings', '--enable-source-maps', '-C', 'development', 'server.js']],
  ])('loads in a process that was started with %s', async (_, args, stdin = '') => {
    using app = new Project({ 'server.js': server, 'tasks.js': javascriptTasks })
    expect(await app.report(args, { stdin })).toEqual(resized)
  })

  it("runs the user's --import preload in the thread too", async () => {
    using app = new Project({
      'server.js': server,
      'trace.js': 'globalThis.traced = true',
      'tasks.js':
        "import { defineTask } from 'sidework'\ndefineTask(`traced-${globalThis.traced}`, () => 1)\n",
    })
    expect((await app.report(['--import', './trace.js', 'server.js'])).tasks).toEqual(['traced-true'])
  })

  it('keeps the restrictions of the permission model in the thread', async () => {
    using app = new Project({
      'server.js': server.replace('import.meta.url)', "import.meta.url), ['--no-warnings']"),
      'tasks.js': `${javascriptTasks}import { readFileSync } from 'node:fs'\nreadFileSync('/etc/hostname')\n`,
    })
    const permission = process.allowedNodeEnvironmentFlags.has('--permission')
      ? '--permission'
      : '--experimental-permission'
    const allowed = [app.folder, packageRoot].map((folder) => `--allow-fs-read=${join(folder, '/')}`)
    const { cause } = await app.report([permission, '--allow-worker', ...allowed, 'server.js'])
    expect(cause).toMatchObject({ code: 'ERR_ACCESS_DENIED' })
  })
})

describe('TypeScript under tsx', () => {
  it.each([
    ["tsx's command line", [tsxCli, 'server.ts'], {}],
    ['node --import tsx', ['--import', 'tsx', 'server.ts'], {}],
    ['tsx in NODE_OPTIONS', ['server.ts'], { NODE_OPTIONS: '--import=tsx --max-old-space-size=300' }],
  ])('loads with %s', async (_, args, env) => {
    using app = new Project(typescriptApp, ['tsx'])
    expect(await app.report(args, { env })).toEqual({ loader: 'tsx', ...mailed })
  })

  it('loads with a tsx that is installed elsewhere', async () => {
    using app = new Project(typescriptApp)
    expect(await app.report([tsxCli, 'server.ts'])).toEqual({ loader: 'tsx', ...mailed })
  })

  it('loads in a CommonJS package', async () => {
    using app = new Project(
      {
        ...typescriptApp,
        'package.json': '{}',
        'server.ts': `
          import('${startThreadUrl}').then(async ({ startThread }) =>
            console.log(JSON.stringify(await startThread(__dirname + '/tasks.js'))))`,
      },
      ['tsx'],
    )
    const { loader, tasks } = await app.report(['--import', 'tsx', 'server.ts'])
    expect({ loader, tasks }).toEqual({ loader: 'tsx', tasks: ['send-mail'] })
  })

  it('loads a JavaScript task module that imports TypeScript', async () => {
    using app = new Project(
      { ...typescriptApp, 'tasks.js': "export * from './more.js'\n", 'more.ts': typescriptApp['tasks.ts'] },
      ['tsx'],
    )
    expect(await app.report(['--import', 'tsx', 'server.ts'])).toEqual({ loader: 'tsx', ...mailed })
  })
})

describe('TypeScript without a flag', () => {
  const plainServer = { ...typescriptApp, 'server.js': server }

  /** Later Nodes load TypeScript themselves, unless told otherwise. */
  const withoutStripping = stripsTypes ? ['--no-experimental-strip-types', 'server.js'] : ['server.js']

  it('loads with the tsx that is installed beside it', async () => {
    using app = new Project(plainServer, ['tsx'])
    expect(await app.report(withoutStripping)).toEqual({ loader: 'tsx', ...mailed })
  })

  it('says what to do when nothing loads it', async () => {
    using app = new Project(plainServer)
    const { error } = await app.report(withoutStripping)
    expect(error).toMatchObject({ name: 'ThreadStartError', code: 'ERR_SIDEWORK_THREAD_START' })
    expect(error?.message).toContain(join(app.folder, 'tasks.ts'))
    expect(error?.message).toContain('Install tsx (npm i -D tsx)')
  })

  it("loads with Node's own type stripping where there is one, and names the version where there is none", async () => {
    using app = new Project({
      'server.js': server,
      'tasks.ts':
        "import { defineTask } from 'sidework'\nexport const half = defineTask('half', (n: number) => n / 2)\n",
    })
    const report = await app.report(['server.js'])
    if (stripsTypes) expect(report).toEqual({ loader: 'native', tasks: ['half'], exports: [['half']] })
    else expect(report.error?.message).toContain('run Node 22.18 or newer')
  })
})

describe('TypeScript under vitest', () => {
  const test = `
    import { expect, it } from 'vitest'
    import { startThread } from '${startThreadUrl}'
    it('starts', async () => {
      expect(await startThread(new URL('./tasks.js', import.meta.url))).toEqual(JSON.parse(process.env.EXPECTED))
    })`

  it('loads in this very test', async () => {
    using app = new Project(typescriptApp, ['tsx'])
    expect(await startThread(pathToFileURL(join(app.folder, 'tasks.js')))).toEqual({
      loader: 'tsx',
      ...mailed,
    })
  })

  it.each([
    ['forks', 'tsx', ['tsx', 'vitest']],
    ['threads', 'tsx', ['tsx', 'vitest']],
    ['threads', 'vite', ['vitest']],
  ])('loads in the %s pool, with %s', async (pool, loader, installed) => {
    using app = new Project({ ...typescriptApp, 'tasks.test.ts': test }, installed)
    const cli = join(packageRoot, 'node_modules/vitest/vitest.mjs')
    const env = { EXPECTED: JSON.stringify({ loader, ...mailed }) }
    const { stdout, stderr } = await app.node([cli, 'run', '--pool', pool], { env })
    expect(stdout + stderr).toMatch(/Tests\s+.*1 passed/)
  })
})

describe('a module that cannot be imported', () => {
  const broken: Record<string, [content: string, cause: { name: string; message: RegExp }]> = {
    'throws at import': [
      "export const x = 1\nthrow new RangeError('no SMTP_URL')\n",
      { name: 'RangeError', message: /^no SMTP_URL$/ },
    ],
    'has a syntax error': [
      'export const x = 1\nexport const y = ][\n',
      { name: '(Syntax|Transform)Error', message: /Unexpected (token )?"?'?\]/ },
    ],
    'imports what is not there': [
      "import './gone.js'\n",
      { name: 'Error', message: /Cannot find module '.*gone\.js' imported from .*tasks\.[jt]s/ },
    ],
  }

  for (const extension of ['js', 'ts']) {
    it.each(Object.keys(broken))(
      `and is tasks.${extension} that %s is reported with its file and its own error`,
      async (what) => {
        const [content, expected] = broken[what] ?? ['', { name: '', message: / / }]
        using app = new Project({ [`server.${extension}`]: server, [`tasks.${extension}`]: content }, ['tsx'])
        const flags = extension === 'ts' ? ['--import', 'tsx'] : []
        const { error, cause } = await app.report([...flags, `server.${extension}`])
        const file = join(app.folder, `tasks.${extension}`)
        expect(error).toMatchObject({ name: 'ThreadStartError', code: 'ERR_SIDEWORK_THREAD_START' })
        expect(error?.message).toContain(file)
        expect(error?.message).toContain(cause?.message)
        expect(cause?.name).toMatch(new RegExp(`^${expected.name}`))
        expect(cause?.message).toMatch(expected.message)
        expect(`${cause?.message}\n${cause?.stack}\n${error?.message}`).toMatch(
          /tasks\.[jt]s:\d|imported from|'node .*' shows the line/,
        )
      },
    )
  }

  it('and throws undefined is reported as such', async () => {
    using app = new Project({ 'server.js': server, 'tasks.js': 'throw undefined\n' })
    const { error } = await app.report(['server.js'])
    expect(error?.message).toMatch(/tasks\.js could not be imported: undefined was thrown$/)
  })
})
