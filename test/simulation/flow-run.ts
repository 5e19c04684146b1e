/** Plays seeds of flows from the command line: `npm run sim:flows -- --seeds 100000 --first 1`. */
import { playFlowSeeds } from './flow-play.js'

const option = (name: string, usual: number): number => {
  const index = process.argv.indexOf(`--${name}`)
  return index < 0 ? usual : Number(process.argv[index + 1])
}
const count = option('seeds', 20_000)
const { failure, reached } = await playFlowSeeds(option('first', 1), count)
console.log(
  failure ?? `${count} schedules of flows keep every invariant; reached: ${[...reached].join(', ')}`,
)
process.exit(failure === undefined ? 0 : 1)
