/**
 * Ids that cost nothing until somebody looks: 22 characters from a keystream (AES-128 in counter mode under a key that
 * only this scheduler and its threads hold) at the position of the job's acceptance number, then four characters that
 * spell the job's cell in the table. Who does not hold the key can guess an id no better than 128 random bits, and
 * scheduler and threads read the same ids though none crosses between them.
 */
import { createCipheriv } from 'node:crypto'

/** Bytes of the key. */
export const idKeyBytes = 16

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const codes = Buffer.from(alphabet, 'latin1')
const digits = new Map(Array.from(alphabet, (character, value) => [character, value]))
const secretLength = 22
const idLength = secretLength + 4
/** Ids whose characters are made together. Their bytes are whole cipher blocks and spell whole characters. */
const idsPerSheet = 64
const sheetBytes = (idsPerSheet * secretLength * 3) / 4
const cipherBlockBytes = 16
const blocksPerSheet = sheetBytes / cipherBlockBytes
/** Sheets that are kept: those of the jobs that are being accepted, started and settled. */
const keptSheets = 16

/** Node's buffers have this method for what `toString('latin1')` does after looking at its arguments; it is untyped. */
interface Sliceable {
  latin1Slice(start: number, end: number): string
}
type Sheet = Buffer & Sliceable

export class JobIds {
  readonly #key: Uint8Array
  readonly #sheets = new Map<number, Sheet>()
  #lastNumber = -1
  #lastSheet: Sheet | undefined

  /** @param key `idKeyBytes` random bytes */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /**
   * @param seq the job's acceptance number
   * @param cell its cell in the table, below 2^24
   */
  of(seq: number, cell: number): string {
    const sheet = this.#sheet(Math.floor(seq / idsPerSheet))
    const start = (seq % idsPerSheet) * idLength
    const end = start + idLength
    for (let at = end - 1, left = cell; at >= start + secretLength; at--, left >>= 6) {
      sheet[at] = codes[left & 63] ?? 0
    }
    return sheet.latin1Slice(start, end)
  }

  #sheet(number: number): Sheet {
    if (number === this.#lastNumber && this.#lastSheet !== undefined) return this.#lastSheet
    let sheet = this.#sheets.get(number)
    if (sheet === undefined) {
      sheet = this.#write(number)
      if (this.#sheets.size === keptSheets) {
        for (const oldest of this.#sheets.keys()) {
          this.#sheets.delete(oldest)
          break
        }
      }
      this.#sheets.set(number, sheet)
    }
    this.#lastNumber = number
    this.#lastSheet = sheet
    return sheet
  }

  /** A sheet's secrets in place, with room for the cells. */
  #write(number: number): Sheet {
    const counter = Buffer.alloc(cipherBlockBytes)
    counter.writeBigUInt64BE(BigInt(number) * BigInt(blocksPerSheet), cipherBlockBytes - 8)
    const secrets = createCipheriv('aes-128-ctr', this.#key, counter)
      .update(Buffer.alloc(sheetBytes))
      .toString('base64url')
    const sheet = Buffer.alloc(idsPerSheet * idLength) as Sheet
    for (let n = 0; n < idsPerSheet; n++) {
      sheet.write(secrets.slice(n * secretLength, (n + 1) * secretLength), n * idLength, 'latin1')
    }
    return sheet
  }
}

/** The cell that an id names; undefined for a text that is no id of this form. */
export function cellOf(id: string): number | undefined {
  if (id.length !== idLength) return undefined
  let cell = 0
  for (let at = secretLength; at < idLength; at++) {
    const digit = digits.get(id.charAt(at))
    if (digit === undefined) return undefined
    cell = cell * 64 + digit
  }
  return cell
}
