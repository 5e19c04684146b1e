/** Plays seeds from the command line: `npm run sim -- --seeds N --first K`, or one with `SIM_SEED=… npm run sim`. */
import { playSeeds, replay } from './seeds.js'
import { Sometimes } from './sometimes.js'

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
  for (const [name, count] of sometimes.counts) console.log(`${String(count).padStart(9)}  ${name}`)
  console.log(
    `${played} schedules in ${seconds.toFixed(1)} s: ${Math.round((played / seconds) * 60)} a minute`,
  )
  if (failure !== undefined) console.log(failure)
  process.exit(failure === undefined ? 0 : 1)
}
