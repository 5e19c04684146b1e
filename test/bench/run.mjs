/**
 * `npm run bench -- [name] [--json] [--rounds n]`: runs one benchmark, or all, and prints medians, spreads and ratios.
 * Progress goes to stderr; stdout carries the report, or with `--json` the rows and nothing else.
 */
import { parseArgs } from 'node:util'
import { compare } from './compare.mjs'
import { printReport } from './report.mjs'
import { runRounds } from './rounds.mjs'

const names = ['throughput', 'scale', 'cron', 'flows', 'observability', 'http']
const fewestRounds = 5

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: `${fewestRounds}` },
  },
})
const rounds = Number(values.rounds)
const unknown = positionals.find((name) => !names.includes(name))

if (unknown !== undefined) refuse(`There is no benchmark '${unknown}'. Give one of: ${names.join(', ')}.`)
else if (!Number.isInteger(rounds) || rounds < 1)
  refuse(`--rounds is ${values.rounds}. Give an integer from 1.`)
else await run(positionals.length > 0 ? positionals : names)

async function run(chosen) {
  if (rounds < fewestRounds)
    note(`${rounds} rounds: enough for a look, too few for a claim (${fewestRounds}).\n`)
  const rows = []
  for (const name of chosen) {
    const benchmark = await import(`./${name}.mjs`)
    const results = await runRounds(name, benchmark.groups, rounds, note)
    const compared = compare(benchmark.comparisons, results)
    rows.push(...compared.map(({ row }) => row))
    if (!values.json) printReport({ name, rounds, groups: benchmark.groups, results, compared })
    if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1
  }
  if (values.json) console.log(JSON.stringify(rows, null, 2))
}

function note(text) {
  process.stderr.write(text)
}

function refuse(message) {
  console.error(message)
  process.exitCode = 2
}
