/**
 * Finds jobs by id without a map entry per job: an id ends with the job's cell in the table (job-ids.ts). Ids of the
 * user's own choice have a map.
 */
import type { Job } from './job.js'
import { cellOf, type JobIds } from './job-ids.js'

export class JobTable {
  readonly #cells: (Job | undefined)[] = []
  readonly #free: number[] = []
  readonly #ownIds = new Map<string, Job>()
  /** How many of them look like ids of this package: jobs were restored. */
  #foreignIds = 0
  readonly #ids: JobIds

  constructor(ids: JobIds) {
    this.#ids = ids
  }

  /** Jobs in the table: unsettled ones and kept settled ones. */
  get size(): number {
    return this.#cells.length - this.#free.length
  }

  add(job: Job): void {
    const slot = this.#foreignIds > 0 ? this.#cellFor(job) : (this.#free.pop() ?? this.#cells.length)
    this.#cells[slot] = job
    job.slot = slot
  }

  /**
   * A free cell with which the job's id is nobody's: restored jobs keep ids that another scheduler made, and test schedulers of
   * one seed make the same ids.
   */
  #cellFor({ seq }: Job): number {
    const avoided: number[] = []
    for (;;) {
      const cell = this.#free.pop() ?? this.#cells.push(undefined) - 1
      if (!this.#ownIds.has(this.#ids.of(seq, cell))) {
        this.#free.push(...avoided)
        return cell
      }
      avoided.push(cell)
    }
  }

  /** Gives a job an id of the user's choice. */
  addOwnId(job: Job, id: string): void {
    job.more().ownId = id
    job.idText = id
    this.#ownIds.set(id, job)
    if (cellOf(id) !== undefined) this.#foreignIds++
  }

  remove(job: Job): void {
    const ownId = job.details?.ownId
    if (ownId !== undefined && this.#ownIds.get(ownId) === job) {
      this.#ownIds.delete(ownId)
      if (cellOf(ownId) !== undefined) this.#foreignIds--
    }
    this.#cells[job.slot] = undefined
    this.#free.push(job.slot)
    if (this.#free.length === this.#cells.length) this.#cells.length = this.#free.length = 0
  }

  idOf(job: Job): string {
    return (job.idText ??= this.#ids.of(job.seq, job.slot))
  }

  find(id: string): Job | undefined {
    const own = this.#ownIds.size > 0 ? this.#ownIds.get(id) : undefined
    if (own !== undefined) return own
    const cell = cellOf(id)
    const job = cell === undefined ? undefined : this.#cells[cell]
    return job !== undefined && this.idOf(job) === id ? job : undefined
  }

  /** The job in a cell. */
  at(cell: number): Job | undefined {
    return this.#cells[cell]
  }

  *values(): IterableIterator<Job> {
    for (const job of this.#cells) if (job !== undefined) yield job
  }
}
