/** Chance that repeats itself: the same seed, the same numbers and bytes. */

/** Numbers in [0, 1). mulberry32: small, seeded, good enough for jitter and for choosing schedules. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The secret behind the ids of a test's jobs (job/job-ids.ts): as many bytes of chance. */
export function seededBytes(random: () => number, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, () => Math.floor(random() * 256))
}
