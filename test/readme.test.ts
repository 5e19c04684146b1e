/**
 * The code in README.md, src/README.md, the pages beside it and the READMEs of cron, metrics, traces and threads is what it
 * says: files are run, fragments are type-checked against the built package, commands are run or exist, and a block in a
 * language that nothing here checks is a failure. Recipes have a test of their own.
 */
import { spawn, execFile } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { Project, packageRoot } from './fixtures/loader/project.js'
import { announce, expectCommandsExist, fragmentFiles, prelude, typeErrors } from './fixtures/documents.js'
import { codeBlocks, type CodeBlock } from './fixtures/markdown.js'

const documents = [
  'README.md',
  'src/README.md',
  'src/deploying.md',
  'src/flows.md',
  'src/lanes.md',
  'src/migrating.md',
  'src/outgrowing.md',
  'src/reference.md',
  'src/security.md',
  'src/typescript.md',
  'src/cron/README.md',
  'src/metrics/README.md',
  'src/opentelemetry/README.md',
  'src/threads/README.md',
]
const blocks = documents.flatMap((name) => codeBlocks(name, readFileSync(join(packageRoot, name), 'utf8')))
const inLanguage = (language: string): CodeBlock[] => blocks.filter((block) => block.language === language)

const installed = ['express', 'tsx', '@types', '@opentelemetry', 'prom-client']

/** The documents' files of some extensions, by name; each name may stand there once. */
function filesOf(extensions: RegExp): Record<string, string> {
  const files = blocks.filter(({ file }) => file !== undefined && extensions.test(file))
  expect(new Set(files.map(({ file }) => file)).size).toBe(files.length)
  return Object.fromEntries(files.map(({ file, code }) => [file, `${code}\n`]))
}

const run = promisify(execFile)

/** The first screen's answers to its two commands, `JOB` in the place of the id and `…` for fields that are left out. */
const shownAnswers = blocks.find(({ code }) => code.startsWith('HTTP/1.1 202'))?.code ?? ''

/** Starts the app of the first screen, follows its commands and ends it. */
async function walkSignUp(project: Project, args: readonly string[]): Promise<void> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0' }
  const child = spawn(process.execPath, ['--import', './announce.mjs', ...args], {
    cwd: project.folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (printed += text))
  }
  const exited = once(child, 'exit') as Promise<[number | null]>
  const listening = once(child, 'message') as Promise<[number]>
  await Promise.race([listening, exited])
  expect(child.exitCode, printed).toBeNull()
  const [port] = await listening

  const withoutBody = await fetch(`http://localhost:${port}/signup`, { method: 'POST' })
  expect(withoutBody.status).toBe(400)
  const [signUp = '', look = ''] = commands('curl')
  const here = (command: string, id = ''): string =>
    command.replace('localhost:3000', `localhost:${port}`).replace('JOB', id)
  const { stdout: accepted } = await run('sh', ['-c', here(signUp)])
  expect(accepted).toMatch(/^HTTP\/1.1 202 Accepted\r\n/)
  const body = JSON.parse(accepted.split('\r\n\r\n')[1] ?? '') as { id: string }
  const { id } = body
  const [head = '', taken = '', settled = ''] = shownAnswers.replaceAll('JOB', id).split('\n\n')
  expect(accepted.split('\r\n')).toEqual(expect.arrayContaining(head.split('\n')))
  expect(body).toEqual(JSON.parse(taken))
  // The stream of events ends when the job has settled.
  const events = await (await fetch(`http://localhost:${port}/jobs/${id}/events`)).text()
  expect(events).toContain('"state":"completed"')
  const { stdout: status } = await run('sh', ['-c', here(look, id)])
  expect(settled).toContain('"state": "completed"')
  expect(JSON.parse(status)).toMatchObject(JSON.parse(settled.replace(', …', '')) as object)

  child.kill('SIGTERM')
  expect(await exited, printed).toEqual([0, null])
  expect(printed).toContain('"msg":"welcome mail sent"')
}

/** The lines of shell blocks that begin with this command. */
function commands(name: string): string[] {
  return inLanguage('sh')
    .flatMap(({ code }) => code.split('\n'))
    .filter((line) => line.startsWith(`${name} `))
}

/** How the documents' files are run; whatever they import is run with them. */
const entries: Record<string, () => Promise<void>> = {
  async 'server.js'() {
    using project = new Project({ ...filesOf(/\.c?js$/), 'announce.mjs': announce }, installed)
    await walkSignUp(project, ['server.js'])
  },
  async 'server.ts'() {
    using project = new Project({ ...filesOf(/\.ts$/), 'announce.mjs': announce }, installed)
    await walkSignUp(project, ['--import', 'tsx', 'server.ts'])
  },
  async 'server.cjs'() {
    using project = new Project({ ...filesOf(/\.c?js$/), 'announce.mjs': announce }, installed)
    await walkSignUp(project, ['server.cjs'])
  },
  async 'build.mjs'() {
    using project = new Project(filesOf(/\.(m[jt]s|ts)$/), [...installed, 'esbuild'])
    expect(await project.node(['build.mjs'])).toEqual({ stdout: '', stderr: '' })
    // The bundle alone, where nothing is installed.
    using bundle = new Project({ 'announce.mjs': announce })
    rmSync(join(bundle.folder, 'node_modules'), { recursive: true })
    cpSync(join(project.folder, 'dist'), join(bundle.folder, 'dist'), { recursive: true })
    await walkSignUp(bundle, ['dist/server.js'])
  },
}

describe('the code in the documents', () => {
  it('is in languages that are checked here', () => {
    for (const { at, language } of blocks) {
      expect(['js', 'ts', 'json', 'sh', 'text'], `${at}: a block of '${language}'`).toContain(language)
    }
  })

  it.each(Object.keys(entries))('runs: %s', (entry) => entries[entry]?.())

  it('names its file where it is JavaScript, and every file is run', () => {
    for (const { at, file } of inLanguage('js')) expect(file, `${at} is not named`).toBeDefined()
    const files = blocks.flatMap(({ file, code }) => (file === undefined ? [] : [{ file, code }]))
    const imported = new Set(
      files.flatMap(({ code }) => [...code.matchAll(/'\.\/([\w.-]+)'/g)].map(([, name]) => name)),
    )
    const isRun = (file: string): boolean => file in entries || imported.has(file.replace(/\.ts$/, '.js'))
    expect(files.map(({ file }) => file).filter((file) => !isRun(file))).toEqual([])
  })

  it('is right TypeScript', () => {
    using project = new Project(
      {
        ...filesOf(/\.ts$/),
        ...fragmentFiles(blocks),
      },
      installed,
    )
    expect(typeErrors(project.folder)).toEqual([])
  })

  it('has compiler settings with which the compiler takes the app', () => {
    const settings = inLanguage('json')
    expect(settings).toHaveLength(1)
    for (const { code } of settings) {
      using project = new Project(filesOf(/\.ts$/), installed)
      const { config } = ts.parseConfigFileTextToJson('tsconfig.json', code) as { config: object }
      const read = ts.parseJsonConfigFileContent(config, ts.sys, project.folder)
      const program = ts.createProgram(read.fileNames, { ...read.options, noEmit: true, skipLibCheck: true })
      expect(read.fileNames).toHaveLength(2)
      const told = [...read.errors, ...ts.getPreEmitDiagnostics(program)]
      expect(told.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual([])
    }
  })

  it('refuses wrong TypeScript, so that the check above means something', () => {
    using project = new Project(
      {
        'prelude.d.ts': prelude,
        'wrong.ts': `scheduler.defer(sendWelcome, { mail: 'asha@example.com' })
          defineTask('at', ({ user }: { user: { born: Date } }) => user.born.getTime())
          defineTask('found', () => ({ list: [{ counts: new Map<string, number>() }] }))
          export {}`,
      },
      installed,
    )
    expect(typeErrors(project.folder)).toEqual([
      // The explanation is about the payload, not about another way to call `defer`.
      expect.stringMatching(/^wrong\.ts:1: [^]*'mail' does not exist in type '\{ email: string; }'/),
      expect.stringMatching(
        /^wrong\.ts:2: [^]*'the payload must be JSON; this is not': Date; at: "payload\.user\.born"/,
      ),
      expect.stringMatching(
        /^wrong\.ts:3: [^]*'the result must be JSON; this is not': Map<string, number>; at: "result\.list\[]\.counts"/,
      ),
    ])
  })

  it('has commands that are there', () => {
    expectCommandsExist(blocks)
    expect(commands('curl')).toHaveLength(2)
  })

  it('draws only states that a job can have', async () => {
    const { transitions } = await import('../src/job/lifecycle.js')
    const drawing = blocks.find(({ at, code }) => at.startsWith('README.md') && code.includes('──due──▶'))
    const states = [...(drawing?.code.matchAll(/[a-z]+(?=ed\b|ing\b)(?:ed|ing)|\bready\b/g) ?? [])].map(
      ([word]) => word,
    )
    expect(states.length).toBeGreaterThan(6)
    expect(states.filter((word) => word !== 'charged' && !(word in transitions))).toEqual([])
  })
})
