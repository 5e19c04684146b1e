/** `scheduler.ready()`: one thread per lane has imported the task modules, and they define what the main thread uses. */
import type { TaskBook } from './defer/task-book.js'
import type { Dispatcher } from './dispatch/dispatcher.js'
import type { LaneRoom } from './dispatch/lane-room.js'
import { SideworkError, ThreadStartError } from './errors.js'
import type { SerializedError } from './job/serialized-error.js'

/** @throws (rejects) ThreadStartError with the import error as cause, or naming a task the modules lack */
export async function whenReady(dispatcher: Dispatcher, book: TaskBook): Promise<void> {
  const { cpu, io } = dispatcher.lanes
  await Promise.all([cpu, io].map((room) => oneOpen(dispatcher, room)))
  const defined = [cpu, io].flatMap(({ threads }) => threads).find((thread) => thread.phase === 'open')?.tasks
  if (defined === undefined) return
  if (defined.size === 0) {
    throw new ThreadStartError('The task modules define no tasks. Call defineTask at their top level.')
  }
  for (const { name, policy } of book.records()) {
    if (policy.lane !== 'main' && !defined.has(name)) {
      throw new ThreadStartError(
        `Task '${name}' is not defined by the task modules. Define it in one of them, or give it lane: 'main'.`,
      )
    }
  }
}

/** After a failed start it waits for the next one, which comes when its pause is over, whoever wants it. */
function oneOpen(dispatcher: Dispatcher, room: LaneRoom): Promise<void> {
  if (room.openThreads > 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    room.starters.push({ opened: resolve, failed: (error) => reject(startError(error)) })
    if (!room.threads.some((thread) => thread.phase === 'starting')) dispatcher.staffing.start(room)
  })
}

function startError(error: unknown): Error {
  if (error instanceof SideworkError) return error
  const { message = String(error), code, cause } = error as Partial<SerializedError>
  // A thread's own ThreadStartError arrives as data: what matters to the caller is what it was about.
  const about = code === 'ERR_SIDEWORK_THREAD_START' ? cause : (error as SerializedError)
  return new ThreadStartError(message, about === undefined ? undefined : errorOf(about))
}

/** An error again, of no class of its own, so that it reads as one: `String(error.cause)`. */
function errorOf({ cause, message, ...others }: SerializedError): Error {
  const error = cause === undefined ? new Error(message) : new Error(message, { cause: errorOf(cause) })
  return Object.assign(error, others)
}
