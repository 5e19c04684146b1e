import type { Job, Line } from '../job/job.js'

/**
 * Jobs that share an ordering key stand in one line: only the head may run, and it stays the head through every retry
 * and snooze until it leaves. A line costs one map entry; its jobs are linked to each other and know it, so that joining
 * looks the key up once, and leaving only when the line is empty then. Both cost O(1) wherever in the line the job stands.
 */
export class OrderingLines {
  readonly #lines = new Map<string, Line>()
  readonly #halted = new Map<string, string>()

  get size(): number {
    return this.#lines.size
  }

  /** Puts a job at the end of its key's line. @returns whether it may run: it is the head and the key is not halted */
  join(job: Job, key: string): boolean {
    const details = job.more()
    const line = this.#lines.get(key)
    if (line === undefined) {
      this.#begin(job, key)
      return !this.#halted.has(key)
    }
    details.line = line
    details.previousInLine = line.tail
    line.tail.more().nextInLine = job
    line.tail = job
    return false
  }

  /** Whether a job that stands in its key's line may run. A head that is being retried stood there before the key was halted. */
  mayRun(job: Job, key: string): boolean {
    const isHead = job.details?.previousInLine === undefined
    return isHead && (job.state === 'retrying' || !this.#halted.has(key))
  }

  /** Puts a job at the front of its key's line. @param begun the head, if it has begun: then it stays that */
  joinFirst(job: Job, key: string, begun: Job | undefined): void {
    const line = this.#lines.get(key)
    if (line === undefined) return this.#begin(job, key)
    const next = begun === undefined ? line.head : begun.details?.nextInLine
    const details = job.more()
    details.line = line
    details.previousInLine = begun
    details.nextInLine = next
    if (begun === undefined) line.head = job
    else begun.more().nextInLine = job
    if (next === undefined) line.tail = job
    else next.more().previousInLine = job
  }

  #begin(job: Job, key: string): void {
    const line = { head: job, tail: job }
    job.more().line = line
    this.#lines.set(key, line)
  }

  /** Whether the job stands in its key's line. */
  has(job: Job): boolean {
    return job.details?.line !== undefined
  }

  /** Whether it stands in the line of a key that is halted. */
  isHalted(job: Job): boolean {
    const key = job.details?.orderingKey
    return key !== undefined && this.has(job) && this.#halted.has(key)
  }

  /** Every job that stands in a line, with its place there: 0 for the head. */
  positions(): Map<Job, number> {
    const positions = new Map<Job, number>()
    for (const { head } of this.#lines.values()) {
      let at = 0
      for (let job: Job | undefined = head; job !== undefined; job = job.details?.nextInLine)
        positions.set(job, at++)
    }
    return positions
  }

  /** Takes a job out. @returns the new head, if the job was the head and another may run now */
  leave(job: Job, key: string): Job | undefined {
    const { details } = job
    const line = details?.line
    if (details === undefined || line === undefined) return undefined
    const { previousInLine: previous, nextInLine: next } = details
    details.line = details.previousInLine = details.nextInLine = undefined
    if (next?.details !== undefined) next.details.previousInLine = previous
    if (previous !== undefined) {
      previous.more().nextInLine = next
      if (next === undefined) line.tail = previous
      return undefined
    }
    if (next === undefined) {
      this.#lines.delete(key)
      return undefined
    }
    line.head = next
    return this.#halted.has(key) ? undefined : next
  }

  /** Stops the line: nobody of the key runs until `release`. */
  halt(key: string, id: string): void {
    this.#halted.set(key, id)
  }

  /** Lets the line go on. @returns its head, if any waits; undefined also when the key was not halted */
  release(key: string): Job | undefined {
    if (!this.#halted.delete(key)) return undefined
    return this.#lines.get(key)?.head
  }

  /** Halted keys with the id of the job that halted each. */
  get halted(): ReadonlyMap<string, string> {
    return this.#halted
  }
}
