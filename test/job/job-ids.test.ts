import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { cellOf, idKeyBytes, JobIds } from '../../src/job/job-ids.js'

const key = Uint8Array.from({ length: idKeyBytes }, (_, n) => n)
const secretOf = (id: string): string => id.slice(0, 22)

describe('job ids', () => {
  test('are 26 URL-safe characters that end with the cell', () => {
    const ids = new JobIds(key)
    for (const cell of [0, 1, 63, 64, 4095, 4096, 2 ** 24 - 1]) {
      expect(ids.of(7, cell)).toMatch(/^[\w-]{26}$/)
      expect(cellOf(ids.of(7, cell))).toBe(cell)
    }
    expect(cellOf('no id of this form')).toBeUndefined()
    expect(cellOf(`${'A'.repeat(22)}A/AA`)).toBeUndefined()
  })

  test('are the same for the same key in whatever order they are made, as scheduler and threads make them', () => {
    const seqs = Array.from({ length: 5_000 }, (_, n) => n + 1)
    const inOrder = new JobIds(key)
    const expected = seqs.map((seq) => inOrder.of(seq, seq % 100))
    const other = new JobIds(Uint8Array.from(key))
    const scattered = seqs.map((_, n) => seqs[(n * 1009) % seqs.length] ?? 0)
    for (const seq of scattered) expect(other.of(seq, seq % 100)).toBe(expected[seq - 1])
  })

  test('never repeat, not even far out', () => {
    const ids = new JobIds(key)
    const starts = [1, 2 ** 31 - 100, 2 ** 32 - 100, 2 ** 40]
    const secrets = new Set(
      starts.flatMap((start) => Array.from({ length: 5_000 }, (_, n) => secretOf(ids.of(start + n, 0)))),
    )
    expect(secrets.size).toBe(starts.length * 5_000)
  })

  test('have nothing in common under another key', () => {
    const mine = new JobIds(key)
    const others = new JobIds(randomBytes(idKeyBytes))
    const secrets = new Set(Array.from({ length: 1_000 }, (_, seq) => secretOf(mine.of(seq, 0))))
    for (let seq = 0; seq < 1_000; seq++) expect(secrets.has(secretOf(others.of(seq, 0)))).toBe(false)
  })

  test('use every character about equally often at every place', () => {
    const ids = new JobIds(randomBytes(idKeyBytes))
    const counts = Array.from({ length: 22 }, () => new Map<string, number>())
    const many = 64_000
    for (let seq = 0; seq < many; seq++) {
      for (const [place, character] of Array.from(secretOf(ids.of(seq, 0))).entries())
        counts[place]?.set(character, (counts[place].get(character) ?? 0) + 1)
    }
    // 1,000 of each are expected; the deviation is 31, and 1,408 counts stay within seven of those.
    for (const count of counts) {
      expect(count.size).toBe(64)
      for (const often of count.values()) expect(Math.abs(often - many / 64)).toBeLessThan(7 * 31.4)
    }
  })
})
