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

// Rows about what handlers do.
const twice = { attempts: 2, backoff: { type: 'fixed', delay: 5 } }
const trap = () => {
  throw new Error('trapped')
}
const hostile = {
  undefined: () => undefined,
  null: () => null,
  string: () => 'a string',
  number: () => 42,
  symbol: () => Symbol('s'),
  bare: () => Object.create(null),
  proxy: () => new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap }),
  function: () => () => undefined,
  circular: () => {
    const error = Object.assign(new RangeError('x'.repeat(5 * 2 ** 20)), { code: 'E_LONG', undo: () => undefined })
    error.cause = error
    return error
  },
} // prettier-ignore
defineTask('fails', noted(({ message }) => { throw new TypeError(message) }), twice) // prettier-ignore
defineTask('throws', noted((what) => { throw hostile[what]() }), { attempts: 1 }) // prettier-ignore
defineTask(
  'never-settles',
  noted(() => new Promise(() => undefined)),
  { attempts: 1, killAfter: 20 },
)
defineTask('zombie', noted(async (_, { attempt, progress }) => {
  if (attempt === 2) return 'the second'
  await new Promise((resolve) => setTimeout(resolve, 300))
  progress(0.9)
  return 'the zombie'
}), { ...twice, visibilityTimeout: 50, killAfter: 5000 }) // prettier-ignore
const deaths = {
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
  memory: () => new Array(8e6).fill(1.5),
}
defineTask('kills-process', noted((how) => { deaths[how]() }), { attempts: 5 }) // prettier-ignore
