/** Bounds how many names become label values: each is a time series, kept for weeks by whoever scrapes. */

/** The label value that all names beyond the bound share. */
const otherLabel = 'other'

export class Labels {
  readonly #most: number
  readonly #known = new Set<string>()

  /** @param most names with a label value of their own */
  constructor(most: number) {
    this.#most = most
  }

  /** The name's label value: first come, first served, and the same for ever, or counters would go down. */
  of(name: string): string {
    if (this.#known.has(name)) return name
    if (this.#known.size >= this.#most) return otherLabel
    this.#known.add(name)
    return name
  }
}
