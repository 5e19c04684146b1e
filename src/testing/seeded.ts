/** Chance that repeats itself: the same seed, the same numbers and ids. */

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

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Ids as `World.randomId` makes them: 22 characters of chance, then four that spell `cell` in base 64. */
export function seededIds(random: () => number): (cell: number) => string {
  return (cell) => {
    let id = ''
    for (let count = 0; count < 22; count++) id += alphabet.charAt(Math.floor(random() * 64))
    for (const shift of [18, 12, 6, 0]) id += alphabet.charAt((cell >> shift) & 63)
    return id
  }
}
