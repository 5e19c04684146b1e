import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Needs Debian's chromium, or another one named in CHROMIUM; hence a run of its own. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: { include: ['test/browser/*.browser.ts'], pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000 },
})
