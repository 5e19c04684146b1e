import { expect, test } from 'vitest'
import { serializeError, type SerializedError } from '../../src/job/serialized-error.js'

const throwing = new Proxy(
  {},
  {
    get: () => () => {
      throw new Error('trap')
    },
  },
)

test('B1: an error keeps its name, message, code and stack', () => {
  const error = Object.assign(new TypeError('no such file'), { code: 'ENOENT' })
  expect(serializeError(error)).toStrictEqual({
    name: 'TypeError',
    message: 'no such file',
    code: 'ENOENT',
    stack: error.stack,
  })
})

test.each<[string, unknown, Partial<SerializedError>]>([
  ['undefined', undefined, { name: 'NonError', message: 'undefined was thrown.' }],
  ['null', null, { name: 'NonError', message: 'null was thrown.' }],
  ['a string', 'boom', { name: 'NonError', message: 'boom' }],
  ['a number', 7, { name: 'NonError', message: '7 was thrown.' }],
  ['a bigint', 7n, { name: 'NonError', message: '7 was thrown.' }],
  ['a symbol', Symbol('s'), { name: 'NonError', message: 'Symbol(s) was thrown.' }],
  ['a function', () => 1, { name: 'NonError', message: 'A function was thrown.' }],
  [
    'a bare object',
    Object.create(null),
    { name: 'NonError', message: 'An object that is not an error was thrown.' },
  ],
  [
    'an object that looks like an error',
    { message: 'm', code: 11000 },
    { name: 'Error', message: 'm', code: '11000' },
  ],
  ['a Proxy that throws on every trap', new Proxy({}, throwing), { name: 'NonError' }],
  ['a function Proxy that throws on every trap', new Proxy(() => 1, throwing), { name: 'NonError' }],
])('B2: %s can be thrown', (_, thrown, expected) => {
  const error = serializeError(thrown)
  expect(error).toMatchObject(expected)
  expect(Object.isFrozen(error)).toBe(true)
  expect(structuredClone(error)).toStrictEqual(error)
})

test('B3: getters that throw and properties that are functions are left out', () => {
  const error = Object.assign(new Error('kept'), { code: () => 1 })
  Object.defineProperty(error, 'stack', {
    get() {
      throw new Error('no stack')
    },
  })
  expect(serializeError(error)).toStrictEqual({ name: 'Error', message: 'kept' })
})

test('B3: a message of 5 MB is cut to 8 KB, and the stack keeps its frames', () => {
  const error = serializeError(new Error('ü'.repeat(5 * 2 ** 20)))
  expect(Buffer.byteLength(error.message)).toBeLessThanOrEqual(8 * 1024)
  expect(Buffer.byteLength(error.message)).toBeGreaterThan(8 * 1024 - 8)
  expect(error.message.endsWith('ü…')).toBe(true)
  expect(Buffer.byteLength(error.stack ?? '')).toBeLessThanOrEqual(16 * 1024)
  expect(error.stack).toContain('serialized-error.test.ts')
})

test('B3: a stack of 1 MB, a long name and a long code are cut', () => {
  const error = new Error('x')
  error.stack = '😀'.repeat(2 ** 18)
  const cut = serializeError(Object.assign(error, { name: 'N'.repeat(1e6), code: 'C'.repeat(1e6) }))
  expect(Buffer.byteLength(cut.stack ?? '')).toBeLessThanOrEqual(16 * 1024)
  expect(cut.stack?.isWellFormed()).toBe(true)
  expect(Buffer.byteLength(cut.name)).toBe(256)
  expect(Buffer.byteLength(cut.code ?? '')).toBe(256)
})

test('B3: causes are kept five deep', () => {
  let error = new Error('0')
  for (let i = 1; i <= 9; i++) error = new Error(String(i), { cause: error })
  const messages: string[] = []
  for (let at: SerializedError | undefined = serializeError(error); at; at = at.cause)
    messages.push(at.message)
  expect(messages).toEqual(['9', '8', '7', '6', '5', '4'])
})

test('B3: a circular cause ends where it closes', () => {
  const outer = new Error('outer')
  const inner = new Error('inner', { cause: outer })
  outer.cause = inner
  expect(serializeError(outer)).toMatchObject({ message: 'outer', cause: { message: 'inner' } })
  expect(serializeError(outer).cause?.cause).toBeUndefined()
})

test('no class is rebuilt and nothing else of the error travels', () => {
  const error = Object.assign(new Error('x'), { response: { secret: 1 }, constructor: 'x' })
  expect(Object.keys(serializeError(error)).sort()).toEqual(['message', 'name', 'stack'])
})
