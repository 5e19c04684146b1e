/** What a task is called, by whoever names it. */
import { OptionError } from '../errors.js'
import { show } from '../options.js'

/** The task under whose name deferred closures run. */
export const inlineTaskName = '(inline)'

/** The name of a task, or the name that was given in its place; undefined for anything else. */
function nameIn(task: unknown): string | undefined {
  // A function has a name too, which could be that of a task.
  const name: unknown = typeof task === 'object' ? (task as { name?: unknown } | null)?.name : task
  return typeof name === 'string' ? name : undefined
}

/** @throws OptionError unless a task or the name of one was given */
export function nameOf(caller: string, task: unknown): string {
  const name = nameIn(task)
  if (name !== undefined) return name
  throw new OptionError(`${caller} got ${show(task)}. Give a task or its name.`)
}

/** The name of what a defer was given, before anybody has looked at it: at most 128 characters. Never throws. */
export function taskNameOf(task: unknown): string {
  if (typeof task === 'function') return inlineTaskName
  try {
    return nameIn(task)?.slice(0, 128) ?? typeof task
  } catch {
    return typeof task // a getter throws: so it does at whoever needs the name
  }
}
