/**
 * The code in README.md, src/README.md and those of cron, metrics, traces and threads is what it says: files are run, fragments are type-checked against the built
 * package, commands are run or exist, and a block in a language that nothing here checks is a failure.
 */
import { spawn, execFile } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { Project, packageRoot } from './fixtures/loader/project.js'
import { codeBlocks, type CodeBlock } from './fixtures/markdown.js'

const documents = [
  'README.md',
  'src/README.md',
  'src/cron/README.md',
  'src/metrics/README.md',
  'src/opentelemetry/README.md',
  'src/threads/README.md',
]
const blocks = documents.flatMap((name) => codeBlocks(name, readFileSync(join(packageRoot, name), 'utf8')))
const inLanguage = (language: string): CodeBlock[] => blocks.filter((block) => block.language === language)

/** What the fragments of the documents take as given. */
const prelude = `
import type { Express } from 'express'
import type { Server } from 'node:http'
import type * as fs from 'node:fs'
import type * as core from 'sidework'
import type * as recurring from 'sidework/cron'
import type * as web from 'sidework/express'
declare global {
  const scheduler: core.Scheduler
  const sendWelcome: core.Task<{ email: string }, { sent: boolean }>
  const app: Express
  const server: Server
  const links: { self: string; events: string }
  const { createScheduler, defineTask, formatStats, PermanentError, RetryLater, Snooze }: typeof core
  const { closeOnSignal, jobsRouter, sidework }: typeof web
  const { createCron }: typeof recurring
  const { existsSync, readFileSync, rmSync, writeFileSync }: typeof fs
}
`

/** A browser's, in fragments for the browser: Node's types know less of it. */
const eventSource = `
declare const EventSource: new (url: string) => {
  addEventListener(type: string, listener: (event: { data: string }) => void): void
  close(): void
}
`

/** Says over IPC which port a server of the process listens on. */
const announce = `
import net from 'node:net'
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (...args) {
  return listen.apply(this.once('listening', () => process.send(this.address().port)), args)
}
`

const installed = ['express', 'tsx', '@types', '@opentelemetry', 'prom-client']

/** The documents' files of some extensions, by name; each name may stand there once. */
function filesOf(extensions: RegExp): Record<string, string> {
  const files = blocks.filter(({ file }) => file !== undefined && extensions.test(file))
  expect(new Set(files.map(({ file }) => file)).size).toBe(files.length)
  return Object.fromEntries(files.map(({ file, code }) => [file, `${code}\n`]))
}

const run = promisify(execFile)

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

  const [signUp = '', look = ''] = commands('curl')
  const here = (command: string, id = ''): string =>
    command.replace('localhost:3000', `localhost:${port}`).replace('JOB', id)
  const { stdout: accepted } = await run('sh', ['-c', here(signUp)])
  expect(accepted).toMatch(/^HTTP\/1.1 202 Accepted\r\n/)
  const { id, message } = JSON.parse(accepted.split('\r\n\r\n')[1] ?? '') as { id: string; message: string }
  expect(message).toBe('Please check your email.')
  // The stream of events ends when the job has settled.
  const events = await (await fetch(`http://localhost:${port}/jobs/${id}/events`)).text()
  expect(events).toContain('"state":"completed"')
  const { stdout: status } = await run('sh', ['-c', here(look, id)])
  expect(JSON.parse(status)).toMatchObject({ id, task: 'send-welcome', state: 'completed', attempt: 1 })

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
    using project = new Project(filesOf(/\.c?js$/))
    const { stdout, stderr } = await project.node(['server.cjs'])
    expect({ stdout, stderr }).toEqual({ stdout: '21\n', stderr: '' })
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
      expect(['js', 'ts', 'sh', 'text'], `${at}: a block of '${language}'`).toContain(language)
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
        'prelude.d.ts': prelude,
        ...Object.fromEntries(
          inLanguage('ts')
            .filter(({ file }) => file === undefined)
            .map(({ code }, index) => [
              `fragment-${index}.ts`,
              `${code}\nexport {}\n${code.includes('EventSource') ? eventSource : ''}`,
            ]),
        ),
      },
      installed,
    )
    expect(typeErrors(project.folder)).toEqual([])
  })

  it('refuses wrong TypeScript, so that the check above means something', () => {
    using project = new Project(
      {
        'prelude.d.ts': prelude,
        'wrong.ts': `scheduler.defer(sendWelcome, { mail: 'asha@example.com' })
          defineTask('at', ({ at }: { at: Date }) => at.getTime())
          export {}`,
      },
      installed,
    )
    expect(typeErrors(project.folder)).toEqual([
      // The explanation is about the payload, not about another way to call `defer`.
      expect.stringMatching(/^wrong\.ts:1: [^]*'mail' does not exist in type '\{ email: string; }'/),
      expect.stringMatching(/^wrong\.ts:2: [^]*'the payload must be JSON; this is not': Date/),
    ])
  })

  it('has commands that are there', () => {
    const { scripts, dependencies, devDependencies } = JSON.parse(
      readFileSync(join(packageRoot, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>
    const packages = { sidework: '', ...dependencies, ...devDependencies }
    for (const { at, code } of inLanguage('sh')) {
      for (const step of code.split(/\n|&&/).map((part) => part.trim())) {
        const [program, action = '', ...names] = step.split(/\s+/).filter((word) => !word.startsWith('-'))
        if (program === 'curl') continue // run above
        expect(program, at).toBe('npm')
        if (action === 'install') expect(Object.keys(packages), at).toEqual(expect.arrayContaining(names))
        else if (!['ci', 'init', 'pkg'].includes(action))
          expect(Object.keys(scripts ?? {}), at).toContain(action)
      }
    }
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

/** What the compiler says about the TypeScript files of a folder, with the settings the documents ask for. */
function typeErrors(folder: string): string[] {
  const program = ts.createProgram(ts.sys.readDirectory(folder, ['.ts'], ['node_modules']), {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    typeRoots: [join(folder, 'node_modules/@types')],
  })
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
    const name = file?.fileName.slice(folder.length + 1) ?? ''
    return `${name}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}
