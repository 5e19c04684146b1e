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

/** Closes the rooms; done within `timeoutMs` + 1 s. */
export function closeRooms(rooms: Rooms, timeoutMs: number, drains: boolean): Promise<CloseReport> {
  const before = { ...rooms.journal.counts }
  let lost: readonly JobSnapshot[] = []
  rooms.addOns.stop()
  rooms.rest.begin()
  return new Promise((resolve) => {
    rooms.log.closing(rooms.journal.unsettled)
    rooms.emitter.emit('closing', { at: rooms.world.clock.wall() })
    const port = closingPort(rooms, {
      abandonJobs: () => void (lost = abandonJobs(rooms)),
      finished: () => resolve(report(rooms, before, lost)),
    })
    rooms.closing = new Closing(port, timeoutMs, drains)
    rooms.closing.moved()
  })
}

type ClosingPort = ConstructorParameters<typeof Closing>[0]

function closingPort(rooms: Rooms, ends: Pick<ClosingPort, 'abandonJobs' | 'finished'>): ClosingPort {
  const { counts } = rooms.journal
  return {
    clock: rooms.world.clock,
    agenda: rooms.agenda,
    dispatcher: rooms.dispatcher,
    busyJobs: () => counts.ready + counts.running + rooms.flows.pending,
    runningJobs: () => counts.running,
    ...ends,
  }
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
