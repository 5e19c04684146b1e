/** What `close()` sets going, and what it reports at the end. The steps between are those of `closing.ts`. */
import { Closing } from './closing.js'
import type { JobState } from './job/lifecycle.js'
import type { JobSnapshot } from './job/snapshot.js'
import { abandonJobs } from './left-jobs.js'
import type { Rooms } from './rooms.js'

type SettledCounts = Readonly<Record<'completed' | 'failed' | 'cancelled' | 'expired', number>>

/** What `close()` resolves with. */
export interface CloseReport {
  /** Jobs that reached each end since `close()` was called, lost ones excepted. */
  readonly settled: SettledCounts
  /** Jobs that were not settled, in the state they had: plain JSON that `restore` takes back. */
  readonly lost: readonly JobSnapshot[]
}

/** Closes the rooms. @param finished told within `timeoutMs` + 1 s, perhaps during this call */
export function closeRooms(
  rooms: Rooms,
  timeoutMs: number,
  drains: boolean,
  finished: (report: CloseReport) => void,
): void {
  const before = { ...rooms.journal.counts }
  let lost: readonly JobSnapshot[] = []
  rooms.addOns.stop()
  rooms.rest.begin()
  const port = closingPort(rooms, {
    abandonJobs: () => void (lost = abandonJobs(rooms)),
    finished: () => finished(report(rooms, before, lost)),
  })
  // Known before anybody hears of it, so that nothing more is accepted from whoever does.
  rooms.closing = new Closing(port, timeoutMs)
  rooms.log.closing(rooms.journal.unsettled)
  rooms.emitter.emit('closing', { at: rooms.world.clock.wall() })
  rooms.closing.begin(drains)
}

type ClosingPort = ConstructorParameters<typeof Closing>[0]

function closingPort(rooms: Rooms, ends: Pick<ClosingPort, 'abandonJobs' | 'finished'>): ClosingPort {
  const { counts } = rooms.journal
  return {
    clock: rooms.world.clock,
    agenda: rooms.agenda,
    dispatcher: rooms.dispatcher,
    busyJobs: () => counts.ready - pausedJobs(rooms) + counts.running + rooms.flows.pending,
    runningJobs: () => counts.running,
    ...ends,
  }
}

/** Ready jobs of tasks that are paused: they will not start any more. */
function pausedJobs({ book, limits }: Rooms): number {
  let paused = 0
  for (const { name, counts } of book.records()) if (limits.isTaskPaused(name)) paused += counts.ready
  return paused
}

function report(
  rooms: Rooms,
  before: Readonly<Record<JobState, number>>,
  lost: readonly JobSnapshot[],
): CloseReport {
  const { counts } = rooms.journal
  const settledSince = (state: keyof SettledCounts): number => counts[state] - before[state]
  const settled = Object.freeze({
    completed: settledSince('completed'),
    failed: settledSince('failed'),
    cancelled: settledSince('cancelled') - lost.length,
    expired: settledSince('expired'),
  })
  rooms.log.closed(settled, rooms.dispatcher.threadCount)
  rooms.emitter.emit('closed', { at: rooms.world.clock.wall(), lost: lost.length })
  rooms.agenda.close()
  rooms.world.close()
  return Object.freeze({ settled, lost: Object.freeze(lost) })
}
