import { fromCallerOf, OptionError } from '../errors.js'
import { show } from '../options.js'
import type { TaskContext } from './context.js'
import type { JsonHandler } from './json-check.js'
import { registerTask } from './registry.js'
import { readTaskPolicy } from './task-policy.js'
import type { TaskOptions, TaskOptionsWithInput } from './task-options.js'

/** The user's function. Return = acknowledged; throw = failed attempt, retried by policy. */
export type Handler<P, R> = (payload: P, context: TaskContext) => R

/** A named kind of work. `I` is the payload that `defer` takes, `R` what the handler resolves with. */
export interface Task<in I = never, out R = unknown> {
  readonly name: string
  /** What the task says about how its jobs run. */
  readonly options: Readonly<TaskOptions<never>>
  /** Types only; never there at run time. */
  readonly types?: { input(payload: I): void; readonly result: R }
}

/** A task with what runs it; the package's own view of a `Task`. */
export interface TaskDefinition extends Task {
  readonly run: Handler<unknown, unknown>
  readonly options: TaskOptionsWithInput<unknown, unknown>
}

const taskName = /^[A-Za-z0-9._:/-]{1,128}$/

/**
 * Defines a task. Call it at the top level of a task module: the server imports the module for the types and options,
 * every thread imports it for the code.
 *
 * @param name 1–128 of `A-Za-z0-9._:/-`, unique
 * @param run the handler; payload and result must be JSON (`Uint8Array` leaves allowed): a compile error otherwise
 * @param options how its jobs run; see TaskOptions for every default
 * @throws OptionError for a bad name, handler or option, or, in a thread, for a second task of the same name
 * @example
 * export const resize = defineTask('resize', async ({ file }: { file: string }, { signal }) => { … }, { attempts: 3 })
 */
// `never` where nothing says what the payload is: an option that does not fit is then told at the option, since any
// handler fits meanwhile.
export function defineTask<P = never, R = unknown, I = [P] extends [never] ? void : P>(
  name: string,
  run: Handler<P, R> & JsonHandler<P, Awaited<R>>,
  options: TaskOptionsWithInput<P, I> = {},
): Task<I, Awaited<R>> {
  try {
    return define(name, run, options) as Task<I, Awaited<R>>
  } catch (error) {
    throw fromCallerOf(defineTask, error)
  }
}

function define(name: unknown, run: unknown, options: object): Task {
  const nameFirst = typeof name === 'string'
  if (!nameFirst || !taskName.test(name)) {
    throw new OptionError(
      `The task name is ${show(name)}. Give 1 to 128 characters of A-Z a-z 0-9 . _ : / -${nameFirst ? '' : `. ${order}`}`,
      'ERR_SIDEWORK_TASK_NAME',
    )
  }
  if (typeof run !== 'function') {
    throw new OptionError(
      `The handler of task '${name}' is ${show(run)}. Give a function (payload, context) => result. ${order}`,
    )
  }
  readTaskPolicy(name, options, {}) // a mistake is told here, not when the first job comes
  const task = Object.freeze({
    name,
    run: run as TaskDefinition['run'], // payloads reach it only through this task's own `defer`
    options: Object.freeze({ ...options }),
  })
  registerTask(task)
  return task
}

const order = 'The order is defineTask(name, handler, options).'
