/** Cases (README.md) that need a process of their own. */
import { expect, it } from 'vitest'
import { startApp } from './harness.js'

it('A7: a body with __proto__ or constructor.prototype is refused, and no object gets a property', async () => {
  const app = await startApp({ threads: 1 })
  for (const payload of ['{"__proto__":{"admin":true}}', '{"a":[{"constructor":{"prototype":{"admin":true}}}]}']) {
    const { status, body } = await app.post('/defer', `{"task":"merges","payload":${payload}}`)
    expect([status, body.code]).toEqual([422, 'ERR_SIDEWORK_PAYLOAD'])
  }
  expect(app.ledger()).toEqual([])
  const { body } = await app.defer('merges', { constructor: 'x', prototype: 'y' })
  expect(await app.result(body.id ?? '')).toMatchObject({ result: { isAdmin: false, isPolluted: false } })
}) // prettier-ignore

it('A8: a body nested 2,000 or 100,000 deep is refused within 10 ms', async () => {
  const app = await startApp({ threads: 1 })
  for (const depth of [2000, 6000, 100_000]) {
    const payload = '['.repeat(depth) + ']'.repeat(depth)
    const took: number[] = []
    // A neighbour may take the core once, hardly each time.
    for (let round = 0; round < 5; round++) {
      const { status, body } = await app.post('/defer', `{"task":"echo","payload":${payload}}`)
      expect([status, body.code], String(depth)).toEqual([422, 'ERR_SIDEWORK_PAYLOAD'])
      took.push(body.ms ?? NaN)
    }
    expect(Math.min(...took), String(depth)).toBeLessThan(10)
  }
})

it('A9: one byte over the limit is 413, a string of 200 MB costs no memory, a full queue is 503 with Retry-After', async () => {
  const limit = 16 * 2 ** 20
  const app = await startApp({ threads: 1, maxPayloadBytes: limit, maxQueuedBytes: 1000 })
  const huge = await app.post('/fault/huge', { bytes: 200 * 2 ** 20 })
  expect(huge.body).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD_TOO_LARGE', stats: { accepted: 0 } })
  expect(huge.body['growthMb']).toBeLessThan((2 * limit) / 2 ** 20)
  const full = await app.defer('echo', 'x'.repeat(999))
  expect([full.status, full.body.code]).toEqual([503, 'ERR_SIDEWORK_QUEUE_FULL'])
  expect(Number(full.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  const fits = await app.defer('echo', 'x'.repeat(998))
  expect(await app.result(fits.body.id ?? '')).toMatchObject({ state: 'completed' })
})

it('A9: the limit is exact over HTTP too', async () => {
  const app = await startApp({ threads: 1, maxPayloadBytes: 1000 })
  const { status, body } = await app.defer('echo', 'x'.repeat(999))
  expect([status, body.code]).toEqual([413, 'ERR_SIDEWORK_PAYLOAD_TOO_LARGE'])
  const fits = await app.defer('echo', 'x'.repeat(998))
  expect(await app.result(fits.body.id ?? '')).toMatchObject({ result: 'x'.repeat(998) })
})

it('A20: of a million defers in one tick maxQueued are accepted and all settle, while the loop stays free', async () => {
  const app = await startApp({ threads: 1 })
  const { body } = await app.post('/fault/burst', { count: 1_000_000 })
  expect(body).toMatchObject({
    codes: { ERR_SIDEWORK_QUEUE_FULL: 900_000 },
    stats: { accepted: 100_000, completed: 100_000, failed: 0, queuedBytes: 0 },
  })
  expect(body['p99Ms']).toBeLessThan(50)
  expect(body['growthMb']).toBeLessThan(300)
})

it('C15: 100,000 delayed jobs share one timer, and run by due time, then acceptance', async () => {
  const app = await startApp({ threads: 1 })
  const { body } = await app.post('/fault/delayed', { count: 99_000, withinMs: 500 })
  expect(body).toMatchObject({ early: 0, ran: 99_000, wrong: 0 })
  expect(body['grown']).toBeLessThanOrEqual(1)
})
