/**
 * A long run of everything at once: `npm run soak`, or `npm run soak -- --minutes 2 --rate 60`, after a minute of warming
 * up. An Express app with sidework in one process, its visitors in another, and the accounts here; of the jobs 1 % crash
 * their thread and 1 % hang. Ends with a table, and with 1 unless every accepted job has settled exactly once, memory,
 * handles, descriptors and threads are flat, and the 99th percentile of the event loop's delay is below 20 ms.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Accounts } from './accounts.js'
import { holds, judgeSamples, type Row, type Sample } from './judge.js'

/** What the app tells. */
interface Told {
  readonly lines?: string[]
  readonly sample?: Sample
  readonly end?: { delays: { p50: number; p99: number; max: number }; problems: string[]; lost: number }
}
/** What the visitors tell. */
interface Reported {
  readonly answered?: string[]
  readonly end?: { counts: Record<string, number> }
}

const option = (name: string, standard: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? standard : Number(process.argv[index + 1])
}
const minutes = option('minutes', 10)
const perSecond = option('rate', 60)
/** Compiling, and filling what is kept of settled jobs, takes memory at first; it is not counted. */
const warmUpMs = 60_000
/** From the end of the load until the app has drained, closed and is gone. */
const endWithinMs = 60_000

const children: ChildProcess[] = []
const start = (file: string, ...execArgv: string[]): ChildProcess => {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], { execArgv })
  children.push(child)
  return child
}
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

const accounts = new Accounts()
const samples: Sample[] = []
const startedAt = performance.now()
let told: Told['end']
let reported: Reported['end']

const app = start('app.mjs', '--expose-gc')
const appExited = once(app, 'exit') as Promise<[number | null, string | null]>
const [{ port }] = (await once(app, 'message')) as [{ port: number }]
app.on('message', ({ lines = [], sample, end }: Told) => {
  for (const line of lines) accounts.read(line)
  if (sample !== undefined && performance.now() - startedAt > warmUpMs) samples.push(sample)
  told ??= end
})

const visitors = start('visitors.mjs')
visitors.on('message', ({ answered = [], end }: Reported) => {
  for (const id of answered) accounts.answered(id)
  reported ??= end
})
console.log(`${minutes} min with ${perSecond} requests a second`)
visitors.send({ url: `http://127.0.0.1:${port}`, perSecond, forMs: warmUpMs + minutes * 60_000 })
const first = await Promise.race([once(visitors, 'exit').then(() => visitors), appExited.then(() => app)])
if (first === app) {
  console.log(`The app is gone, with ${app.exitCode ?? app.signalCode}.`)
  process.exit(1)
}

app.send('the visitors have left')
const late = setTimeout(() => {
  console.log(`The app has not ended within ${endWithinMs} ms. ${accounts.jobs} jobs; open:`)
  accounts.close()
  console.log(accounts.faults.slice(0, 20).join('\n'))
  process.exit(1)
}, endWithinMs)
const [code, signal] = await appExited
clearTimeout(late)
accounts.close()

const share = (name: RegExp): number => (100 * accounts.jobsOf(name)) / accounts.jobs
const rows: Row[] = [
  ...judgeSamples(samples),
  { figure: 'event loop delay p99, ms', after: told?.delays.p99 ?? NaN, bound: 20 },
  { figure: 'jobs that crash, %', after: share(/-crashes$/), bound: 0.7, atLeast: true },
  { figure: 'jobs that hang, %', after: share(/-(hangs|spins)$/), bound: 0.7, atLeast: true },
  { figure: 'jobs not settled exactly once', after: accounts.faults.length, bound: 0 },
  { figure: 'jobs lost by close()', after: told?.lost ?? NaN, bound: 0 },
  { figure: 'warnings, uncaught errors, 500s', after: told?.problems.length ?? NaN, bound: 0 },
  { figure: 'exit code of the app', after: code ?? NaN, bound: 0 },
]

const cell = (value: number | undefined): string =>
  value === undefined ? '' : String(Math.round(value * 100) / 100)
const counted = [...accounts.counts].sort(([a], [b]) => a.localeCompare(b))
console.log(`\n${accounts.jobs} jobs: ${counted.map(([what, count]) => `${what} ${count}`).join(', ')}`)
console.log(`visitors: ${JSON.stringify(reported?.counts)}`)
console.log(`event loop delay in ms: ${JSON.stringify(told?.delays)}\n`)
console.log(
  `${'figure'.padEnd(34)}${'second fifth'.padStart(14)}${'last fifth'.padStart(14)}${'bound'.padStart(14)}`,
)
for (const row of rows) {
  const bound = `${row.atLeast === true ? '≥' : '≤'} ${cell(row.bound)}`
  const cells = [cell(row.before), cell(row.after), bound].map((text) => text.padStart(14)).join('')
  console.log(`${row.figure.padEnd(34)}${cells}  ${holds(row) ? 'ok' : 'BROKEN'}`)
}
for (const fault of [...accounts.faults, ...(told?.problems ?? [])].slice(0, 20)) console.log(fault)
if (signal !== null) console.log(`The app was ended by ${signal}.`)
process.exit(rows.every(holds) ? 0 : 1)
