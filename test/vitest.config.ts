import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Real threads, processes and clocks: one file at a time, so that none waits for a core that another needs. */
const alone = ['test/faults/**/*.test.ts', 'test/scenarios/**/*.test.ts']

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
          exclude: ['**/node_modules/**', ...alone],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          // What takes 5 s takes 30 where a dozen other programs want the cores.
          testTimeout: 120_000,
        },
      },
    ],
  },
})
