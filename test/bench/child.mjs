/**
 * One measurement in a process of its own: `node child.mjs <benchmark> <parameters as JSON>`. Its last line of output
 * is `{ figures }`, or `{ missing }` when the contender cannot be loaded.
 */
import { writeSync } from 'node:fs'
import { NotAvailable } from './not-available.mjs'

const [, , benchmark, parameters] = process.argv
const { measure } = await import(`./${benchmark}.mjs`)

try {
  answer({ figures: await measure(JSON.parse(parameters)) })
} catch (error) {
  if (!(error instanceof NotAvailable)) throw error
  answer({ missing: error.message })
}
process.exit()

function answer(value) {
  writeSync(1, `\n${JSON.stringify(value)}\n`)
}
