import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { decodePayload, encodePayload } from '../../src/job/payload.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import { fromPortable, toPortable } from '../../src/job/portable.js'

const limits = payloadLimits()
const throughAFile = (value: unknown) =>
  decodePayload(fromPortable(JSON.parse(JSON.stringify(toPortable(encodePayload(value)))), limits))

test('a lost payload with bytes comes back from a file as it was', () => {
  const value = { file: new Uint8Array([0, 255, 7]), list: [new Uint8Array(0)], n: 1 }
  expect(throughAFile(value)).toStrictEqual(value)
  expect(throughAFile(new Uint8Array([1]))).toStrictEqual(new Uint8Array([1]))
  expect(toPortable(encodePayload({ file: new Uint8Array([1, 2]) }))).toStrictEqual({
    file: { '$sidework.bytes': 'AQI=' },
  })
})

test('no payload comes back as no payload', () => {
  expect(fromPortable(toPortable(undefined), limits)).toBeUndefined()
})

test.each<[unknown]>([
  [{ '$sidework.bytes': 'AQI=' }],
  [{ '$$sidework.bytes': 'AQI=', '$sidework.bytes': 1 }],
  [{ a: [{ '$$$sidework.bytes': { '$sidework.bytes': new Uint8Array([1]) } }] }],
  [{ base64: 'AQI=', constructor: { name: 'PortableBytes' } }],
])('user data never passes for bytes: %j', (value) => {
  assert.deepStrictEqual(throughAFile(value), value)
})

test('bytes that were tampered with are refused', () => {
  for (const base64 of ['%%%', 'AQI', 7, null]) {
    expect(() => fromPortable({ a: { '$sidework.bytes': base64 } }, limits)).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_PAYLOAD' }),
    )
  }
})

test('A7 A8: a hostile report is refused like a hostile payload', () => {
  const code = { code: 'ERR_SIDEWORK_PAYLOAD' }
  expect(() => fromPortable(JSON.parse('{"__proto__":1}'), limits)).toThrow(expect.objectContaining(code))
  expect(() => fromPortable(JSON.parse('['.repeat(9e4) + ']'.repeat(9e4)), limits)).toThrow(
    expect.objectContaining(code),
  )
})

test('the limit holds for the payload, not for the longer base64', () => {
  const tight = payloadLimits(20, 1_000)
  const value = { file: new Uint8Array(1_000) }
  expect(decodePayload(fromPortable(toPortable(encodePayload(value)), tight))).toStrictEqual(value)
})
