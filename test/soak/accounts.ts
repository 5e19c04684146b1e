/** Keeps account of every job from outside of the app: what was answered, accepted and settled must agree. */

export class Accounts {
  /** Generations accepted less generations settled, per job; a job in order is at 0. */
  readonly #open = new Map<string, number>()
  readonly #taskOf = new Map<string, string>()
  readonly #answered: string[] = []
  readonly #counts = new Map<string, number>()
  /** What should never be seen, in words. */
  readonly faults: string[] = []

  /** A line of the app: `accepted|ID|TASK`, `settled|ID|STATE`, `WHAT||DETAIL`. */
  read(line: string): void {
    const [what = '', id = '', detail = ''] = line.split('|')
    this.#count(detail === '' || what === 'accepted' ? what : `${what} ${detail}`)
    if (id === '') return
    const open = this.#open.get(id)
    if (what === 'accepted') {
      if (open === 1) this.faults.push(`${id} was accepted twice`)
      this.#open.set(id, 1)
      this.#taskOf.set(id, detail)
    } else {
      if (open === undefined) this.faults.push(`${id} has ${what} ${detail} and was never accepted`)
      if (open === 0) this.faults.push(`${id} has ${what} ${detail} once more`)
      this.#open.set(id, 0)
    }
  }

  /** An id that a visitor was given with 202. */
  answered(id: string): void {
    this.#answered.push(id)
  }

  /** To be called when nothing is left to settle. */
  close(): void {
    for (const [id, open] of this.#open)
      if (open === 1) this.faults.push(`${id} (${this.#taskOf.get(id)}) has not settled`)
    for (const id of this.#answered)
      if (!this.#open.has(id)) this.faults.push(`${id} was answered with 202 and not accepted`)
  }

  get jobs(): number {
    return this.#open.size
  }

  /** How many jobs there were of the tasks whose name matches. */
  jobsOf(name: RegExp): number {
    return [...this.#taskOf.values()].filter((task) => name.test(task)).length
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }
}
