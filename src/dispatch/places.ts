/** The executions of one thread, found by token: in order on a cpu thread, by place on a shared one. */
import type { Job } from '../job/job.js'
import type { TaskRecord } from '../job/task-record.js'
import { Execution } from './execution.js'

export interface Places {
  /** Executions that hold a place or were sent ahead for one. */
  readonly outstanding: number
  add(job: Job): Execution
  find(token: number): Execution | undefined
  /** The task of an execution, also of one that has ended, as long as it is known. */
  taskOf(token: number): TaskRecord | undefined
  /** Gives up the execution: on a cpu thread it must be the oldest. */
  end(execution: Execution): void
  values(): Execution[]
}

function occupy(cells: Execution[], cell: number, token: number, job: Job): Execution {
  const execution = (cells[cell] ??= new Execution())
  execution.job = job
  execution.task = job.task
  execution.token = token
  execution.phase = 'running'
  execution.deadlineAt = Infinity
  return execution
}

/** Token of the first job of a cpu thread. */
export const firstToken = 1

/** Most jobs that are with a cpu thread at once: two batches. */
export const windowSize = 1024

/** A cpu thread's executions: tokens count up, the oldest one runs, the others were sent ahead. */
export class Window implements Places {
  readonly #cells: Execution[] = []
  /** Token of the oldest. */
  oldest = firstToken
  /** Token of the next to be sent. */
  next = firstToken

  get outstanding(): number {
    return this.next - this.oldest
  }

  /** The execution that has the place. */
  get current(): Execution | undefined {
    return this.oldest === this.next ? undefined : this.#cells[this.oldest % windowSize]
  }

  /** The execution that was sent last. */
  get newest(): Execution | undefined {
    return this.oldest === this.next ? undefined : this.#cells[(this.next - 1) % windowSize]
  }

  /** The jobs that were sent ahead, the last one first. */
  *ahead(): IterableIterator<Job> {
    for (let token = this.next - 1; token > this.oldest; token--) {
      const job = this.#cells[token % windowSize]?.job
      if (job !== undefined) yield job
    }
  }

  add(job: Job): Execution {
    const token = this.next++
    return occupy(this.#cells, token % windowSize, token, job)
  }

  find(token: number): Execution | undefined {
    return token >= this.oldest && token < this.next ? this.#cells[token % windowSize] : undefined
  }

  taskOf(token: number): TaskRecord | undefined {
    const execution = this.#cells[token % windowSize]
    return execution?.token === token ? execution.task : undefined
  }

  end(execution: Execution): void {
    execution.job = undefined
    this.oldest++
  }

  /** Takes back everything from `token` on; those tokens are free again. In the order sent. */
  takeBackFrom(token: number): Job[] {
    const jobs: Job[] = []
    for (let at = token; at < this.next; at++) {
      const execution = this.#cells[at % windowSize]
      if (execution?.job !== undefined) jobs.push(execution.job)
      if (execution !== undefined) execution.job = undefined
    }
    this.next = token
    return jobs
  }

  values(): Execution[] {
    const all: Execution[] = []
    for (let token = this.oldest; token < this.next; token++) {
      const execution = this.#cells[token % windowSize]
      if (execution !== undefined) all.push(execution)
    }
    return all
  }
}

/** A shared thread's executions: each has a numbered slot; token = turn × slots + slot. */
export class Slots implements Places {
  readonly #cells: Execution[] = []
  readonly #free: number[]
  readonly #size: number
  #turn = 0

  constructor(size: number) {
    this.#size = size
    this.#free = Array.from({ length: size }, (_, index) => size - 1 - index)
  }

  get outstanding(): number {
    return this.#size - this.#free.length
  }

  add(job: Job): Execution {
    const slot = this.#free.pop()
    if (slot === undefined) throw new RangeError('no free slot')
    return occupy(this.#cells, slot, ++this.#turn * this.#size + slot, job)
  }

  find(token: number): Execution | undefined {
    const execution = this.#cells[token % this.#size]
    return execution?.job !== undefined && execution.token === token ? execution : undefined
  }

  taskOf(token: number): TaskRecord | undefined {
    const execution = this.#cells[token % this.#size]
    return execution?.token === token ? execution.task : undefined
  }

  end(execution: Execution): void {
    execution.job = undefined
    this.#free.push(execution.token % this.#size)
  }

  values(): Execution[] {
    return this.#cells.filter((execution) => execution.job !== undefined)
  }
}
