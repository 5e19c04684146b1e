/**
 * Finds jobs by id without a map entry per job: an id ends with the job's cell in the table. Ids are made when somebody
 * looks at them: 22 random characters (132 bits), then four for the cell. Ids of the user's own choice have a map.
 */
import type { Job } from './job.js'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const digits = new Map(Array.from(alphabet, (character, value) => [character, value]))
const randomLength = 22
const idLength = randomLength + 4

/** Most jobs, unsettled and kept, that one table can number. */
export const maxTableSize = 4096 * 4096

export class JobTable {
  readonly #cells: (Job | undefined)[] = []
  readonly #free: number[] = []
  readonly #ownIds = new Map<string, Job>()
  readonly #randomId: (cell: number) => string

  constructor(randomId: (cell: number) => string) {
    this.#randomId = randomId
  }

  /** Jobs in the table: unsettled ones and kept settled ones. */
  get size(): number {
    return this.#cells.length - this.#free.length
  }

  add(job: Job): void {
    const slot = this.#free.pop() ?? this.#cells.length
    this.#cells[slot] = job
    job.slot = slot
  }

  /** Gives a job an id of the user's choice. */
  addOwnId(job: Job, id: string): void {
    job.idText = id
    this.#ownIds.set(id, job)
  }

  remove(job: Job): void {
    const id = this.idOf(job) // it keeps its id, though the cell gets another job
    if (this.#ownIds.size > 0 && this.#ownIds.get(id) === job) this.#ownIds.delete(id)
    this.#cells[job.slot] = undefined
    this.#free.push(job.slot)
    if (this.#free.length === this.#cells.length) this.#cells.length = this.#free.length = 0
  }

  idOf(job: Job): string {
    return (job.idText ??= this.#randomId(job.slot))
  }

  find(id: string): Job | undefined {
    const own = this.#ownIds.size > 0 ? this.#ownIds.get(id) : undefined
    if (own !== undefined || id.length !== idLength) return own
    let slot = 0
    for (let at = randomLength; at < idLength; at++) {
      const digit = digits.get(id.charAt(at))
      if (digit === undefined) return undefined
      slot = slot * 64 + digit
    }
    const job = this.#cells[slot]
    return job?.idText === id ? job : undefined
  }

  *values(): IterableIterator<Job> {
    for (const job of this.#cells) if (job !== undefined) yield job
  }
}
