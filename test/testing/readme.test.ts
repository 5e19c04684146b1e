/** Runs the code of src/testing/README.md with the built package, in a folder of its own. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createTestScheduler } from '../../src/testing/index.js'
import { Project, packageRoot } from '../fixtures/loader/project.js'
import { codeBlocks, quoted, tableRows } from '../fixtures/markdown.js'

const text = readFileSync(join(packageRoot, 'src/testing/README.md'), 'utf8')
const files = codeBlocks('src/testing/README.md', text)
const installed = ['vitest', 'express', 'supertest', 'tsx', '@types']

/** What vitest's JSON reporter says of one test. */
interface Assertion {
  readonly title: string
  readonly status: string
  readonly failureMessages: readonly string[]
}

function project(): Project {
  return new Project(Object.fromEntries(files.map(({ file, code }) => [file, `${code}\n`])), installed)
}

describe('the code of the chapter', () => {
  it('is all in files', () => {
    expect(files.map(({ file }) => file)).toEqual([
      'tasks.ts',
      'mailer.ts',
      'app.ts',
      'app.test.ts',
      'jest-matchers.d.ts',
      'jest.config.cjs',
      'test-signup.js',
    ])
  })

  it('passes: every test that is shown, under vitest', async () => {
    using folder = project()
    const vitest = join(packageRoot, 'node_modules/vitest/vitest.mjs')
    const { stdout, stderr } = await folder.node([vitest, 'run', 'app.test.ts', '--reporter=json'])
    const line = stdout.split('\n').find((one) => one.startsWith('{')) ?? ''
    const { testResults } = JSON.parse(line || JSON.stringify({ testResults: [] })) as {
      testResults: { assertionResults: Assertion[] }[]
    }
    const results = testResults.flatMap(({ assertionResults }) => assertionResults)
    expect(
      results.filter(({ status }) => status !== 'passed'),
      stderr,
    ).toEqual([])
    const shown = [...text.matchAll(/^test\('(.*)', async \(\) =>/gm)].map(([, title]) => title)
    expect(
      results.map(({ title }) => title),
      stdout + stderr,
    ).toEqual(shown)
    expect(shown).toHaveLength(11)
  })

  it('passes under node:test', async () => {
    using folder = project()
    const { stdout, stderr } = await folder.node(['--test', 'test-signup.js'])
    expect(stdout + stderr).toMatch(/^[#ℹ] pass 1$/m)
    expect(stdout + stderr).toMatch(/^[#ℹ] fail 0$/m)
  })
})

it('the table of options lists what a test scheduler takes besides what every scheduler does', () => {
  const names = tableRows(text, 'test option').map(([name]) => quoted(name))
  expect(names).toEqual(['now', 'seed', 'threads', 'patience', 'strict'])
  for (const name of names) {
    expect(() => createTestScheduler({ [name ?? '']: Symbol('no value of it') }), name).toThrow()
  }
})

it('the table of methods lists what a test scheduler has besides what every scheduler has', () => {
  const prototype = Object.getPrototypeOf(createTestScheduler()) as object
  const own = Object.getOwnPropertyNames(prototype).filter(
    (name) => !['constructor', 'ready', 'hold', 'flowWithRequest', 'releaseHeld'].includes(name),
  )
  const listed = tableRows(text, 'method').map(([name]) => /`(\w+)\(/.exec(name ?? '')?.[1])
  expect([...listed].sort()).toEqual([...own].sort())
})
