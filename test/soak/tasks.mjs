// The tasks of the soak: one of each kind of work, and a few that misbehave.
import { pbkdf2Sync } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineTask, Snooze } from 'sidework'

const soon = { type: 'fixed', delay: 20, jitter: 0.5 }
const io = { lane: 'io' }
const main = { lane: 'main' }
const work = (rounds) => pbkdf2Sync('soak', 'salt', rounds, 32, 'sha256').toString('hex')
const forEver = () => new Promise(() => undefined)

defineTask('hash', ({ rounds }) => work(rounds))
defineTask('resize', async ({ bytes }, { progress, yieldNow }) => {
  for (let step = 1; step <= 5; step++) {
    work(300)
    progress({ ratio: step / 5, message: `step ${step}` })
    await yieldNow()
  }
  return { bytes, size: bytes.length }
}) // prettier-ignore
defineTask('flaky', (_, { attempt }) => {
  if (attempt < 3) throw new Error(`attempt ${attempt} fails`)
}, { attempts: 4, backoff: soon }) // prettier-ignore

defineTask('mail', async ({ waitMs }, { signal }) => void (await sleep(waitMs, undefined, { signal })), {
  ...io,
  limits: 'smtp',
})
defineTask('sync', async ({ waitMs }) => void (await sleep(waitMs)), {
  ...io,
  attempts: 2,
  backoff: soon,
  orderingKey: ({ customer }) => `customer:${customer}`,
})
defineTask('polls', async ({ times }, { attempt, heartbeat }) => {
  await sleep(10)
  heartbeat()
  if (Math.random() < 1 / times) return attempt
  throw new Snooze(20)
}, { ...io, visibilityTimeout: '2s' }) // prettier-ignore
defineTask('parent', async ({ children }, { defer }) => {
  for (let n = 0; n < children; n++) await defer('hash', { rounds: 200 })
}, io) // prettier-ignore
defineTask('reindex', async () => void (await sleep(5)), {
  ...io,
  dedupe: { key: ({ shop }) => shop, mode: 'last' },
})

defineTask('note', () => void work(100), main)
defineTask('tidy', async (_, { yieldNow }) => {
  for (let slice = 0; slice < 10; slice++) {
    work(200)
    await yieldNow()
  }
}, main) // prettier-ignore
defineTask('every-second', () => undefined, main)

// 1 % of the jobs end their thread; half of them do so on every attempt.
const deaths = [
  () => process.exit(1),
  () => void setTimeout(() => { throw new Error('in a timer') }, 0),
  () => void Promise.reject(new Error('nobody cares')),
] // prettier-ignore
for (const lane of ['cpu', 'io']) {
  defineTask(`${lane}-crashes`, async ({ way, always }, { attempt }) => {
    if (attempt > 1 && !always) return
    deaths[way % deaths.length]()
    await forEver()
  }, { lane, attempts: 2, backoff: soon }) // prettier-ignore
}
// 1 % hang until their timeout: one spins, one waits, one spins beside others.
const hanging = { attempts: 2, backoff: soon, timeout: 150, killAfter: 30 }
defineTask('cpu-hangs', () => { for (;;); }, hanging) // prettier-ignore
defineTask('io-hangs', forEver, { ...hanging, ...io })
defineTask('io-spins', () => { for (;;); }, { ...hanging, ...io }) // prettier-ignore
