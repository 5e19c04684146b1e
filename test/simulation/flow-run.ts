/**
 * Plays seeds of flows from the command line: `npm run sim:flows -- --seeds 100000 --first 1`. With `--json` it prints a
 * `FlowSeedsReport` and nothing else.
 */
import { playFlowSeeds } from './flow-play.js'

export interface FlowSeedsReport {
  readonly failure: string | undefined
  /** Rare situations that some schedule came to. */
  readonly reached: readonly string[]
}

const option = (name: string, usual: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? usual : Number(process.argv[index + 1])
}
const count = option('seeds', 20_000)
const { failure, reached } = await playFlowSeeds(option('first', 1), count)
const report: FlowSeedsReport = { failure, reached: [...reached].sort() }
console.log(
  process.argv.includes('--json')
    ? JSON.stringify(report)
    : (failure ?? `${count} schedules of flows keep every invariant; reached: ${report.reached.join(', ')}`),
)
process.exitCode = failure === undefined ? 0 : 1
