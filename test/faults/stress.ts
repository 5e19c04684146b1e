/**
 * Runs the rows about execution again and again while others burn the CPU: `npm run stress -- --rounds 20 --burners 2
 * --size 1000`. Every round must be green; what fails is printed with its round.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const option = (name: string, usual: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? usual : Number(process.argv[index + 1])
}
const rounds = option('rounds', 1)
const size = option('size', 1000)
const rows = ['test/faults', 'test/scenarios/threads.test.ts', '-t', String.raw`\b(B\d+|I26|I1)\b`]
const vitest = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--reporter', 'dot', ...rows]

async function runOnce(): Promise<{ code: number; output: string }> {
  const env = { ...process.env, STRESS: String(size) }
  const child = spawn('npx', vitest, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 1, output }
}

const burners: ChildProcess[] = Array.from({ length: option('burners', 2) }, () =>
  spawn('nice', ['-n', '5', process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' }),
)
let failed = 0
for (let round = 1; round <= rounds; round++) {
  const begin = performance.now()
  const { code, output } = await runOnce()
  if (code !== 0) {
    failed++
    console.log(output)
  }
  const seconds = Math.round((performance.now() - begin) / 1000)
  console.log(`round ${round} of ${rounds}: ${code === 0 ? 'green' : 'RED'}, ${seconds} s`)
}
for (const burner of burners) burner.kill()
process.exit(failed === 0 ? 0 : 1)
