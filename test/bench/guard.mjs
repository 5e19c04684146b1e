/**
 * `npm run bench -- --guard`: what five hot paths cost against the figures in guard.json; more than 15 % dearer is a
 * regression, and the exit code is 1. `--guard --update` stores what is measured.
 *
 * Where `perf stat` counts instructions, the figure is instructions per job: the difference of two runs, one with more
 * jobs, so that start and warm-up fall out. Elsewhere it is main-thread CPU per job in units of a yardstick. The two
 * are stored apart; per Node version, because another V8 compiles otherwise.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median } from './compare.mjs'
import { pathNames } from './guard-paths.mjs'
import { mainThreadCpuNs } from './main-thread-cpu.mjs'

const run = promisify(execFile)
const stored = new URL('./guard.json', import.meta.url)
const script = fileURLToPath(new URL('./guard-paths.mjs', import.meta.url))
const jobs = 400_000
const mostRatio = 1.15

/** @returns the exit code: 0 fine or stored, 1 a regression, 2 nothing to compare with */
export async function guard({ update, rounds, note }) {
  if (mainThreadCpuNs() === undefined) return refuse('It reads /proc, which this system does not have.')
  const kind = (await countsInstructions()) ? 'instructions' : 'cpu'
  const measure = kind === 'instructions' ? instructionsPerJob : cpuPerJob
  const node = `v${process.versions.node.split('.')[0]}`
  const all = JSON.parse(await readFile(stored, 'utf8'))
  const known = all[kind]?.[node] ?? {}
  if (!update && pathNames.some((path) => known[path] === undefined))
    return refuse(`guard.json has no '${kind}' figures of Node ${node}. Store them with --guard --update.`)

  const figures = await measureAll(measure, rounds, note)
  if (update) {
    const next = { ...all, [kind]: { ...all[kind], [node]: figures } }
    await writeFile(stored, `${JSON.stringify(next, null, 2)}\n`)
    note('guard.json is written.\n')
    return 0
  }
  return report(kind, known, figures)
}

/** The median per path; rounds alternate between paths, as something else may use the machine for a while. */
async function measureAll(measure, rounds, note) {
  const samples = Object.fromEntries(pathNames.map((path) => [path, []]))
  for (let round = 0; round < rounds; round++) {
    note(`guard: round ${round + 1} of ${rounds} `)
    for (const path of pathNames) {
      samples[path].push(await measure(path))
      note('.')
    }
    note('\n')
  }
  return Object.fromEntries(pathNames.map((path) => [path, Number(median(samples[path]).toPrecision(4))]))
}

function report(kind, known, figures) {
  console.log(kind === 'cpu' ? 'main-thread CPU of 1,000 jobs, in yardsticks' : 'instructions per job')
  const slower = slowerPaths(known, figures)
  for (const path of pathNames) {
    const ratio = (figures[path] / known[path]).toFixed(2)
    const verdict = slower.includes(path) ? 'REGRESSION' : ''
    console.log(
      `  ${path.padEnd(18)}${`${figures[path]}`.padStart(10)}  stored ${known[path]}  ${ratio}  ${verdict}`.trimEnd(),
    )
  }
  return slower.length === 0 ? 0 : 1
}

/** The paths that cost more than 15 % above what is stored. */
export function slowerPaths(known, figures) {
  return Object.keys(known).filter((path) => figures[path] > known[path] * mostRatio)
}

async function cpuPerJob(path) {
  const { stdout } = await run(process.execPath, [script, path, `${jobs}`])
  const { cpuNs, yardstickNs } = JSON.parse(stdout.trimEnd().split('\n').at(-1))
  return (cpuNs / jobs / yardstickNs) * 1_000
}

async function instructionsPerJob(path) {
  const few = await instructionsOf(path, jobs)
  const many = await instructionsOf(path, 2 * jobs)
  return (many - few) / jobs
}

async function instructionsOf(path, count) {
  const { stderr } = await perfStat([process.execPath, script, path, `${count}`])
  return instructionsIn(stderr)
}

async function countsInstructions() {
  try {
    const { stderr } = await perfStat([process.execPath, '--version'])
    return Number.isFinite(instructionsIn(stderr))
  } catch {
    return false // there is no perf, or it may not be used
  }
}

function perfStat(command) {
  return run('perf', ['stat', '-x', ',', '-e', 'instructions:u', '--', ...command])
}

/** perf's comma-separated line is `<count>,<unit>,<event>,…`; the count is not a number where it cannot be had. */
export function instructionsIn(output) {
  const line = output.split('\n').find((each) => each.includes(',instructions:u,'))
  return line === undefined ? NaN : Number.parseFloat(line)
}

function refuse(message) {
  console.error(message)
  return 2
}
