import { scryptSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { hashPassword, readSignUp } from '../../example-app/sign-up.js'
import { leastMs } from '../least.js'

const body = (overrides: Record<string, unknown> = {}) => ({
  name: 'Asha',
  email: 'asha@example.com',
  password: 'correct horse',
  ...overrides,
})

function fieldsInError(input: unknown): string[] {
  const reading = readSignUp(input)
  return 'errors' in reading ? reading.errors.map(({ field }) => field) : []
}

test('a complete sign-up is read, name and address without white space around them', () => {
  expect(
    readSignUp(body({ name: ' Åsha ', email: ' asha@example.com\n', password: ' blanks count ' })),
  ).toEqual({
    signUp: { name: 'Åsha', email: 'asha@example.com', password: ' blanks count ' },
  })
})

test.each([undefined, null, 'text', 7, [], {}])(
  '%j misses everything, and every reason is given',
  (input) => {
    expect(fieldsInError(input)).toEqual(['name', 'email', 'password'])
  },
)

test('only own properties are read', () => {
  expect(fieldsInError(Object.create(body()))).toEqual(['name', 'email', 'password'])
})

test.each(['asha+tag@example.com', "o'hara@mail.example.co.uk", 'a@b.io', `${'x'.repeat(64)}@example.com`])(
  'the address %s is taken',
  (email) => expect(fieldsInError(body({ email }))).toEqual([]),
)

test.each([
  'asha',
  'asha@example',
  '@example.com',
  'asha@',
  'a b@example.com',
  'asha@example..com',
  'asha@-example.com',
  'asha@example.com, eve@example.com',
  'Asha <asha@example.com>',
  'asha@example.com\r\nBcc: eve@example.com',
  `${'x'.repeat(65)}@example.com`,
  `a@${'b.'.repeat(130)}com`,
  ['asha@example.com'],
])('the address %j is refused', (email) => expect(fieldsInError(body({ email }))).toEqual(['email']))

test.each(['', '  ', 'x'.repeat(101), 'Asha\r\nfollow http://evil.example', 7])(
  'the name %j is refused',
  (name) => {
    expect(fieldsInError(body({ name }))).toEqual(['name'])
  },
)

test.each(['', '1234567', 'x'.repeat(201), 12345678])('the password %j is refused', (password) => {
  expect(fieldsInError(body({ password }))).toEqual(['password'])
})

test('a hostile address is judged in no time', () => {
  const hostile = body({ email: `${'a'.repeat(50)}@${'a-'.repeat(5_000)}` })
  expect(leastMs(3, () => readSignUp(hostile))).toBeLessThan(100)
})

describe('hashPassword', () => {
  test('makes a scrypt hash that the password fits', async () => {
    const [kind, salt = '', hash] = (await hashPassword('correct horse')).split('$')
    expect(kind).toBe('scrypt')
    expect(scryptSync('correct horse', Buffer.from(salt, 'base64url'), 64).toString('base64url')).toBe(hash)
  })

  test('salts: the same password never gives the same hash', async () => {
    expect(await hashPassword('correct horse')).not.toBe(await hashPassword('correct horse'))
  })
})
