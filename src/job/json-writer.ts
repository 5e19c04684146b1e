/**
 * Writes the JSON text of a payload in one walk that judges and serialises at once. Every property is read exactly
 * once, so what was judged is what was written, whatever getters answer; `toJSON` is never called, wherever it hangs.
 * The walk keeps its own stack of at most 64 levels and stops as soon as the text is longer than allowed.
 */
import { types } from 'node:util'
import { PayloadError, PayloadTooLargeError } from '../errors.js'
import type { PayloadLimits } from './payload-limits.js'
import { isForeignPlain, pathText, refusalText, unreadableText } from './payload-refusal.js'
import { isPlainAscii, Utf8Text } from './utf8-text.js'

/** One `Uint8Array` of the value: where it was, and its copy in shared memory. The JSON holds `null` in its place. */
export interface ByteLeaf {
  /** Keys and indices from the root; empty when the value is itself a `Uint8Array`. */
  readonly path: readonly (string | number)[]
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/** Deepest nesting of arrays and objects, the outermost counted as 1. */
const maxLevels = 64

const openBrace = 123
const closeBrace = 125
const openBracket = 91
const closeBracket = 93
const comma = 44
const colon = 58

const ownSymbols = Object.getOwnPropertySymbols
const prototypeOf = Object.getPrototypeOf as (value: object) => unknown
/** `"key":` of keys seen before, since the payloads of a task repeat theirs; bounded, whatever keys requests bring. */
const knownKeys = new Map<string, Uint8Array>()
const mostKnownKeys = 1_000
const longestKnownKey = 40

/** Serialises one value at a time; made once and used again, so that a small payload allocates only its text. */
export class JsonWriter {
  readonly #text = new Utf8Text()
  #leaves: ByteLeaf[] | undefined
  #leafBytes = 0
  #limits: PayloadLimits
  #task: string | undefined
  /** Keys and indices of the value being looked at; entries from `#level` on are stale. */
  readonly #keys: (string | number)[] = []
  readonly #ancestors: (object | undefined)[] = []
  #level = 0
  #refusal: Error | undefined

  constructor(limits: PayloadLimits) {
    this.#limits = limits
  }

  /** The leaves of the last value written. */
  get leaves(): readonly ByteLeaf[] | undefined {
    return this.#leaves
  }

  /** UTF-8 bytes of the last JSON written plus bytes of its leaves. */
  get sizeBytes(): number {
    return this.#text.length + this.#leafBytes
  }

  /**
   * The JSON of a value. A writer that has thrown must not be used again.
   * @throws PayloadError naming the path, PayloadTooLargeError
   */
  write(value: unknown, limits: PayloadLimits, task?: string): string {
    this.#limits = limits
    this.#task = task
    this.#text.clear()
    this.#leaves = undefined
    this.#leafBytes = 0
    try {
      this.#value(value)
      this.#count(0)
      return this.#text.toString()
    } catch (error) {
      throw error === this.#refusal ? error : this.#unreadable(error)
    }
  }

  #value(value: unknown): void {
    if (typeof value === 'string') return this.#string(value)
    if (typeof value === 'object' && value !== null) return this.#container(value)
    if (typeof value === 'number') {
      if (value - value !== 0) this.#refuse(value) // NaN and ±Infinity minus themselves are NaN
      this.#text.number(value)
    } else if (typeof value === 'boolean' || value === null) this.#text.ascii(`${value}`)
    else this.#refuse(value)
  }

  #string(value: string): void {
    this.#count(value.length + 2)
    this.#text.quoted(value)
  }

  #container(value: object): void {
    if (types.isProxy(value)) this.#refuse(value)
    this.#count(2)
    const level = this.#level
    if (level >= maxLevels)
      this.#refuseText(`is nested deeper than ${maxLevels} levels. Flatten it, or pass an id.`)
    for (let i = 0; i < level; i++) if (this.#ancestors[i] === value) this.#refuseCircle(i)
    this.#ancestors[level] = value
    this.#inner(value)
    this.#ancestors[level] = undefined
    this.#level = level
  }

  #inner(value: object): void {
    const prototype = prototypeOf(value)
    if (prototype === Object.prototype) return this.#object(value)
    if (Array.isArray(value)) return this.#array(value, prototype)
    if (types.isUint8Array(value)) return this.#bytes(value)
    if (prototype === null || isForeignPlain(prototype)) return this.#object(value)
    return this.#refuse(value)
  }

  #object(value: object): void {
    const level = this.#level
    if (ownSymbols(value).length > 0) this.#refuseText('has a symbol as a key. Use string keys.')
    const text = this.#text
    let separator = openBrace
    const keys = Object.keys(value)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string // i is below the length
      this.#keys[level] = key
      this.#level = level + 1
      if (key === '__proto__' || key === 'prototype') this.#checkKey(key, level)
      const child = (value as Record<string, unknown>)[key] // the one read of this property
      if (child === undefined) continue
      text.character(separator)
      separator = comma
      this.#key(key)
      this.#value(child)
    }
    if (separator === openBrace) text.character(openBrace)
    text.character(closeBrace)
  }

  #key(key: string): void {
    const known = knownKeys.get(key)
    if (known !== undefined) return this.#text.piece(known)
    this.#string(key)
    this.#text.character(colon)
    if (knownKeys.size < mostKnownKeys && key.length <= longestKnownKey && isPlainAscii(key)) {
      knownKeys.set(key, this.#text.cut(key.length + 3)) // quotes and colon
    }
  }

  #array(value: readonly unknown[], prototype: unknown): void {
    // Array.prototype is itself an array, in every realm; the prototype of a subclass is not.
    if (prototype !== Array.prototype && !Array.isArray(prototype)) this.#refuse(value)
    const level = this.#level
    const { length } = value
    const text = this.#text
    text.character(openBracket)
    for (let i = 0; i < length; i++) {
      this.#keys[level] = i
      this.#level = level + 1
      const child = value[i] // the one read of this element
      if (child === undefined) this.#refuseGap(value, i)
      if (i > 0) text.character(comma)
      this.#count(1)
      this.#value(child)
    }
    text.character(closeBracket)
  }

  #bytes(value: Uint8Array): void {
    const sizeBytes = byteLengthOf(value)
    this.#leafBytes += sizeBytes
    if (this.#leafBytes > this.#limits.maxLeafBytes) this.#tooManyBytes()
    const bytes = new Uint8Array(new SharedArrayBuffer(sizeBytes))
    bytes.set(value)
    const leaves = (this.#leaves ??= [])
    leaves.push({ path: this.#keys.slice(0, this.#level), bytes })
    this.#text.ascii('null')
  }

  /** Stops the walk before the JSON is surely too long: at least `bytes` more follow. */
  #count(bytes: number): void {
    if (this.#text.length + bytes > this.#limits.maxJsonBytes) this.#tooLong(this.#text.length + bytes)
  }

  /** An own `__proto__` or `constructor.prototype` turns into a prototype when the handler merges its payload. */
  #checkKey(key: string, level: number): void {
    if (key === 'prototype' && (level === 0 || this.#keys[level - 1] !== 'constructor')) return
    this.#refuseText('is a key that can change prototypes. Remove it before deferring.')
  }

  #tooLong(bytes: number): never {
    const { root, maxJsonBytes, jsonAdvice } = this.#limits
    this.#refusal = new PayloadTooLargeError(
      `${this.#the()} ${root} is at least ${bytes} bytes of JSON; at most ${maxJsonBytes} are allowed. ${jsonAdvice}`,
    )
    throw this.#refusal
  }

  #tooManyBytes(): never {
    const { root, maxLeafBytes, leafAdvice } = this.#limits
    this.#refusal = new PayloadTooLargeError(
      `${this.#the()} Uint8Arrays of the ${root} hold at least ${this.#leafBytes} bytes; at most ${maxLeafBytes} are allowed. ` +
        leafAdvice,
    )
    throw this.#refusal
  }

  #refuse(value: unknown): never {
    return this.#refuseText(refusalText(value))
  }

  #refuseGap(array: readonly unknown[], index: number): never {
    const what = Object.hasOwn(array, index) ? 'is undefined' : 'is missing (a sparse array)'
    return this.#refuseText(`${what}. Arrays keep their positions in JSON only without gaps: use null.`)
  }

  #refuseCircle(level: number): never {
    const to = pathText(this.#limits.root, this.#keys.slice(0, level))
    return this.#refuseText(`is circular: it leads back to ${to}. Pass ids instead of references.`)
  }

  #refuseText(text: string): never {
    const path = this.#path()
    this.#refusal = new PayloadError(`${this.#where()}${path} ${text}`, path)
    throw this.#refusal
  }

  #unreadable(cause: unknown): PayloadError {
    const path = this.#path()
    return new PayloadError(`${this.#where()}${path} ${unreadableText(cause)}`, path, [], { cause })
  }

  #the(): string {
    return this.#task === undefined ? 'The' : `${this.#where()}the`
  }

  /** Whose payload it is: the beginning of a message. */
  #where(): string {
    return this.#task === undefined ? '' : `Task '${this.#task}': `
  }

  #path(): string {
    return pathText(this.#limits.root, this.#keys.slice(0, this.#level))
  }
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object

/** The true length in bytes, whatever a subclass says about its own. */
function byteLengthOf(view: Uint8Array): number {
  return Reflect.get(typedArrayPrototype, 'byteLength', view) as number // the intrinsic getter answers a number
}
