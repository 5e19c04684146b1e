// The tasks of the app under fault. Every attempt writes to the ledger, which outlives a killed process.
import { appendFileSync } from 'node:fs'
import { defineTask } from 'sidework'

const ledger = process.env.LEDGER
const note = (what, { id, attempt }) => appendFileSync(ledger, `${what}|${id}|${attempt}\n`)
const noted = (run) => async (payload, context) => {
  note('start', context)
  const result = await run(payload, context)
  note('end', context)
  return result
}

defineTask('canary', noted((payload) => payload), { priority: 9 }) // prettier-ignore
defineTask('noop', () => undefined)
defineTask('echo', noted((payload) => payload)) // prettier-ignore
// What a careless handler does with a payload, and whether that reached Object.prototype.
defineTask('merges', noted((payload) => {
  const merged = Object.assign({}, payload)
  return { isAdmin: merged.admin === true, isPolluted: {}.admin !== undefined }
})) // prettier-ignore
