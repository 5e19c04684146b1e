/**
 * Who may take a job that was sent to a thread before its place was free: the thread, or the scheduler that wants it
 * back. Both sides settle it on one shared word, so the scheduler never has to wait for an answer, not even from a
 * thread that hangs.
 *
 *      word = generation (11 bits) | next token to be taken (20 bits)
 *
 * The thread takes token t of generation g by swapping g|t for g|t+1. The scheduler recalls by swapping in the next
 * generation: the old word tells which tokens had been taken, and no other of that generation ever will be.
 * Generation and token wrap around; at most a few hundred tokens are outstanding, so neither is ambiguous.
 */
const tokenBits = 20
const tokenMask = 2 ** tokenBits - 1
const generationMask = 2 ** 11 - 1

/** Int32 cells that a thread shares with the scheduler. */
export const sharedCells = 2
const wordCell = 0
const busyCell = 1

function pack(generation: number, token: number): number {
  return ((generation & generationMask) << tokenBits) | (token & tokenMask)
}

/** The scheduler's side. */
export class Claims {
  readonly #shared: Int32Array
  generation = 0

  /** @param firstToken the first token that will be sent */
  constructor(shared: Int32Array, firstToken: number) {
    this.#shared = shared
    Atomics.store(shared, wordCell, pack(0, firstToken))
  }

  /** How many tokens, from `oldest` on, the thread has taken. */
  takenSince(oldest: number): number {
    return this.#since(Atomics.load(this.#shared, wordCell), oldest)
  }

  /**
   * Takes back what the thread has not taken; the tokens after those it has are free to be sent again.
   * @returns how many tokens, from `oldest` on, had been taken
   */
  recall(oldest: number): number {
    this.generation++
    for (;;) {
      const word = Atomics.load(this.#shared, wordCell)
      const taken = this.#since(word, oldest)
      const swapped = pack(this.generation, oldest + taken)
      if (Atomics.compareExchange(this.#shared, wordCell, word, swapped) === word) return taken
    }
  }

  /** Handler time since the last call, in ms, as the thread measured it. */
  busyMs(): number {
    return Atomics.exchange(this.#shared, busyCell, 0) / 1000
  }

  #since(word: number, oldest: number): number {
    return (word - oldest) & tokenMask
  }
}

/** The thread's side: takes a job; false means it was recalled. */
export function take(shared: Int32Array, generation: number, token: number): boolean {
  const expected = pack(generation, token)
  return Atomics.compareExchange(shared, wordCell, expected, pack(generation, token + 1)) === expected
}

/** The thread's side: adds handler time. */
export function addBusy(shared: Int32Array, ms: number): void {
  Atomics.add(shared, busyCell, Math.min(2 ** 30, Math.round(ms * 1000)))
}
