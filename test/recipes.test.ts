/** The code of src/recipes.md: its app is tested, started and used, its fragments are type-checked. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
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
    const { stdout, stderr } = await project.node(args, { env: { NO_COLOR: '1' } })
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
    const { port: smtpPort } = inbox.server.address() as AddressInfo
    using project = new Project({ ...files, 'announce.mjs': announce }, installed)
    const env = { PATH: process.env['PATH'], PORT: '0', SMTP_URL: `smtp://127.0.0.1:${smtpPort}` }
    const args = ['--import', './announce.mjs', '--import', 'tsx', 'server.ts']
    const server = spawn(process.execPath, args, { cwd: project.folder, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }) // prettier-ignore
    onTestFinished(() => void server.kill('SIGKILL'))
    const [port] = (await once(server, 'message')) as [number]
    const post = async (path: string, type: string, body: BodyInit): Promise<string> => {
      const answer = await fetch(`http://localhost:${port}${path}`, { method: 'POST', headers: { 'Content-Type': type }, body }) // prettier-ignore
      expect(answer.status).toBe(202)
      const { links } = (await answer.json()) as { links: { events: string } }
      return (await fetch(`http://localhost:${port}${links.events}`)).text() // to the end of the job
    }
    const json = JSON.stringify({ email: 'asha@example.com' })
    expect(await post('/signup', 'application/json', json)).toContain('"state":"completed"')
    expect(mails.join('')).toContain('Subject: Welcome')
    const create = { width: 1200, height: 800, channels: 3, background: 'teal' } as const
    const events = await post('/photos', 'image/png', await sharp({ create }).png().toBuffer())
    expect(events).toContain('event: progress')
    expect(events).toContain('"state":"completed"')
    const page = await (await fetch(`http://localhost:${port}/`)).text()
    expect(page).toContain("import { followJob } from '/sidework-client.js'")
    const client = await (await fetch(`http://localhost:${port}/sidework-client.js`)).text()
    expect(client).toContain('followJob')
    server.kill('SIGTERM')
    expect(await once(server, 'exit')).toEqual([0, null])
  })
})
