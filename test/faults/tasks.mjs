// The tasks of the app under fault. Every attempt writes to the ledger, which outlives a killed process.
import { execFileSync } from 'node:child_process'
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
  await new Promise((resolve) => setTimeout(resolve, 3000))
  progress(0.9)
  return 'the zombie'
}), { ...twice, visibilityTimeout: 1000, killAfter: 10_000 }) // prettier-ignore
const deaths = {
  SIGKILL: () => process.kill(process.pid, 'SIGKILL'),
  memory: () => new Array(8e6).fill(1.5),
}
defineTask('kills-process', noted((how) => { deaths[how]() }), { attempts: 5 }) // prettier-ignore

// Rows about what becomes of the thread.
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const never = () => new Promise(() => setInterval(() => undefined, 60_000))
const exits = {
  'exit(0)': () => process.exit(0),
  'exit(7)': () => process.exit(7),
  'exitCode = 9': () => {
    process.exitCode = 9
    process.exit()
  },
}
defineTask(
  'exits',
  noted((how, { attempt }) => (attempt === 1 ? exits[how]() : 'the second')),
  twice,
)
const bombs = {
  timer: () => void setTimeout(trap, 1),
  rejection: () => void Promise.reject(new Error('nobody cares')),
}
defineTask('bomb', noted((how) => { bombs[how](); return never() }), { attempts: 1, lane: 'io' }) // prettier-ignore
defineTask('neighbour', noted(async (ms) => { await sleep(ms); return 'slept' }), { attempts: 1, lane: 'io' }) // prettier-ignore
const loops = {
  'an endless loop': () => { for (;;); },
  'a slow regular expression': () => /^(a+)+$/.test('a'.repeat(50) + 'b'),
  'Atomics.wait': () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
} // prettier-ignore
// Time enough that they have surely begun when they are stopped.
defineTask(
  'stuck',
  noted((how) => loops[how]()),
  { attempts: 1, timeout: 1000, killAfter: 50 },
)
defineTask('naps', noted(async (ms) => { await sleep(ms); return 'slept' }), { attempts: 1 }) // prettier-ignore
const grow = {
  arrays: (held) => { for (;;) held.push(new Array(1000).fill(held.length)) },
  strings: (held) => { for (;;) held.push(`${held.length}`.repeat(1000).split('')) },
  maps: (held) => { for (;;) held.push(new Map(Array.from({ length: 100 }, (_, n) => [n, {}]))) },
} // prettier-ignore
defineTask(
  'grows',
  noted((what) => grow[what]([])),
  { attempts: 5, backoff: { type: 'fixed', delay: 5 } },
)
defineTask('recursion', noted(() => { const deeper = (n) => deeper(n + 1) + 1; return deeper(0) }), { attempts: 1 }) // prettier-ignore
const results = { date: () => new Date(), function: () => () => undefined, bigint: () => 1n, circular: () => { const o = {}; o.o = o; return o } } // prettier-ignore
defineTask(
  'bad-result',
  noted((what) => results[what]()),
  twice,
)
defineTask('minds-nothing', noted(never), { attempts: 1, lane: 'io', killAfter: 400 })
defineTask('uninterruptible', noted((ms) => void execFileSync('sleep', [String(ms / 1000)])), { attempts: 1, timeout: 1000, killAfter: 20 }) // prettier-ignore
