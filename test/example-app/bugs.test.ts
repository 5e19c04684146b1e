/** The app's tests find the mistakes that such apps have: each is made in a copy of the app, whose tests then fail. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { Project, packageRoot } from '../fixtures/loader/project.js'

interface Bug {
  readonly file: string
  readonly right: string
  readonly wrong: string
  /** A test that finds it. */
  readonly foundBy: string
}

const bugs: Record<string, Bug> = {
  'the mail is deferred before the sign-up is checked': {
    file: 'app.ts',
    right: 'const reading = readSignUp(req.body)',
    wrong: "req.defer(sendVerificationMail, { userId: 'unknown' }); const reading = readSignUp(req.body)",
    foundBy: 'with a short password is refused, and defers nothing',
  },
  'the attempts are forgotten': {
    file: 'tasks.ts',
    right: '  attempts: 20,\n',
    wrong: '',
    foundBy: 'is tried twenty times, at first after 1, 2 and 4 seconds, later every 5',
  },
  'the job has another key than its photo': {
    file: 'photo-steps.ts',
    right: '{ id: photoId }',
    wrong: "{ id: 'photo:' + photoId }",
    foundBy: 'gets its three sizes, told while they are made',
  },
  'nobody waits for the mail to be sent': {
    file: 'tasks.ts',
    right: 'verificationMail(id, user)\n    await tools().mailer.send',
    wrong: 'verificationMail(id, user)\n    void tools().mailer.send',
    foundBy: 'to an address that never exists is not tried again',
  },
  'a request that fails defers a job': {
    file: 'app.ts',
    right: 'if (!database.addUser(user)) return',
    wrong: 'if (!database.addUser(user)) return req.defer(sendVerificationMail, { userId: user.id }),',
    foundBy: 'of the same address twice at once makes one user and one mail',
  },
}

const installed = [
  'express',
  'libsql',
  'multer',
  'nodemailer',
  'pdfkit',
  'sharp',
  'smtp-server',
  'supertest',
  'vitest',
]
const copies = ['no bug', ...Object.keys(bugs)]
/** Titles of the tests that failed, by copy. */
const failed = new Map<string, string[]>()

interface Report {
  readonly testResults: {
    readonly name: string
    readonly assertionResults: { readonly title: string; readonly status: string }[]
  }[]
}

beforeAll(async () => {
  using project = new Project({}, installed)
  for (const [index, name] of copies.entries()) copyApp(join(project.folder, `copy-${index}`), bugs[name])
  const vitest = join(packageRoot, 'node_modules/vitest/vitest.mjs')
  const { stdout, stderr } = await project.node([vitest, 'run', '--reporter=json', '--testTimeout=30000'])
  const line = stdout.split('\n').find((one) => one.startsWith('{"numTotal'))
  if (line === undefined) throw new Error(`vitest made no report:\n${stdout}\n${stderr}`)
  for (const { name: file, assertionResults } of (JSON.parse(line) as Report).testResults) {
    const copy = copies[Number(/copy-(\d)/.exec(file)?.[1])] ?? ''
    expect(assertionResults.length, stderr).toBeGreaterThan(20)
    failed.set(copy, assertionResults.filter(({ status }) => status !== 'passed').map(({ title }) => title)) // prettier-ignore
  }
}, 120_000)

function copyApp(folder: string, bug: Bug | undefined): void {
  cpSync(join(packageRoot, 'example-app'), join(folder, 'example-app'), { recursive: true })
  cpSync(join(packageRoot, 'test/example-app/app.test.ts'), join(folder, 'test/example-app/app.test.ts'))
  if (bug === undefined) return
  const file = join(folder, 'example-app', bug.file)
  const text = readFileSync(file, 'utf8')
  expect(text.split(bug.right), `${bug.right} stands in ${bug.file} once`).toHaveLength(2)
  writeFileSync(file, text.replace(bug.right, bug.wrong))
}

test('the app as it is passes', () => {
  expect(failed.get('no bug')).toEqual([])
})

test.each(Object.keys(bugs))('it is found when %s', (name) => {
  expect(failed.get(name)).toContain(bugs[name]?.foundBy)
})
