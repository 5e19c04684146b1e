import { createRequire } from 'node:module'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import '../fixtures/tasks/hooks.mjs'
import { end, withThreads } from './with-threads.js'

const tasks = new URL('../fixtures/tasks/hooks.mjs', import.meta.url)

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sidework-hooks-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'teardown')
}

it('setup() has run once in each thread before its first job', async () => {
  const scheduler = withThreads({ tasks })
  const jobs = ['setups', 'setups', 'io-setups', 'io-setups'].map((task) => scheduler.defer(task))
  expect(await Promise.all(jobs.map(end))).toEqual([1, 1, 1, 1])
})

it('setup() of a CommonJS module runs too, and only as its own', async () => {
  const files = ['hooks.cjs', 'hooks-of-another.mjs']
  createRequire(import.meta.url)('../fixtures/tasks/hooks.cjs')
  const scheduler = withThreads({
    tasks: files.map((file) => new URL(`../fixtures/tasks/${file}`, import.meta.url)),
  })
  expect(await end(scheduler.defer('told-setups'))).toEqual(['CommonJS', 'module'])
})

it('close() awaits teardown()', async () => {
  const scheduler = withThreads({ tasks })
  const file = temporaryFile()
  await end(scheduler.defer('tears-down-to', file))
  await scheduler.close()
  expect(readFileSync(file, 'utf8')).toBe('begun done')
})

it('an idle thread awaits teardown() before it ends', async () => {
  const scheduler = withThreads({ tasks, threads: { cpu: 1, idleTimeout: 50 } })
  const file = temporaryFile()
  const exited = new Promise((resolve) => scheduler.on('thread:exited', resolve))
  await end(scheduler.defer('tears-down-to', file))
  expect(await exited).toMatchObject({ reason: 'idle', exitCode: 0 })
  expect(readFileSync(file, 'utf8')).toBe('begun done')
})

it('a setup() that throws fails ready() with its file and its error', async () => {
  const scheduler = withThreads({ tasks: new URL('../fixtures/tasks/bad-setup.mjs', import.meta.url) })
  await expect(scheduler.ready()).rejects.toMatchObject({
    code: 'ERR_SIDEWORK_THREAD_START',
    message: expect.stringMatching(/setup\(\) of .*bad-setup\.mjs failed: Error: no connection/) as string,
  })
})
