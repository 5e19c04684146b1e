import assert from 'node:assert/strict'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePayload, encodedSizeBytes, encodePayload } from '../../src/job/payload.js'
import { payloadLimits } from '../../src/job/payload-limits.js'
import { fromPortable, toPortable } from '../../src/job/portable.js'

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
})
const bytes = fc.uint8Array({ maxLength: 5 })
const payload: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.jsonValue({ stringUnit: 'binary' }),
    bytes,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('$sidework.bytes', '$$sidework.bytes')),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value

/** The rules said once more, naively: the value that must arrive, or a refusal. */
function model(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (Array.isArray(value)) return Array.from(value, model)
  if (typeof value !== 'object') throw new Error('refused')
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) throw new Error('refused')
  const entries = Object.entries(value)
  if (entries.some(isDangerous)) throw new Error('refused')
  return Object.fromEntries(entries.filter(([, v]) => v !== undefined).map(([key, v]) => [key, model(v)]))
}

function isDangerous([key, value]: [string, unknown]): boolean {
  if (key === '__proto__') return true
  return (
    key === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
  )
}

const isAllowed = (value: unknown) => 'value' in attempt(() => model(value))

const attempt = (run: () => unknown) => {
  try {
    return { value: run() }
  } catch (error) {
    return { refused: (error as { code?: string }).code ?? 'model' }
  }
}

test('A5: whatever is passed arrives as the rules say or is refused, the same on every attempt', () => {
  fc.assert(
    fc.property(fc.oneof(anything, payload), (value) => {
      const wanted = value === undefined ? { value: undefined } : attempt(() => model(value))
      const encoded = attempt(() => encodePayload(value))
      if ('refused' in wanted) {
        expect(encoded).toEqual({ refused: 'ERR_SIDEWORK_PAYLOAD' })
        return
      }
      const decode = () => decodePayload((encoded as { value: ReturnType<typeof encodePayload> }).value)
      assert.deepStrictEqual(decode(), wanted.value)
      assert.deepStrictEqual(decode(), decode())
    }),
    { numRuns: 2_000 },
  )
})

test('A9: the size is that of the UTF-8 JSON, and the limit is exact', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }).filter(isAllowed), (value) => {
      const encoded = encodePayload(value)
      const sizeBytes = Buffer.byteLength(encoded as string)
      expect(JSON.parse(encoded as string)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(encodedSizeBytes(encodePayload([value, new Uint8Array(3)]))).toBe(
        sizeBytes + '[,null]'.length + 3,
      )
      expect(encodePayload(value, payloadLimits(sizeBytes))).toBe(encoded)
      expect(() => encodePayload(value, payloadLimits(sizeBytes - 1))).toThrow(
        expect.objectContaining({ code: 'ERR_SIDEWORK_PAYLOAD_TOO_LARGE' }),
      )
    }),
    { numRuns: 500 },
  )
})

test('every getter is read at most once, and what it answered is what travels', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.jsonValue(), anything), { maxLength: 6 }), (answers) => {
      const reads = new Map<number, number>()
      const value = {}
      answers.forEach((answer, i) =>
        Object.defineProperty(value, `k${i}`, {
          enumerable: true,
          get: () => {
            reads.set(i, (reads.get(i) ?? 0) + 1)
            return reads.get(i) === 1 ? answer : 'another answer'
          },
        }),
      )
      const encoded = attempt(() => encodePayload(value))
      expect([...reads.values()].every((count) => count === 1)).toBe(true)
      const copy = Object.fromEntries(answers.map((answer, i) => [`k${i}`, answer]))
      expect(encoded).toEqual(attempt(() => encodePayload(copy)))
    }),
    { numRuns: 500 },
  )
})

test('a lost payload comes back from plain JSON as it was', () => {
  fc.assert(
    fc.property(payload.filter(isAllowed), (value) => {
      const encoded = encodePayload(value)
      const file = JSON.stringify(toPortable(encoded))
      expect(decodePayload(fromPortable(JSON.parse(file), payloadLimits()))).toStrictEqual(
        decodePayload(encoded),
      )
    }),
    { numRuns: 500 },
  )
})
