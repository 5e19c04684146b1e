/**
 * UTF-8 text under construction, in one buffer that is used again: putting a small text together piece by piece then
 * allocates nothing but the finished string. Long strings are not copied through the buffer: they end a part, and the
 * finished string is made of the parts.
 */

const firstCapacity = 4096
/** A buffer that grew beyond this is let go of afterwards. */
const keptCapacity = 64 * 1024
/** Strings up to this length are copied character by character, which beats a native call. */
const shortLength = 48
/** Strings beyond this are parts of their own. */
const longLength = 512
/** Finds what cannot stand in JSON as it is, or takes more than one byte in UTF-8. */
const notPlainAscii = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

const zero = 48
const quote = 34
const backslash = 92

/** Node's buffers have these methods for what `toString` and `write` do after looking at their arguments. */
interface RawMethods {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
  latin1Write(text: string, at: number): number
  utf8Write(text: string, at: number): number
}

export class Utf8Text {
  #bytes = Buffer.allocUnsafeSlow(firstCapacity) as Buffer & RawMethods
  /** Bytes of the buffer that are in use. */
  #end = 0
  #isAscii = true
  /** What comes before the buffer. */
  #before = ''
  #bytesBefore = 0

  /** Bytes so far. */
  get length(): number {
    return this.#bytesBefore + this.#end
  }

  clear(): void {
    if (this.#bytes.length > keptCapacity) {
      this.#bytes = Buffer.allocUnsafeSlow(firstCapacity) as Buffer & RawMethods
    }
    this.#isAscii = true
    this.#before = ''
    this.#bytesBefore = this.#end = 0
  }

  /** Appends an ASCII character by its code. */
  character(code: number): void {
    if (this.#end === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#end++] = code
  }

  /** Appends an ASCII text. */
  ascii(text: string): void {
    const { length } = text
    if (this.#end + length > this.#bytes.length) this.#grow(length)
    const bytes = this.#bytes
    const start = this.#end
    for (let i = 0; i < length; i++) bytes[start + i] = text.charCodeAt(i)
    this.#end = start + length
  }

  /** Appends what `cut` once cut out. */
  piece(piece: Uint8Array): void {
    const { length } = piece
    if (this.#end + length > this.#bytes.length) this.#grow(length)
    const bytes = this.#bytes
    const start = this.#end
    for (let i = 0; i < length; i++) bytes[start + i] = piece[i] as number // i is below its length
    this.#end = start + length
  }

  /** A copy of the last `length` bytes, which hold no long string. */
  cut(length: number): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, this.#end - length, this.#end)
  }

  /** Appends a finite number as JSON has it; −0 becomes 0. */
  number(value: number): void {
    if (!(value >= 0 && value < 1e9 && (value | 0) === value)) return this.ascii(`${value}`)
    let digits = 1
    for (let bound = 10; value >= bound; bound *= 10) digits++
    if (this.#end + digits > this.#bytes.length) this.#grow(digits)
    const bytes = this.#bytes
    this.#end += digits
    let rest = value | 0
    for (let at = this.#end - 1; digits > 0; digits--, at--) {
      const tenth = (rest / 10) | 0
      bytes[at] = zero + rest - tenth * 10
      rest = tenth
    }
  }

  /** Appends a string as JSON has it, quoted and escaped; lone surrogates become escapes. */
  quoted(value: string): void {
    const { length } = value
    if (length > shortLength) return this.#longer(value)
    if (this.#end + length + 2 > this.#bytes.length) this.#grow(length + 2)
    const bytes = this.#bytes
    let at = this.#end
    bytes[at++] = quote
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code < 32 || code > 126 || code === quote || code === backslash) return this.#escaped(value)
      bytes[at++] = code
    }
    bytes[at++] = quote
    this.#end = at
  }

  toString(): string {
    return this.#bytesBefore === 0 ? this.#buffered() : this.#before + this.#buffered()
  }

  #buffered(): string {
    return this.#isAscii ? this.#bytes.latin1Slice(0, this.#end) : this.#bytes.utf8Slice(0, this.#end)
  }

  #part(text: string): void {
    this.#before += this.#buffered() + text
    this.#bytesBefore += this.#end + Buffer.byteLength(text)
    this.#end = 0
    this.#isAscii = true
  }

  #longer(value: string): void {
    const isPlain = !notPlainAscii.test(value)
    if (value.length > longLength) return this.#part(isPlain ? `"${value}"` : JSON.stringify(value))
    if (!isPlain) return this.#escaped(value)
    this.character(quote)
    if (this.#end + value.length > this.#bytes.length) this.#grow(value.length)
    this.#end += this.#bytes.latin1Write(value, this.#end)
    this.character(quote)
  }

  #escaped(value: string): void {
    const json = JSON.stringify(value)
    const sizeBytes = Buffer.byteLength(json)
    if (sizeBytes !== json.length) this.#isAscii = false
    if (this.#end + sizeBytes > this.#bytes.length) this.#grow(sizeBytes)
    this.#bytes.utf8Write(json, this.#end)
    this.#end += sizeBytes
  }

  #grow(by: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#end + by))
    this.#bytes.copy(grown, 0, 0, this.#end)
    this.#bytes = grown as Buffer & RawMethods
  }
}

/** Whether a string stands in JSON as it is, one byte per character. */
export function isPlainAscii(text: string): boolean {
  return !notPlainAscii.test(text)
}
