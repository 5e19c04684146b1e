/** The linter's walls really refuse: which room imports which, and who reads the clock. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ESLint } from 'eslint'
import { describe, expect, it } from 'vitest'
import { packageRoot } from './fixtures/loader/project.js'

const eslint = new ESLint({
  cwd: packageRoot,
  // Walls need no types; without them a snippet takes milliseconds.
  overrideConfig: {
    overrides: [{ files: ['src/**/*.ts'], extends: ['plugin:@typescript-eslint/disable-type-checked'] }],
  },
})

/** The rules that refuse the code in a file of that name, which need not exist. */
async function refusals(file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(`${code}\n`, { filePath: join(packageRoot, file) })
  return (result?.messages ?? []).map(({ ruleId, message }) => `${ruleId}: ${message}`)
}

const path = 'import/no-restricted-paths'
const value = '@typescript-eslint/no-restricted-imports'
const folders = readdirSync(join(packageRoot, 'src'), { withFileTypes: true }).filter((entry) =>
  entry.isDirectory(),
)

describe('a room', () => {
  it.each([
    ['src/job/x.ts', '../task/registry.js'],
    ['src/job/x.ts', '../threads/loader.js'],
    ['src/task/x.ts', '../events/event-types.js'],
    ['src/events/x.ts', '../threads/loader.js'],
    ['src/queue/x.ts', '../events/event-types.js'],
    ['src/settle/x.ts', '../threads/loader.js'],
    ['src/defer/x.ts', '../events/event-types.js'],
    ['src/threads/x.ts', '../events/event-types.js'],
    ['src/main-lane/x.ts', '../events/event-types.js'],
    ['src/dispatch/x.ts', '../scheduler.js'],
    ['src/threads/deep/x.ts', '../../index.js'],
  ])('in %s may not import %s', async (file, target) => {
    for (const code of [
      `import * as x from '${target}'; x`,
      `import type * as x from '${target}'`,
      `export * from '${target}'`,
    ]) {
      expect(await refusals(file, code)).toContainEqual(expect.stringContaining(`${path}: Unexpected path`))
    }
  })

  it.each([
    ['src/task/x.ts', '../job/lifecycle.js'],
    ['src/threads/x.ts', './loader.js'],
    ['src/threads/x.ts', '../task/registry.js'],
    ['src/dispatch/x.ts', '../threads/loader.js'],
    ['src/queue/x.ts', '../errors.js'],
    ['src/scheduler.ts', './threads/loader.js'],
    ['src/threads/x.ts', 'node:fs'],
  ])('in %s may import %s', async (file, target) => {
    expect(await refusals(file, `export * from '${target}'`)).toEqual([])
  })

  it('may not import what is not there, which no wall could judge', async () => {
    expect(await refusals('src/job/x.ts', "export * from '../gone/x.js'")).toEqual([
      expect.stringContaining('import/no-unresolved'),
    ])
  })

  it.each(folders.map(({ name }) => name))('src/%s has walls', async (name) => {
    const config: unknown = await eslint.calculateConfigForFile(join(packageRoot, 'src', name, 'x.ts'))
    expect(JSON.stringify(config)).toContain(`"target":"./src/${name}"`)
  })
})

describe('the core', () => {
  it('does not import express', async () => {
    for (const file of ['src/defer/x.ts', 'src/scheduler.ts']) {
      expect(await refusals(file, "export * from 'express'")).toEqual([expect.stringContaining(value)])
    }
  })

  it.skipIf(!existsSync(join(packageRoot, 'src/express/index.ts')))('does not import an add-on', async () => {
    for (const name of [
      'job',
      'task',
      'events',
      'settle',
      'queue',
      'defer',
      'dispatch',
      'threads',
      'main-lane',
    ]) {
      expect(await refusals(`src/${name}/x.ts`, "export * from '../express/index.js'")).toEqual([
        expect.stringContaining(path),
      ])
    }
    for (const file of ['src/scheduler.ts', 'src/x.ts'])
      expect(await refusals(file, "export * from './express/index.js'")).toEqual([
        expect.stringContaining(path),
      ])
  })
})

describe('an add-on', () => {
  it.each([
    ['../task/registry.js', 'registeredTasks'],
    ['../threads/loader.js', 'importTaskModules'],
    ['../scheduler.js', 'createScheduler'],
  ])('may not import a value from %s', async (target, name) => {
    expect(await refusals('src/express/x.ts', `import { ${name} } from '${target}'\n${name}()`)).toEqual([
      expect.stringContaining('An add-on uses the public Scheduler'),
    ])
  })

  it.each([
    "import type { Scheduler } from '../scheduler.js'\nexport type X = Scheduler",
    "import type { JobSnapshot } from '../job/snapshot.js'\nexport type X = JobSnapshot",
    "export { defineTask } from '../index.js'",
    "export { OptionError } from '../errors.js'",
    "export * from 'express'",
  ])('may say %s', async (code) => {
    expect(await refusals('src/express/x.ts', code)).toEqual([])
  })
})

describe('the test kit', () => {
  it.each(['../scheduler.js', '../main-lane/main-lane.js', '../threads/loader.js', '../job/lifecycle.js'])(
    'is the engine in another world, and may take values from %s',
    async (target) => {
      expect(await refusals('src/testing/x.ts', `export * from '${target}'`)).toEqual([])
      expect(await refusals('src/metrics/x.ts', `export * from '${target}'`)).not.toEqual([])
    },
  )

  it.each([
    '../rooms.js',
    '../real-world.js',
    '../dispatch/dispatcher.js',
    '../queue/agenda.js',
    '../flows/flow.js',
  ])('may take types only from %s', async (target) => {
    expect(await refusals('src/testing/x.ts', `export * from '${target}'`)).toEqual([
      expect.stringContaining('The add-on testing takes values from'),
    ])
    expect(
      await refusals('src/testing/x.ts', `import type * as x from '${target}'\nexport type X = typeof x`),
    ).toEqual([])
  })

  it('does without other add-ons, and reads no clock', async () => {
    expect(await refusals('src/testing/x.ts', "export * from '../express/index.js'")).toContainEqual(
      expect.stringContaining(path),
    )
    expect(await refusals('src/testing/x.ts', 'export const x = Date.now()')).not.toEqual([])
  })
})

describe('the client', () => {
  it('knows the shape of a status', async () => {
    for (const target of ['../express/job-status.js', '../express/flow-status.js'])
      expect(await refusals('src/client/x.ts', `export type * as x from '${target}'`)).toEqual([])
    expect(await refusals('src/client/x.ts', 'setTimeout(() => 1, 1)')).toEqual([])
  })

  it.each(['../errors.js', '../clock.js', '../express/jobs-router.js', '../job/snapshot.js'])(
    'may not import %s',
    async (target) => {
      expect(await refusals('src/client/x.ts', `import type * as x from '${target}'`)).toContainEqual(
        expect.stringContaining(path),
      )
    },
  )
})

describe('the clock', () => {
  const readings = [
    ['Date.now()', 'no-restricted-properties'],
    ['const { now } = Date; now()', 'no-restricted-properties'],
    ['new Date()', 'no-restricted-syntax'],
    ['Date()', 'no-restricted-syntax'],
    ['Math.random()', 'no-restricted-properties'],
    ['performance.now()', 'no-restricted-globals'],
    ['process.hrtime()', 'no-restricted-properties'],
    ['setTimeout(() => 1, 1)', 'no-restricted-globals'],
    ['setInterval(() => 1, 1)', 'no-restricted-globals'],
    ['globalThis.setTimeout(() => 1, 1)', 'no-restricted-properties'],
    ['AbortSignal.timeout(1)', 'no-restricted-properties'],
    ["import { setTimeout as sleep } from 'node:timers/promises'; sleep(1)", value],
    ["import { performance as p } from 'node:perf_hooks'; p.now()", value],
  ] as const

  it.each(readings)('is not read by %s in a room or an add-on', async (code, rule) => {
    for (const file of ['src/queue/x.ts', 'src/express/x.ts', 'src/scheduler.ts']) {
      expect(await refusals(file, code)).toContainEqual(
        expect.stringMatching(`^${rule}: .*only clock\\.ts reads the real ones`),
      )
    }
  })

  it('is read in clock.ts', async () => {
    for (const [code] of readings) expect(await refusals('src/clock.ts', code)).toEqual([])
  })

  it('does not mind a given instant', async () => {
    expect(await refusals('src/queue/x.ts', 'new Date(0)')).toEqual([])
  })
})
