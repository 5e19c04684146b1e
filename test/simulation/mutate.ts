/**
 * `npm run mutants`: patches one line of a copy of the sources at a time and lets the schedules find it; with `--flows`,
 * a line about flows, and the schedules of flows.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runBundled } from './bundle.js'
import { flowMutants } from './flow-mutants.js'
import { mutants, type Mutant } from './mutants.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const isAboutFlows = process.argv.includes('--flows')
const program = isAboutFlows ? 'flow-run' : 'run'
const all = isAboutFlows ? flowMutants : mutants
const seeds = isAboutFlows ? 2000 : 10_000
const longestMs = 150_000
const option = (name: string): string | undefined => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? undefined : process.argv[index + 1]
}

function copySources(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sidework-mutant-'))
  for (const part of ['src', 'test/simulation', 'package.json', 'tsconfig.json'])
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  return folder
}

/** @returns what caught it, or undefined when it survived */
function hunt(folder: string, mutant: Mutant): string | undefined {
  const file = path.join(folder, 'src', mutant.file)
  const source = readFileSync(file, 'utf8')
  if (source.split(mutant.find).length !== 2) return 'INVALID: its line is not there, or more than once'
  writeFileSync(
    file,
    source.replace(mutant.find, () => mutant.replace),
  )
  try {
    const env = { ...process.env, SIM_BRIEF: '1' }
    const args = ['--seeds', String(seeds)]
    const { stdout, status, error } = runBundled(folder, program, { args, env, longestMs, output: 'pipe' })
    if (error !== undefined) return 'it hangs'
    if (status === 0) return undefined
    return stdout.split('\n').find((line) => line.startsWith('seed ')) ?? 'it crashes'
  } catch (error) {
    return `INVALID: ${error instanceof Error ? error.message : String(error)}` // it does not compile
  } finally {
    writeFileSync(file, source)
  }
}

const folder = copySources()
const from = Number(option('from') ?? 0)
const chosen = all.slice(from, Number(option('to') ?? all.length))
let survivors = 0
for (const mutant of chosen) {
  const caught = hunt(folder, mutant)
  if (caught === undefined || caught.startsWith('INVALID')) survivors++
  console.log(`${mutant.name.padEnd(58)} ${caught?.slice(0, 110) ?? `SURVIVED ${seeds} schedules`}`)
}
rmSync(folder, { recursive: true })
console.log(`${chosen.length - survivors} of ${chosen.length} mutants were caught`)
process.exit(survivors === 0 ? 0 : 1)
