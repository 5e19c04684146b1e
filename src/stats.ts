import type { Admission } from './defer/admission.js'
import type { TaskBook } from './defer/task-book.js'
import type { Dispatcher } from './dispatch/dispatcher.js'
import type { Journal } from './job/journal.js'
import type { StateCounts } from './job/task-record.js'
import type { Lane } from './job/snapshot.js'

/** One lane at one moment. */
export interface LaneStats {
  /** Jobs waiting for a place. */
  readonly ready: number
  /** Threads whose places exist (1 for the main lane once it is in use). */
  readonly threads: number
  /** Jobs with a place, those sent ahead to a cpu thread included. */
  readonly outstanding: number
}

/** The figures of one moment. Settled states count all jobs since the scheduler was made. */
export interface Stats extends StateCounts {
  /** Jobs accepted, each generation counting once. */
  readonly accepted: number
  /** Handlers that went on after they were given up: of the main lane, or of a thread that does not exit. */
  readonly abandoned: number
  /** By task name, '(inline)' for closures; a task is there from its first use. */
  readonly perTask: Readonly<Record<string, Readonly<StateCounts>>>
  readonly lanes: Readonly<Record<Lane, LaneStats>>
  /** Worker threads that are running or starting. */
  readonly threads: number
  /** Bytes of the payloads of unsettled jobs. */
  readonly queuedBytes: number
  /** How long the longest ready job has waited, ms. */
  readonly oldestWaitMs: number
  /** How late the scheduler's timer last fired, ms: what a blocked event loop costs. 0 until it has. */
  readonly eventLoopDelayMs: number
}

export function takeStats(rooms: {
  journal: Journal
  book: TaskBook
  dispatcher: Dispatcher
  admission: Admission
  now: number
  eventLoopDelayMs: number
}): Stats {
  const { journal, book, dispatcher, admission, now, eventLoopDelayMs } = rooms
  const { lanes } = dispatcher
  return Object.freeze({
    accepted: journal.accepted,
    ...journal.counts,
    abandoned: dispatcher.overdue.abandoned,
    perTask: Object.fromEntries([...book.records()].map(({ name, counts }) => [name, { ...counts }])),
    lanes: { cpu: laneStats(lanes.cpu), io: laneStats(lanes.io), main: laneStats(lanes.main) },
    threads: lanes.cpu.threads.length + lanes.io.threads.length,
    queuedBytes: admission.bytes,
    eventLoopDelayMs,
    oldestWaitMs: oldestWaitMs(dispatcher, now),
  })
}

/** How long the longest ready job has waited, ms; 0 when none waits. */
export function oldestWaitMs({ lanes }: Dispatcher, now: number): number {
  const oldestAt = Math.min(lanes.cpu.ready.oldestAt, lanes.io.ready.oldestAt, lanes.main.ready.oldestAt)
  return oldestAt === Infinity ? 0 : Math.max(0, now - oldestAt)
}

function laneStats(room: Dispatcher['lanes'][Lane]): LaneStats {
  const outstanding = room.threads.reduce((sum, thread) => sum + thread.places.outstanding, 0)
  return { ready: room.ready.size, threads: room.openThreads, outstanding }
}
