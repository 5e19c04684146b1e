/**
 * `npm run bench -- [name] [--json] [--rounds n] [--only text]`: runs one benchmark, or all, or the tables with `text`
 * in their names, and prints medians, spreads and ratios. `--guard [--update]` compares hot paths with stored figures.
 * Progress goes to stderr; stdout carries the report, or with `--json` the rows and nothing else.
 */
import { parseArgs } from 'node:util'
import { compare } from './compare.mjs'
import { guard } from './guard.mjs'
import { printReport } from './report.mjs'
import { runRounds } from './rounds.mjs'

const names = [
  'throughput',
  'latency',
  'foreground',
  'cpu',
  'main-lane',
  'scale',
  'growth',
  'memory',
  'http',
  'cron',
  'flows',
  'observability',
]
const fewestRounds = 5

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    guard: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
    rounds: { type: 'string', default: `${fewestRounds}` },
  },
})
const rounds = Number(values.rounds)
const unknown = positionals.find((name) => !names.includes(name))

if (unknown !== undefined) refuse(`There is no benchmark '${unknown}'. Give one of: ${names.join(', ')}.`)
else if (!Number.isInteger(rounds) || rounds < 1)
  refuse(`--rounds is ${values.rounds}. Give an integer from 1.`)
else if (values.guard) process.exitCode = await guard({ update: values.update, rounds, note })
else await run(positionals.length > 0 ? positionals : names)

async function run(chosen) {
  if (rounds < fewestRounds)
    note(`${rounds} rounds: enough for a look, too few for a claim (${fewestRounds}).\n`)
  const rows = []
  for (const name of chosen) {
    const benchmark = await import(`./${name}.mjs`)
    const groups = benchmark.groups.filter((group) => group.name.includes(values.only))
    if (groups.length === 0) continue
    const results = await runRounds(name, groups, rounds, note, benchmark.flags)
    const compared = compare(among(groups, benchmark.comparisons), results)
    rows.push(...compared.map(({ row }) => row))
    if (!values.json) printReport({ name, rounds, groups, results, compared })
    await benchmark.afterwards?.(results, note)
    if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2))
}

/** The comparisons whose both sides are measured. */
function among(groups, comparisons) {
  const names = new Set(groups.map(({ name }) => name))
  return comparisons.filter(({ ours, peer }) => names.has(ours.group) && names.has(peer.group))
}

function note(text) {
  process.stderr.write(text)
}

function refuse(message) {
  console.error(message)
  process.exitCode = 2
}
