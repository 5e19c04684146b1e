import assert from 'node:assert/strict'
import vm from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  decodePayload,
  encodedSizeBytes,
  encodePayload,
  encodeResult,
  isResultRefusal,
  toPlain,
  type EncodedBytes,
} from '../../src/job/payload.js'
import { payloadLimits } from '../../src/job/payload-limits.js'

const roundTrip = (value: unknown) => decodePayload(encodePayload(value))

function refusalOf(value: unknown): { code?: string; path?: string; status?: number; message: string } {
  try {
    encodePayload(value)
  } catch (error) {
    return error as Error
  }
  return expect.unreachable('the payload was accepted')
}

function nested(levels: number, innermost: unknown): unknown {
  let value = innermost
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { a: value } : [value]
  return value
}

function pathOf(levels: number): string {
  let path = ''
  for (let i = 0; i < levels; i++) path = (i % 2 === 0 ? '.a' : '[0]') + path
  return `payload${path}`
}

describe('what is allowed', () => {
  test.each([
    ['null', null],
    ['text', 'a "quoted" \\ text \u0000 \u2028 ü 😀'],
    ['an empty object', {}],
    ['an empty array', []],
    ['numbers', [0, 1, -1.5, 1e308, 5e-324, 2 ** 53]],
    ['a request body', { user: { id: 1, tags: ['a', { b: null }] }, ok: true, 'odd key': '' }],
    ['keys that look dangerous and are not', { prototype: 1, toString: 2, constructor: { name: 'x' } }],
  ])('%s arrives as it was', (_, value) => {
    assert.deepStrictEqual(roundTrip(value), value)
    expect(encodePayload(value)).toBe(JSON.stringify(value))
  })

  test('no payload stays no payload', () => {
    expect(encodePayload(undefined)).toBeUndefined()
    expect(roundTrip(undefined)).toBeUndefined()
    expect(encodedSizeBytes(undefined)).toBe(0)
  })

  test('undefined properties are dropped and -0 becomes 0, as JSON does', () => {
    expect(encodePayload({ a: undefined, b: -0, c: [-0], d: undefined, e: 1 })).toBe('{"b":0,"c":[0],"e":1}')
    expect(encodePayload({ a: undefined })).toBe('{}')
  })

  test('a lone surrogate survives', () => {
    expect(roundTrip({ text: 'a\ud800b', '\udc00': 1 })).toStrictEqual({ text: 'a\ud800b', '\udc00': 1 })
  })

  test('objects without a prototype are plain', () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 })
    expect(roundTrip({ bare })).toStrictEqual({ bare: { a: 1 } })
  })

  test('objects and arrays of another realm are plain', () => {
    expect(roundTrip(vm.runInNewContext('({ a: [1, { b: 2 }] })'))).toStrictEqual({ a: [1, { b: 2 }] })
    expect(refusalOf(vm.runInNewContext('({ when: new Date() })'))).toMatchObject({ path: 'payload.when' })
  })

  test('the same object may stand in two places', () => {
    const address = { city: 'Pune' }
    expect(roundTrip({ from: address, to: address, all: [address, address] })).toStrictEqual({
      from: address,
      to: address,
      all: [address, address],
    })
  })

  test('inherited properties do not travel, also when Object.prototype is polluted', () => {
    const prototype = Object.prototype as { polluted?: unknown; toJSON?: unknown }
    prototype.polluted = 'everywhere'
    prototype.toJSON = () => 'not what was passed'
    const arrays = Array.prototype as { toJSON?: unknown }
    arrays.toJSON = () => 'nor this'
    try {
      expect(encodePayload({ a: [1] })).toBe('{"a":[1]}')
    } finally {
      delete prototype.polluted
      delete prototype.toJSON
      delete arrays.toJSON
    }
  })
})

describe('what is refused', () => {
  class Invoice {
    total = 1
  }
  class Numbers extends Array<number> {}
  const exotic: [name: string, value: unknown, at?: string][] = [
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a bigint', 1n],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['-Infinity', -Infinity],
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a Set', new Set()],
    ['a WeakMap', new WeakMap()],
    ['a class instance', new Invoice()],
    ['a subclass of Array', new Numbers()],
    ['a Promise', Promise.resolve()],
    ['a URL', new URL('http://localhost')],
    ['Headers', new Headers()],
    ['an Error', new Error('x')],
    ['a RegExp', /x/],
    ['a boxed number', new Number(1)],
    ['a Proxy', new Proxy({ a: 1 }, {})],
    ['a revoked Proxy', revokedProxy()],
    ['an arguments object', argumentsOf(1)],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['a SharedArrayBuffer', new SharedArrayBuffer(1)],
    ['a DataView', new DataView(new ArrayBuffer(1))],
    ['a Float64Array', new Float64Array(1)],
    ['a Uint8ClampedArray', new Uint8ClampedArray(1)],
    ['an object that inherits from another', Object.create({ a: 1 })],
    ['an object that inherits from a Proxy', Object.create(new Proxy({}, {}))],
    ['an object with a symbol key', { [Symbol.iterator]: 1 }],
    ['a global namespace', Math],
    ['an array with undefined', [undefined], '[0]'],
    ['a sparse array', new Array(2), '[0]'],
  ]
  const rows = exotic.flatMap(([name, value, at = '']) =>
    [0, 1, 5].map((depth): [string, number, unknown, string] => [
      name,
      depth,
      nested(depth, value),
      pathOf(depth) + at,
    ]),
  )
  test.each(rows)(
    'A2 A4 A5: %s in a payload, %i deep, is refused with its path',
    (_name, _depth, value, path) => {
      const refusal = refusalOf(value)
      expect(refusal).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD', status: 422, path })
      expect(refusal.message.startsWith(`${path} `)).toBe(true)
    },
  )

  test('the message says what the value is and what to do', () => {
    expect(refusalOf({ at: new Date(0) }).message).toBe(
      'payload.at is a Date. Pass date.toISOString() or date.getTime().',
    )
    expect(refusalOf({ list: Object.assign(new Array(3), [1]) }).message).toContain(
      'payload.list[1] is missing (a sparse array)',
    )
    expect(refusalOf({ list: [undefined] }).message).toContain('payload.list[0] is undefined')
    expect(refusalOf(new Invoice()).message).toContain('payload is an instance of Invoice')
    expect(refusalOf({ a: [0, { 'odd key': 1n }] }).path).toBe('payload.a[1]["odd key"]')
    expect(refusalOf({ ['x'.repeat(1e6)]: 1n }).message.length).toBeLessThan(300)
  })

  test('a huge sparse array is refused at its first gap', () => {
    expect(refusalOf({ list: new Array(4e9) })).toMatchObject({ path: 'payload.list[0]' })
  })

  test('A3: a circular payload is refused with the path that closes the circle', () => {
    const self: Record<string, unknown> = { a: { b: [] } }
    ;(self.a as { b: unknown[] }).b.push(self)
    expect(refusalOf(self)).toMatchObject({ path: 'payload.a.b[0]' })
    expect(refusalOf(self).message).toContain('leads back to payload.')
  })

  test('A3: two circles at every level are refused at once', () => {
    const self: Record<string, unknown> = {}
    for (let i = 0; i < 20; i++) self[`k${i}`] = [self, self]
    expect(refusalOf(self)).toMatchObject({ path: 'payload.k0[0]' })
  })

  test.each([
    ['{"__proto__":{"admin":true}}', 'payload.__proto__'],
    ['{"a":[{"__proto__":null}]}', 'payload.a[0].__proto__'],
    ['{"constructor":{"prototype":{"admin":true}}}', 'payload.constructor.prototype'],
    ['{"a":{"constructor":{"x":1,"prototype":1}}}', 'payload.a.constructor.prototype'],
  ])('A7: %s from JSON.parse is refused', (json, path) => {
    expect(refusalOf(JSON.parse(json))).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD', path })
    expect(({} as { admin?: unknown }).admin).toBeUndefined()
  })

  test('A8: 64 levels are allowed, 65 are refused', () => {
    const deepest = nested(64, 1)
    expect(roundTrip(deepest)).toStrictEqual(deepest)
    expect(refusalOf(nested(65, 1)).message).toContain('64 levels')
  })

  test('A8: nesting 100,000 deep is refused before any recursion', () => {
    const body: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect(refusalOf(body)).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD' })
  })

  test('A8: shared references that unfold to 2^60 values end at the size limit', () => {
    let value: unknown = { end: 1 }
    for (let i = 0; i < 60; i++) value = { left: value, right: value }
    expect(refusalOf(value)).toMatchObject({ code: 'ERR_SIDEWORK_PAYLOAD_TOO_LARGE' })
  })

  test('an object with a toJSON function is refused, and the function is not called', () => {
    let calls = 0
    const value = { a: 1, toJSON: () => ++calls }
    expect(refusalOf({ value })).toMatchObject({ path: 'payload.value.toJSON' })
    expect(calls).toBe(0)
  })

  test('a getter that throws is refused with its path and the reason', () => {
    const value = {
      get total(): number {
        throw new Error('not loaded')
      },
    }
    expect(refusalOf({ order: value })).toMatchObject({
      path: 'payload.order.total',
      message: 'payload.order.total could not be read: not loaded. Pass plain data.',
    })
  })

  test('a getter that throws our own error is still refused as this payload', () => {
    const value = {
      get inner(): unknown {
        return encodePayload({ bad: 1n })
      },
    }
    expect(refusalOf(value)).toMatchObject({ path: 'payload.inner' })
  })
})

describe('reading', () => {
  test('each getter is read once, and what was read is what travels', () => {
    let reads = 0
    const value = {
      get n(): unknown {
        return reads++ === 0 ? 1 : () => 'changed'
      },
    }
    expect(encodePayload(value)).toBe('{"n":1}')
    expect(reads).toBe(1)
  })

  test('a getter that encodes another payload does not disturb this one', () => {
    const value = {
      before: [1, new Uint8Array([1])],
      get inner(): unknown {
        return decodePayload(encodePayload({ other: new Uint8Array([9]), text: 'ü' }))
      },
      after: 2,
    }
    expect(roundTrip(value)).toStrictEqual({
      before: [1, new Uint8Array([1])],
      inner: { other: new Uint8Array([9]), text: 'ü' },
      after: 2,
    })
  })

  test('a refusal leaves nothing behind for the next payload', () => {
    refusalOf({ bytes: new Uint8Array(3), text: 'ü', bad: 1n })
    expect(encodePayload({ a: 1 })).toBe('{"a":1}')
  })

  test('A10: what the caller changes afterwards does not reach the job', () => {
    const value = { list: [1], bytes: new Uint8Array([1, 2]) }
    const encoded = encodePayload(value)
    value.list.push(2)
    value.bytes[0] = 99
    expect(decodePayload(encoded)).toStrictEqual({ list: [1], bytes: new Uint8Array([1, 2]) })
  })
})

describe('size', () => {
  const cases: [string, unknown][] = [
    ['plain text', { text: 'abc', n: [1, 2, -0.5, true, null] }],
    ['escapes', { text: 'a"b\\c\n\u0001' }],
    ['two, three and four byte characters', { 'schlüssel €': 'ü€😀', lone: '\ud800' }],
    ['nested empties', { a: {}, b: [], c: [[], {}], d: undefined }],
    ['a bare string', 'ü'],
    ['a bare number', 12345],
  ]
  test.each(cases)('A9: %s may be exactly as long as the limit and no byte longer', (_, value) => {
    const sizeBytes = Buffer.byteLength(JSON.stringify(value))
    expect(encodePayload(value, payloadLimits(sizeBytes))).toBe(JSON.stringify(value))
    expect(() => encodePayload(value, payloadLimits(sizeBytes - 1))).toThrow(
      expect.objectContaining({ code: 'ERR_SIDEWORK_PAYLOAD_TOO_LARGE', status: 413 }),
    )
    expect(encodedSizeBytes(encodePayload(value))).toBe(sizeBytes)
  })

  test('A9: the message has both numbers and says what to do', () => {
    expect(refusalOf('x'.repeat(300_000)).message).toBe(
      'The payload is at least 300002 bytes of JSON; at most 262144 are allowed. ' +
        'Pass an id or a file name instead, binary data as Uint8Array, or raise maxPayloadBytes.',
    )
  })

  test('A9: a string of 200 MB is refused without being copied', () => {
    const text = 'x'.repeat(200 * 2 ** 20)
    const before = process.memoryUsage().rss
    expect(refusalOf({ text }).code).toBe('ERR_SIDEWORK_PAYLOAD_TOO_LARGE')
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 2 ** 20)
  })

  test('a long list is left as soon as it is surely too long', () => {
    let reads = 0
    const counting = {
      get n(): number {
        return ++reads
      },
    }
    refusalOf(new Array(1_000_000).fill(counting))
    expect(reads).toBeLessThan(60_000)
  })
})

describe('bytes', () => {
  test('Uint8Array leaves arrive as they were, anywhere in the payload', () => {
    const value = {
      file: new Uint8Array([1, 2]),
      parts: [new Uint8Array([3]), { odd: new Uint8Array(0) }],
      n: null,
    }
    expect(roundTrip(value)).toStrictEqual(value)
    expect(roundTrip(new Uint8Array([7]))).toStrictEqual(new Uint8Array([7]))
  })

  test('they lie in shared memory and count as bytes, not as JSON', () => {
    const encoded = encodePayload({ file: new Uint8Array(1_000_000) }) as EncodedBytes
    expect(encoded.json).toBe('{"file":null}')
    expect(encoded.leaves[0]?.bytes.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(encodedSizeBytes(encoded)).toBe(1_000_000 + encoded.json.length)
  })

  test('a Buffer comes out as a plain Uint8Array, and only its own part of the pool', () => {
    const leaf = roundTrip(Buffer.from('häßlich').subarray(1, 3)) as Uint8Array
    expect(Object.getPrototypeOf(leaf)).toBe(Uint8Array.prototype)
    expect(leaf).toStrictEqual(new Uint8Array(Buffer.from('ä')))
    expect(leaf.buffer.byteLength).toBe(2)
  })

  test('each attempt gets its own copy', () => {
    const encoded = encodePayload({ file: new Uint8Array([1]) })
    const first = decodePayload(encoded) as { file: Uint8Array }
    first.file[0] = 99
    expect(decodePayload(encoded)).toStrictEqual({ file: new Uint8Array([1]) })
    expect(first.file.buffer).toBeInstanceOf(ArrayBuffer)
  })

  test('bytes over the limit are refused before they are copied', () => {
    const limits = payloadLimits(1_000, 10)
    expect(decodePayload(encodePayload([new Uint8Array(10)], limits))).toStrictEqual([new Uint8Array(10)])
    expect(() => encodePayload([new Uint8Array(6), new Uint8Array(5)], limits)).toThrow(
      /at least 11 bytes; at most 10/,
    )
  })

  test('a subclass that lies about its length is measured by its true length', () => {
    class Liar extends Uint8Array {
      override get byteLength(): number {
        return 1
      }
    }
    expect(roundTrip(new Liar([1, 2, 3]))).toStrictEqual(new Uint8Array([1, 2, 3]))
  })

  test('an encoded payload survives being posted to a thread', () => {
    const encoded = encodePayload({ a: [new Uint8Array([1, 2])] })
    expect(decodePayload(structuredClone(encoded))).toStrictEqual({ a: [new Uint8Array([1, 2])] })
  })
})

describe('snapshots and results', () => {
  test('a snapshot is frozen throughout', () => {
    const plain = toPlain(encodePayload({ a: [{ b: 1 }], file: new Uint8Array([1]) })) as {
      a: { b: number }[]
    }
    expect(plain).toStrictEqual({ a: [{ b: 1 }], file: new Uint8Array([1]) })
    expect(() => plain.a.push({ b: 2 })).toThrow(TypeError)
    expect(Object.isFrozen(plain.a[0])).toBe(true)
  })

  test('B6: a result that is not JSON is refused as data, naming the path', () => {
    expect(encodeResult({ rows: [new Map()] })).toStrictEqual({
      refused: 'result.rows[0] is a Map. Pass [...map] or Object.fromEntries(map).',
    })
    expect(encodeResult(undefined)).toBeUndefined()
    expect(encodeResult({ refused: 'by the bank' })).toBe('{"refused":"by the bank"}')
  })

  test.each<[string, unknown]>([
    ['a Proxy that throws', new Proxy({}, throwingTraps())],
    ['a revoked Proxy', revokedProxy()],
    ['a getter that throws a Proxy that throws', getterThrowing(new Proxy({}, throwingTraps()))],
    ['a getter that throws undefined', getterThrowing(undefined)],
    ['a getter that overflows the stack', getterOverflowing()],
    ['a class whose name throws', new (classWithThrowingName())()],
  ])('B6: a result that is or holds %s is refused, never thrown', (_, value) => {
    const result = encodeResult({ value })
    expect(isResultRefusal(result)).toBe(true)
  })

  test('B7: a result over 1 MiB of JSON or 64 MiB of bytes is refused', () => {
    expect(encodeResult('x'.repeat(2 ** 20 - 2))).toHaveLength(2 ** 20)
    expect(encodeResult('x'.repeat(2 ** 20 - 1))).toMatchObject({
      refused: expect.stringContaining('1048577 bytes'),
    })
    expect(encodeResult(new Uint8Array(64 * 2 ** 20 + 1))).toMatchObject({
      refused: expect.stringContaining('67108865'),
    })
  })
})

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function argumentsOf(..._: unknown[]): unknown {
  return (function () {
    // eslint-disable-next-line prefer-rest-params -- the arguments object is what is tested
    return arguments
  })()
}

function throwingTraps(): ProxyHandler<object> {
  return new Proxy(
    {},
    {
      get: () => () => {
        throw new Error('trap')
      },
    },
  )
}

function getterThrowing(thrown: unknown): unknown {
  return {
    get a(): never {
      throw thrown
    },
  }
}

function getterOverflowing(): unknown {
  const value = {
    get a(): unknown {
      return value.a
    },
  }
  return value
}

function classWithThrowingName(): new () => object {
  return class {
    static get name(): string {
      throw new Error('name')
    }
  }
}
