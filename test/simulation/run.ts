/**
 * Plays seeds from the command line: `npm run sim -- --seeds N --first K`, or one with `SIM_SEED=… npm run sim`. With
 * `--json` it prints a `SeedsReport` and nothing else.
 */
import { playSeeds, replay } from './seeds.js'
import { Sometimes } from './sometimes.js'

export interface SeedsReport {
  readonly played: number
  readonly failure: string | undefined
  /** Rare situations that no schedule came to. */
  readonly missing: readonly string[]
}

const option = (name: string, standard: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? standard : Number(process.argv[index + 1])
}

const seed = process.env['SIM_SEED']
if (seed !== undefined) process.exit((await replay(Number(seed))) ? 0 : 1)
else {
  const sometimes = new Sometimes()
  const started = performance.now()
  const { played, failure } = await playSeeds(option('first', 1), option('seeds', 20_000), sometimes)
  const seconds = (performance.now() - started) / 1000
  if (process.argv.includes('--json')) {
    const report: SeedsReport = { played, failure, missing: sometimes.missing }
    console.log(JSON.stringify(report))
  } else {
    for (const [name, count] of sometimes.counts) console.log(`${String(count).padStart(9)}  ${name}`)
    console.log(
      `${played} schedules in ${seconds.toFixed(1)} s: ${Math.round((played / seconds) * 60)} a minute`,
    )
    if (failure !== undefined) console.log(failure)
  }
  process.exitCode = failure === undefined ? 0 : 1
}
