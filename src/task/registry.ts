/**
 * The tasks this JavaScript realm has defined. Kept under a global symbol, so that a bundle with several entries and
 * a package loaded by both `require` and `import` share it.
 */
import { OptionError } from '../errors.js'
import type { TaskDefinition } from './define-task.js'

const registryKey = Symbol.for('sidework.tasks')
const threadKey = Symbol.for('sidework.thread')
// Both symbols belong to this package, so nobody else gives them another type.
const realm = globalThis as { [registryKey]?: Map<string, TaskDefinition> | undefined; [threadKey]?: boolean }

/** Marks this realm as one of a scheduler's threads. */
export function markThread(): void {
  realm[threadKey] = true
}

/** Whether this realm is one of a scheduler's threads. */
export function isSchedulerThread(): boolean {
  return realm[threadKey] === true
}

/** All tasks of this realm by name. */
export function registeredTasks(): Map<string, TaskDefinition> {
  return (realm[registryKey] ??= new Map<string, TaskDefinition>())
}

/**
 * On the main thread a module that is evaluated again (watch mode, a test's module reset) defines its tasks anew. In a
 * thread every module is evaluated once, so a second task of one name is a mistake.
 */
export function registerTask(task: TaskDefinition): void {
  const tasks = registeredTasks()
  if (isSchedulerThread() && tasks.has(task.name)) {
    throw new OptionError(
      `Two tasks are named '${task.name}'. Give each its own name.`,
      'ERR_SIDEWORK_TASK_DUPLICATE',
    )
  }
  tasks.set(task.name, task)
}
