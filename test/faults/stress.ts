/**
 * Runs the tests about attempts and threads (B) and about the life of a process (E), see README.md, again and again while
 * others burn the CPU: `npm run stress -- --rounds 20 --burners 2 --size 1000`; with `--files test/faults/stress.test.ts` (a
 * comma between several) those of some files. Every round must be green; what fails is printed with its round.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const option = (name: string, usual: string): string => {
  const index = process.argv.indexOf(`--${name}`)
  return process.argv[index < 0 ? -1 : index + 1] ?? usual
}
const rounds = Number(option('rounds', '1'))
const size = option('size', '1000')
/** Where they are. */
const everywhere =
  'test/faults,test/scenarios/threads.test.ts,test/dispatch,test/scheduler,test/settle,test/job,' +
  'test/express/close-on-signal.test.ts,test/express/job-streams.test.ts'
const which = [...option('files', everywhere).split(','), '-t', String.raw`\b(B\d+|E\d+|I26|I1)\b`]
const vitest = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--reporter', 'dot', ...which]

async function runOnce(): Promise<{ code: number; output: string }> {
  const env = { ...process.env, STRESS: size }
  const child = spawn('npx', vitest, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 1, output }
}

const burners: ChildProcess[] = Array.from({ length: Number(option('burners', '2')) }, () =>
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
