/** The code of src/recipes.md: its app is tested, started and used, its fragments are type-checked. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { SMTPServer } from 'smtp-server'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { announce, expectCommandsExist, fragmentFiles, typeErrors } from './fixtures/documents.js'
import { Project, packageRoot } from './fixtures/loader/project.js'
import { codeBlocks } from './fixtures/markdown.js'

const blocks = codeBlocks('src/recipes.md', readFileSync(join(packageRoot, 'src/recipes.md'), 'utf8'))
const files = Object.fromEntries(
  blocks.flatMap(({ file, code }) => (file === undefined ? [] : [[file, `${code}\n`] as const])),
)
const installed = ['@types', 'express', 'nodemailer', 'sharp', '@img', 'supertest', 'tsx', 'vitest']

describe('the recipes', () => {
  it('are TypeScript and commands, each file once', () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['ts', 'sh']))
    expect(Object.keys(files)).toEqual([
      'mailer.ts',
      'tasks.ts',
      'app.ts',
      'page.ts',
      'server.ts',
      'app.test.ts',
    ])
    expect(blocks.filter(({ file }) => file !== undefined)).toHaveLength(6)
    expectCommandsExist(blocks)
  })

  it('are right TypeScript', () => {
    using project = new Project({ ...files, ...fragmentFiles(blocks) }, installed)
    expect(typeErrors(project.folder)).toEqual([])
  })

  it('have tests that pass', async () => {
    using project = new Project(files, installed)
    const vitest = join(packageRoot, 'node_modules/vitest/vitest.mjs')
    const args = [vitest, 'run', 'app.test.ts', '--reporter=verbose']
    const { stdout, stderr } = await project.node(args, { env: { NO_COLOR: '1', TMPDIR: project.folder } })
    expect(stdout, stderr).toMatch(/Tests\s+4 passed \(4\)/)
  })

  it('have a server that sends the mail and shrinks the picture', async () => {
    const mails: string[] = []
    const inbox = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData: (stream, _session, done) =>
        void stream
          .setEncoding('utf8')
          .on('data', (text: string) => mails.push(text))
          .on('end', done),
    })
    await new Promise<void>((resolve) => inbox.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => inbox.close())
    using project = new Project({ ...files, 'announce.mjs': announce }, installed)
    const server = await start(project, (inbox.server.address() as AddressInfo).port)
    const signUp = await server.post(
      '/signup',
      'application/json',
      JSON.stringify({ email: 'asha@example.com' }),
    )
    expect(await server.text(signUp.events)).toContain('"state":"completed"') // the stream ends with the job
    expect(mails.join('')).toContain('Subject: Welcome')
    const create = { width: 1200, height: 800, channels: 3, background: 'teal' } as const
    const photo = await server.post('/photos', 'image/png', await sharp({ create }).png().toBuffer())
    const events = await server.text(photo.events)
    expect(events).toContain('event: progress')
    expect(events).toContain('"state":"completed"')
    expect(await server.text('/')).toContain("import { followJob } from '/sidework-client.js'")
    expect(await server.text('/sidework-client.js')).toContain('followJob')
    expect(await server.end()).toEqual([0, null])
    expect(existsSync(join(project.folder, 'lost-jobs.json'))).toBe(false)
  })

  it('have a server that takes a mail over a restart while the mail server is away', async () => {
    using project = new Project({ ...files, 'announce.mjs': announce }, installed)
    const server = await start(project, 1) // nobody listens there
    const { self, events } = await server.post(
      '/signup',
      'application/json',
      '{ "email": "asha@example.com" }',
    )
    for await (const chunk of (await server.open(events)).body ?? [])
      if (Buffer.from(chunk).includes('"state":"retrying"')) break
    expect(await server.end()).toEqual([0, null])
    const again = await start(project, 1)
    expect(JSON.parse(await again.text(self))).toMatchObject({
      task: 'send-welcome',
      state: 'retrying',
      attempt: 1,
    })
    await again.end()
  })

  it('have a server that starts all the same when what was left cannot be taken back', async () => {
    const left = '[{ "task": "renamed" }]'
    using project = new Project({ ...files, 'announce.mjs': announce, 'lost-jobs.json': left }, installed)
    const server = await start(project, 1)
    expect(await server.text('/')).toContain('<title>Pictures</title>')
    expect(readFileSync(join(project.folder, 'lost-jobs.json.refused'), 'utf8')).toBe(left)
    expect(existsSync(join(project.folder, 'lost-jobs.json'))).toBe(false)
    await server.end()
  })
})

/** The server of the recipes in a process of its own. */
async function start(project: Project, smtpPort: number) {
  const env = { PATH: process.env['PATH'], PORT: '0', SMTP_URL: `smtp://127.0.0.1:${smtpPort}` }
  const args = ['--import', './announce.mjs', '--import', 'tsx', 'server.ts']
  const child = spawn(process.execPath, args, { cwd: project.folder, env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }) // prettier-ignore
  onTestFinished(() => void child.kill('SIGKILL'))
  const [port] = (await once(child, 'message')) as [number]
  const open = (path: string): Promise<Response> => fetch(`http://localhost:${port}${path}`)
  return {
    open,
    text: async (path: string): Promise<string> => (await open(path)).text(),
    async post(path: string, type: string, body: BodyInit): Promise<{ self: string; events: string }> {
      const headers = { 'Content-Type': type }
      const answer = await fetch(`http://localhost:${port}${path}`, { method: 'POST', headers, body })
      expect(answer.status).toBe(202)
      return ((await answer.json()) as { links: { self: string; events: string } }).links
    },
    end(): Promise<unknown> {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      return exited
    },
  }
}
