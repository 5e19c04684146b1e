/**
 * `npm run test:nodes`: the whole suite and the modes under each supported Node, one after the other; `-- 22 24` for
 * some. What follows the versions goes to vitest. Ends with a line per version, and with 1 when one of them failed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import { root } from '../programs/installed-package.js'
import { fetchNode } from './fetch-node.js'

const asked = process.argv.slice(2)
const named = asked.filter((word) => /^\d+$/.test(word)).map(Number)
const forVitest = asked.filter((word) => !/^\d+$/.test(word))
const configs = ['test/vitest.config.ts', 'test/modes/vitest.config.ts']
const vitest = join(root, 'node_modules/vitest/vitest.mjs')

const verdicts: string[] = []
for (const version of named.length > 0 ? named : [20, 22, 24]) {
  const node = await fetchNode(version)
  for (const config of configs) {
    const code = await run(node, [vitest, 'run', '--config', config, ...forVitest])
    verdicts.push(`Node ${version}, ${config}: ${code === 0 ? 'passed' : `failed with ${code}`}`)
    if (code !== 0) process.exitCode = 1
  }
}
console.log(verdicts.join('\n'))

/** What a test starts as `node` or by a script's first line is this version too. */
async function run(node: string, args: readonly string[]): Promise<number | null> {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` }
  const child = spawn(node, args, { cwd: root, env, stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}
