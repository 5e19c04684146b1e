/**
 * The schedules that every run of the tests plays, as one bundled file in a process of its own: twice as fast as module by
 * module (bundle.ts).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { bundle } from './bundle.js'
import type { SeedsReport } from './run.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Two files share the schedules, so that two cores do. */
export function testSeeds(first: number, count: number): void {
  it(
    `${count} random schedules keep every invariant and reach every rare situation`,
    { timeout: 240_000 },
    async () => {
      const report = (await reportOf('run', first, count)) as SeedsReport // as it prints
      expect(report).toEqual({ played: count, missing: [] })
    },
  )
}

/** What the program prints with `--json`, also when a schedule broke an invariant. */
export async function reportOf(program: string, first: number, count: number): Promise<unknown> {
  const { nodeArgs, remove } = bundle(root, program)
  const args = [...nodeArgs, '--json', '--first', String(first), '--seeds', String(count)]
  try {
    return await new Promise((resolve, reject) => {
      execFile(process.execPath, args, { cwd: root }, (error, stdout, stderr) => {
        if (stdout === '') reject(error ?? new Error(`${program} printed nothing. ${stderr}`))
        else resolve(JSON.parse(stdout))
      })
    })
  } finally {
    remove()
  }
}
