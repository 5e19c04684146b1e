/** Reads a sign-up: either what was asked for, trimmed and checked, or every reason why not. */
import { randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'

export interface SignUp {
  readonly name: string
  readonly email: string
  readonly password: string
}

/** One reason, for people: `field` says where in the form it belongs. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

export type SignUpReading = { readonly signUp: SignUp } | { readonly errors: readonly FieldError[] }

// Stricter than RFC 5321 on purpose: no quoted local parts, no address literals, ASCII only.
const address =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}$/

/** Reads the body of a sign-up request. Never throws. */
export function readSignUp(body: unknown): SignUpReading {
  const name = text(body, 'name').trim()
  const email = text(body, 'email').trim()
  const password = text(body, 'password')
  const errors = [...nameErrors(name), ...emailErrors(email), ...passwordErrors(password)]
  return errors.length > 0 ? { errors } : { signUp: { name, email, password } }
}

function text(body: unknown, field: string): string {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, field)) return ''
  const value: unknown = Reflect.get(body, field)
  return typeof value === 'string' ? value : ''
}

function* nameErrors(name: string): Generator<FieldError> {
  if (name === '') yield { field: 'name', message: 'Tell us your name.' }
  else if (name.length > 100) yield { field: 'name', message: 'Your name can have up to 100 characters.' }
  // A line break here could forge lines of the mail.
  else if (/\p{Cc}/u.test(name)) yield { field: 'name', message: 'Your name cannot have line breaks.' }
}

function* emailErrors(email: string): Generator<FieldError> {
  if (email === '') yield { field: 'email', message: 'Enter your email address.' }
  else if (email.length > 254 || !address.test(email)) {
    yield { field: 'email', message: 'Enter an address such as asha@example.com.' }
  }
}

function* passwordErrors(password: string): Generator<FieldError> {
  if (password.length < 8) yield { field: 'password', message: 'Choose a password of at least 8 characters.' }
  else if (password.length > 200)
    yield { field: 'password', message: 'A password can have up to 200 characters.' }
}

const scryptAsync = promisify<string, Buffer, number, Buffer>(scrypt)

/** A salted scrypt hash as `scrypt$salt$hash` (base64url), made off the main thread. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await scryptAsync(password, salt, 64)
  return `scrypt$${salt.toString('base64url')}$${hash.toString('base64url')}`
}
