/** Opens a batch on the side that runs it: attempts with fresh payloads. */
import { UnknownTaskError } from '../errors.js'
import { outcomeOfThrown } from '../job/outcome.js'
import { decodePayload } from '../job/payload.js'
import { serializeError } from '../job/serialized-error.js'
import type { TaskDefinition } from '../task/define-task.js'
import { Attempt, type AttemptHost } from './attempt.js'
import { execute } from './execute.js'
import type { Ending, Introduction, RunExtra, RunMessage } from './protocol.js'

/** The tasks a thread was told of, by number. */
export type KnownTasks = Map<number, Introduction>

/** What a batch says of tasks counts also for later ones, whether its jobs are run or not. */
export function introduce({ introduced }: RunMessage, tasks: KnownTasks): void {
  if (introduced !== undefined) for (const task of introduced) tasks.set(task[0], task)
}

/** A batch whose payloads are parsed; jobs are made one by one, when they are taken. */
export class OpenBatch {
  readonly run: RunMessage
  readonly #task: Introduction | undefined
  /** Parallel to the jobs, where they are not all of one task. */
  readonly #tasks: readonly (Introduction | undefined)[] | undefined
  readonly #payloads: readonly unknown[]
  readonly #extras: ReadonlyMap<number, RunExtra> | undefined

  /** @param tasks those of the batches before; it adds what this one introduces */
  constructor(run: RunMessage, tasks: KnownTasks) {
    this.run = run
    introduce(run, tasks)
    this.#task = tasks.get(run.task)
    this.#tasks = run.tasks?.map((task) => tasks.get(task))
    const payloads = JSON.parse(`[${run.payloads}]`) as unknown[] // written by the scheduler: always an array
    if (run.voids !== undefined) for (const at of run.voids) payloads[at] = undefined
    this.#payloads = payloads
    this.#extras = run.extras && new Map(run.extras.map((extra) => [extra.at, extra]))
  }

  get size(): number {
    return this.run.seqs.length
  }

  tokenAt(index: number): number {
    return this.run.tokens?.[index] ?? this.run.first + index
  }

  cellAt(index: number): number {
    return this.run.cells[index] ?? 0
  }

  /** Priority of the job at `index`; only told on the main lane. */
  priorityAt(index: number): number {
    return this.run.priorities?.[index] ?? 0
  }

  /** The context of the job at `index`. */
  attemptAt(index: number, host: AttemptHost): Attempt {
    const [, name, maxAttempts] = this.#taskAt(index)
    const extra = this.#extras?.get(index)
    return new Attempt(
      host,
      this.tokenAt(index),
      this.run.seqs[index] ?? 0,
      this.cellAt(index),
      extra?.id,
      name,
      extra?.attempt ?? 1,
      extra?.maxAttempts ?? maxAttempts,
      extra?.request,
      extra?.schedule,
      extra?.handed,
    )
  }

  /** Runs the job at `index`. */
  execute(
    index: number,
    attempt: Attempt,
    definitionOf: (task: string) => TaskDefinition | undefined,
  ): Ending | Promise<Ending> {
    const definition = definitionOf(attempt.task)
    if (definition === undefined) return unknownTask(attempt.task)
    const [, , , isSensitive] = this.#taskAt(index)
    let payload: unknown
    try {
      payload = this.#payloadAt(index)
    } catch (thrown) {
      attempt.end()
      return outcomeOfThrown(thrown) // there is no memory for its bytes
    }
    return execute(definition, payload, attempt, isSensitive)
  }

  #taskAt(index: number): Introduction {
    const task = this.#tasks === undefined ? this.#task : this.#tasks[index]
    if (task === undefined) throw new Error('A job is of a task that its thread was not told of. This is a bug in sidework: please report it.') // prettier-ignore
    return task
  }

  #payloadAt(index: number): unknown {
    const bytes = this.#extras?.get(index)?.bytes
    return bytes === undefined ? this.#payloads[index] : decodePayload(bytes)
  }
}

function unknownTask(name: string): Ending {
  const error = new UnknownTaskError(
    `No task module defines '${name}' in this thread. Define it in a module listed in createScheduler({ tasks }), ` +
      `or give the task lane: 'main'.`,
  )
  return { kind: 'threw', error: serializeError(error), permanent: true }
}
