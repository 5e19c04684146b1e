/** The same small TypeScript app for every mode: a server side, a task module and a module which that imports. */

/** The task module; `from` is how it imports its neighbour. */
export const tasks = (from = './arithmetic.js'): string => `
import { threadId } from 'node:worker_threads'
import { defineTask, PermanentError } from 'sidework'
import { double } from '${from}'

interface Work {
  n: number
}

export const work = defineTask('work', async ({ n }: Work) => ({ doubled: double(n), onThread: threadId > 0 }), {
  lane: 'io',
})
export const fail = defineTask('fail', (): null => {
  throw new PermanentError('as asked')
})
`

export const arithmetic = 'export const double = (n: number): number => 2 * n\n'

/** A mode is about whether threads load the app, not how soon: this machine may have other things to do. */
export const threads = "{ startTimeout: '90s' }"

/** What the server does with its scheduler, and prints. */
const walk = `
  await scheduler.ready()
  const done = await scheduler.defer(work, { n: 21 }).result()
  const failed = await scheduler.defer(fail).result().catch((error) => error.cause)
  console.log(JSON.stringify([done, failed.code, failed.message, scheduler.stats().perTask.fail.failed]))
  await scheduler.close()
`

/** The server as an ECMAScript module. */
export const server = (from = './tasks.js'): string => `
import { createScheduler } from 'sidework'
import { fail, work } from '${from}'

const scheduler = createScheduler({ tasks: new URL('./tasks.js', import.meta.url), logger: false, threads: ${threads} })
async function main(): Promise<void> {${walk}}
await main()
`

/** The server where \`import\` becomes \`require\`. */
export const commonjsServer = `
import { join } from 'node:path'
import { createScheduler } from 'sidework'
import { fail, work } from './tasks'

const scheduler = createScheduler({ tasks: join(__dirname, 'tasks.js'), logger: false, threads: ${threads} })
async function main(): Promise<void> {${walk}}
main()
`

export const moduleApp = {
  'package.json': '{ "type": "module" }',
  'tasks.ts': tasks(),
  'arithmetic.ts': arithmetic,
  'server.ts': server(),
}

export const commonjsApp = {
  ...moduleApp,
  'package.json': '{ "type": "commonjs" }',
  'tasks.ts': tasks('./arithmetic'),
  'server.ts': commonjsServer,
}

/** What a run of it is, in every mode. */
export const walked = {
  code: 0,
  stdout: '[{"doubled":42,"onThread":true},"ERR_SIDEWORK_PERMANENT","as asked",1]\n',
  stderr: '',
}

/** The compiler's settings that src/typescript.md asks for. */
export const tsconfig = (options: object = {}): string =>
  JSON.stringify({
    compilerOptions: {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      skipLibCheck: true,
      types: ['node'],
      ...options,
    },
  })
