/** Attempts that are to fail instead of running their handler. */
import type { Handler } from '../task/define-task.js'

export class PlannedFailures {
  readonly #errors = new Map<string, unknown[]>()

  /** The next `times` attempts of that task throw `error`. */
  add(task: string, error: unknown, times: number): void {
    const errors = this.#errors.get(task) ?? []
    this.#errors.set(task, errors)
    for (let count = 0; count < times; count++) errors.push(error)
  }

  /** The handler, or what fails in its place. */
  instead(task: string, run: Handler<unknown, unknown>): Handler<unknown, unknown> {
    const errors = this.#errors.get(task)
    if (errors === undefined || errors.length === 0) return run
    return () => {
      throw errors.shift()
    }
  }
}
