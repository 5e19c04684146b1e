/** Apps whose tests use real threads, under the test runners. */
import { expect, it } from 'vitest'
import { moduleApp, threads } from './the-app.js'
import { tools, UserApp } from './user-app.js'

const test = `
const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url), logger: false, threads: ${threads} })
test('a job runs on a thread', async () => {
  await scheduler.ready()
  expect(await scheduler.defer(work, { n: 21 }).result()).toEqual({ doubled: 42, onThread: true })
  await scheduler.close()
}, 100_000)
`
const imports = "import { createScheduler } from 'sidework'\nimport { work } from './tasks.js'\n"

it.each(['forks', 'threads', 'vmForks', 'vmThreads'])('vitest, pool %s', async (pool) => {
  const testFile = `import { expect, test } from 'vitest'\n${imports}${test}`
  const app = new UserApp({ ...moduleApp, 'app.test.ts': testFile }, ['vitest'])
  const { code, stdout, stderr } = await app.run([tools.vitest, 'run', '--pool', pool])
  expect(stdout + stderr).toMatch(/Tests\s+1 passed/)
  expect(code).toBe(0)
})

it('jest, with ECMAScript modules', async () => {
  const app = new UserApp({
    'package.json': '{ "type": "module", "jest": { "transform": {}, "haste": { "enableSymlinks": false } } }',
    'tasks.js': `
      import { threadId } from 'node:worker_threads'
      import { defineTask } from 'sidework'
      export const work = defineTask('work', ({ n }) => ({ doubled: 2 * n, onThread: threadId > 0 }))
    `,
    'app.test.js': imports + test,
  })
  const { code, stderr } = await app.run([
    '--experimental-vm-modules',
    tools.jest,
    '--rootDir',
    app.folder,
    '--watchman=false',
  ])
  expect(stderr).toMatch(/Tests: +1 passed, 1 total/)
  expect(code).toBe(0)
})
