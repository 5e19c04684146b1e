import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodePayload, encodePayload } from '../../src/job/payload.js'
import { payloadLimits } from '../../src/job/payload-limits.js'

const wide = payloadLimits(1_000_000, 1_000_000)

/** Around the lengths at which the writer changes its way: short, buffered, long, the first buffer, the kept one. */
const lengths = [0, 1, 47, 48, 49, 511, 512, 513, 4094, 4095, 4096, 65_536, 70_000]
const fillings = {
  plain: 'x',
  quoted: 'say "hi"\\',
  control: 'a\n\u007f',
  latin: 'Grüße',
  wide: '日本語',
  astral: '😀',
  surrogate: '\ud800',
}

function filled(filling: string, length: number): string {
  return filling.repeat(Math.ceil(length / filling.length)).slice(0, length)
}

describe('the JSON is what JSON.stringify writes', () => {
  test.each(Object.entries(fillings))('strings of every length, %s', (_name, filling) => {
    for (const length of lengths) {
      const text = filled(filling, length)
      const value = { before: 1, [text.slice(0, 60)]: [text, 'short', text], after: filled('é', 30) }
      expect(encodePayload(value, wide)).toBe(JSON.stringify(value))
    }
  })

  test('numbers', () => {
    const powers = Array.from({ length: 22 }, (_, exponent) => 10 ** exponent)
    const near = [...powers, 2 ** 31, 2 ** 32, 2 ** 53].flatMap((at) => [at - 1, at, at + 1, at / 3])
    const values = [0, -0, 0.1, 1e-7, 5e-324, 1.7976931348623157e308, ...near].flatMap((n) => [n, -n])
    expect(encodePayload(values)).toBe(JSON.stringify(values))
  })

  test('any JSON value, one after another through the same buffer', () => {
    const value = fc
      .jsonValue({ maxDepth: 5, stringUnit: 'binary' })
      .filter((any) => !JSON.stringify(any).includes('"__proto__":'))
    fc.assert(
      fc.property(value, (any) => {
        const encoded = encodePayload(any)
        expect(encoded).toBe(JSON.stringify(any))
        expect(decodePayload(encoded)).toEqual(JSON.parse(JSON.stringify(any)))
      }),
      { numRuns: 2000 },
    )
  })
})
