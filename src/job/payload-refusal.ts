/**
 * Says why a value cannot be a payload and what to pass instead. Looks at values without running their code: only
 * at what the runtime itself knows about them and at data properties of their prototypes.
 */
import { types } from 'node:util'
import { serializeError } from './serialized-error.js'

const identifier = /^[A-Za-z_$][\w$]*$/
const longestKey = 60

/** `payload.a[2]["odd key"]`. */
export function pathText(root: string, keys: readonly (string | number)[]): string {
  let text = root
  for (const key of keys) {
    if (typeof key === 'number') text += `[${key}]`
    else if (key.length <= longestKey && identifier.test(key)) text += `.${key}`
    else text += `[${JSON.stringify(key.length > longestKey ? `${key.slice(0, longestKey)}…` : key)}]`
  }
  return text
}

/** The rest of a sentence that begins with the path: what the value is, and what to do. */
export function refusalText(value: unknown): string {
  switch (typeof value) {
    case 'function':
      return 'is a function. Pass data; the task holds the code.'
    case 'symbol':
      return 'is a symbol. Pass a string.'
    case 'bigint':
      return 'is a bigint, which JSON does not have. Pass a string.'
    case 'number':
      return `is ${value}, which JSON does not have. Pass a finite number or null.`
    case 'undefined':
      return 'is undefined. Pass null, or leave it out.'
    case 'string':
    case 'boolean':
      return 'cannot be JSON.'
    case 'object':
      return value === null ? 'cannot be JSON.' : objectText(value)
  }
}

/** The rest of a sentence about a value whose getter threw. */
export function unreadableText(thrown: unknown): string {
  return `could not be read: ${serializeError(thrown).message.slice(0, 200)}. Pass plain data.`
}

function objectText(value: object): string {
  if (types.isProxy(value)) return 'is a Proxy. Pass a plain copy of what it stands for.'
  if (types.isDate(value)) return 'is a Date. Pass date.toISOString() or date.getTime().'
  if (types.isMap(value)) return 'is a Map. Pass [...map] or Object.fromEntries(map).'
  if (types.isSet(value)) return 'is a Set. Pass [...set].'
  if (types.isPromise(value)) return 'is a Promise. Await it before deferring.'
  if (types.isAnyArrayBuffer(value)) return 'is an ArrayBuffer. Pass new Uint8Array(buffer).'
  if (ArrayBuffer.isView(value)) return `is a ${className(value)}. Of binary data only Uint8Array is allowed.`
  return `is an instance of ${className(value)}. Pass a plain object with the fields the task needs, or an id.`
}

/** Whether a prototype is the `Object.prototype` of another realm (a vm context, a test runner's sandbox). */
export function isForeignPlain(prototype: unknown): boolean {
  if (typeof prototype !== 'object' || prototype === null || types.isProxy(prototype)) return false
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== 'object' || prototype === null || types.isProxy(prototype)) return 'a class'
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof constructor !== 'function' || types.isProxy(constructor)) return 'a class'
  const name: unknown = Object.getOwnPropertyDescriptor(constructor, 'name')?.value
  return typeof name === 'string' && name !== '' ? name.slice(0, longestKey) : 'a class'
}
