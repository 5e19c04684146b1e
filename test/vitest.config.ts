import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Whole programs that a test waits for, whatever time they take: the packed package, the example app, other test runners. */
const programs = ['test/programs/**/*.test.ts']
/** Many schedules of the simulation, which compute beside those that wait. */
const schedules = ['test/simulation/seeds-*.test.ts']
/** Real threads and clocks, which mostly wait. */
const real = ['test/faults/**/*.test.ts', 'test/scenarios/**/*.test.ts']
/** Those that look at the clock or want both cores: one file at a time. */
const alone = [
  'test/faults/{execution,life-cycle,long-runs,process,stress,time}.test.ts',
  'test/scenarios/{signal,threads}.test.ts',
]
/** What takes 5 s takes 30 where a dozen other programs want the cores. */
const slowMs = 120_000

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    server: { deps: { external: [/\/dist\//] } },
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts', 'example-app/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...programs, ...real, ...schedules],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'programs',
          include: programs,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
          testTimeout: slowMs,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: [...real, ...schedules],
          exclude: ['**/node_modules/**', ...alone],
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: slowMs,
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          testTimeout: slowMs,
        },
      },
    ],
  },
})
