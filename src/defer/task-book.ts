/**
 * The tasks one scheduler knows: by object and by name. A task is bound at its first use; a module that was evaluated
 * again (watch mode, a test's module reset) brings a new object of the same name, which takes the old one's place. Nobody
 * can defer the old one from then on; jobs that it has already keep its handler.
 */
import { types } from 'node:util'
import { OptionError, UnknownTaskError } from '../errors.js'
import { TaskRecord } from '../job/task-record.js'
import { knownAre, show } from '../options.js'
import type { TaskDefinition } from '../task/define-task.js'
import { registeredTasks } from '../task/registry.js'
import { inlineTaskName } from '../task/task-name.js'
import { readTaskPolicy } from '../task/task-policy.js'

export class TaskBook {
  readonly #defaults: Record<string, unknown>
  readonly #byDefinition = new WeakMap<object, TaskRecord>()
  readonly #byName = new Map<string, TaskRecord>()
  readonly #definitions = new Map<string, TaskDefinition>()
  /** Of records that were replaced too. */
  readonly #definitionBy = new WeakMap<TaskRecord, TaskDefinition>()
  /** The task that was found last: mostly it is the next one too. */
  #lastDefinition: object | undefined
  #lastRecord: TaskRecord | undefined
  #lastNumber = 0

  constructor(defaults: Record<string, unknown>) {
    this.#defaults = defaults
  }

  /** Every task this scheduler has used. */
  records(): IterableIterator<TaskRecord> {
    return this.#byName.values()
  }

  /**
   * The record under which a job of the task is deferred, for a task or its name.
   * @throws UnknownTaskError, OptionError, also for a task whose name a later one has taken
   */
  find(task: unknown): TaskRecord {
    if (task === this.#lastDefinition && this.#lastRecord !== undefined) return this.#lastRecord
    if (typeof task === 'string') return this.#findByName(task)
    const record = this.#byDefinition.get(task as object) ?? this.#findByDefinition(task)
    this.#lastDefinition = task as object // it has a record
    this.#lastRecord = record
    return record
  }

  /** The record of that name, whichever task of the name was given: for who asks for jobs, and defers none. @throws like `find` */
  named(task: unknown): TaskRecord {
    const name = typeof task === 'object' && task !== null && isDefinition(task) ? task.name : undefined
    return name !== undefined && this.#byName.has(name) ? this.#findByName(name) : this.find(task)
  }

  /** The handler of a job that runs on the main thread: of the task with which it was deferred. */
  definitionOf(record: TaskRecord): TaskDefinition | undefined {
    return this.#definitionBy.get(record) ?? registeredTasks().get(record.name)
  }

  /** The record of deferred closures. */
  get inline(): TaskRecord {
    const known = this.#byName.get(inlineTaskName)
    if (known !== undefined) return known
    const policy = readTaskPolicy(inlineTaskName, { lane: 'main' }, this.#defaults)
    const record = new TaskRecord(inlineTaskName, policy, ++this.#lastNumber)
    this.#byName.set(inlineTaskName, record)
    return record
  }

  #findByName(name: string): TaskRecord {
    const known = this.#byName.get(name)
    const definition = registeredTasks().get(name)
    const isCurrent = definition === undefined || definition === this.#definitions.get(name)
    if (known !== undefined && isCurrent) return known
    if (name === inlineTaskName) return this.inline
    if (definition !== undefined) return this.#bind(definition)
    throw new UnknownTaskError(
      `No task is named ${show(name)}. ${knownAre(this.#names(), name)} Import the module that defines it, or check the name.`,
    )
  }

  /** Whatever a defer can name. */
  #names(): string[] {
    return [...this.#definitions.keys(), ...registeredTasks().keys()]
  }

  #findByDefinition(task: unknown): TaskRecord {
    if (types.isPromise(task)) {
      throw new OptionError('The task is a promise. Pass the function, not its call.')
    }
    if (typeof task !== 'object' || task === null || !isDefinition(task)) {
      throw new OptionError(
        `The task is ${show(task)}. Give a task made by defineTask, its name or, to defer, a function.${task === undefined ? ' Is it exported?' : ''}`,
      )
    }
    return this.#bind(task)
  }

  #bind(definition: TaskDefinition): TaskRecord {
    const { name } = definition
    const known = this.#byName.get(name)
    const bound = this.#definitions.get(name)
    if (
      known !== undefined &&
      bound !== undefined &&
      bound !== definition &&
      registeredTasks().get(name) !== definition
    ) {
      throw new OptionError(
        `Two different tasks are named '${name}' in this scheduler. Give each its own name.`,
        'ERR_SIDEWORK_TASK_DUPLICATE',
      )
    }
    const policy = readTaskPolicy(name, definition.options, this.#defaults)
    const record = new TaskRecord(name, policy, ++this.#lastNumber, known)
    if (bound !== undefined) this.#byDefinition.delete(bound)
    if (this.#lastDefinition === bound) this.#lastDefinition = undefined
    this.#byDefinition.set(definition, record)
    this.#definitionBy.set(record, definition)
    this.#byName.set(name, record)
    this.#definitions.set(name, definition)
    return record
  }
}

function isDefinition(task: object): task is TaskDefinition {
  const { name, run, options } = task as { name?: unknown; run?: unknown; options?: unknown }
  return (
    typeof name === 'string' && typeof run === 'function' && typeof options === 'object' && options !== null
  )
}
