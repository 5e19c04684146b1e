import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Every way to run an app, each in processes of its own; too heavy for `npm test`. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/modes/*.modes.ts'],
    globalSetup: 'test/modes/packed-package.ts',
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
