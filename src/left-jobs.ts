/** Jobs that are left when a scheduler closes: given up here, taken back by the next one. */
import { remainsOf } from './defer/remains.js'
import { restoreJob, type RestoredJob } from './defer/restore.js'
import { OptionError } from './errors.js'
import { readPlace } from './flows/read-place.js'
import { checkOrder } from './flows/rebuild.js'
import type { Job } from './job/job.js'
import { isSettled } from './job/lifecycle.js'
import type { SerializedError } from './job/serialized-error.js'
import type { JobSnapshot } from './job/snapshot.js'
import { show } from './options.js'
import type { Rooms } from './rooms.js'
import { inlineTaskName } from './task/task-name.js'

/** Everything unsettled is lost: listed in the state it has, then settled as cancelled. */
export function abandonJobs(rooms: Rooms): JobSnapshot[] {
  const error: SerializedError = {
    name: 'JobError',
    message: 'The scheduler closed before the job had settled.',
    code: 'ERR_SIDEWORK_CLOSED',
  }
  const left = [...rooms.table.values()].filter((job) => !isSettled(job.state)).sort((a, b) => a.seq - b.seq)
  const { lines } = rooms.queue
  const lastLines = { positions: lines.positions(), halted: lines.halted }
  const lost = left.map((job) => {
    const remains = remainsOf(job, lastLines, rooms.world.clock)
    return Object.freeze({ ...rooms.snapshot(job, 'portable'), remains })
  })
  const now = rooms.world.clock.now()
  rooms.flows.close()
  for (const job of left) {
    if (isSettled(job.state)) continue
    // A thread may have taken a job that was sent ahead and not said so yet: it stands in no queue.
    if (job.state === 'ready' && job.token !== 0) rooms.journal.start(job, now)
    if (job.state === 'running') rooms.settler.endedEarly(job, { kind: 'cancelled', error }, now)
    else rooms.settler.cancelWaiting(job, error, now)
  }
  rooms.log.lost(lost)
  return lost
}

/**
 * Takes back lost jobs, and the flows of those that were steps; closures and held jobs are left out, with a warning each.
 * All or nothing.
 * @throws OptionError, UnknownTaskError, PayloadError, QueueFullError
 */
export function takeBack(rooms: Rooms, lost: unknown): Job[] {
  if (!Array.isArray(lost))
    throw new OptionError(`restore got ${show(lost)}. Give the \`lost\` list of a CloseReport.`)
  const snapshots: readonly unknown[] = lost
  const closures = snapshots.filter(isInline)
  const held = snapshots.filter(isHeld)
  const { size: haltedBefore } = rooms.queue.lines.halted
  const accepted = readmit(
    rooms,
    snapshots.filter((snapshot) => !isInline(snapshot) && !isHeld(snapshot)),
  )
  rooms.log.haltedAgain(rooms.queue.lines.halted.size - haltedBefore)
  rooms.log.leftOut(closures, 'deferred closures cannot be restored: they were left out')
  rooms.log.leftOut(held, 'held jobs are not restored, as no response released them: they were left out')
  return accepted
}

/** A deferred closure, among lost jobs. */
function isInline(snapshot: unknown): snapshot is JobSnapshot {
  return (snapshot as { task?: unknown } | null)?.task === inlineTaskName
}

/** A job that waited for its response, among lost jobs. */
function isHeld(snapshot: unknown): snapshot is JobSnapshot {
  return (snapshot as { state?: unknown } | null)?.state === 'held'
}

function readmit(rooms: Rooms, snapshots: readonly unknown[]): Job[] {
  const { clock } = rooms.world
  const moment = { now: clock.now(), wall: clock.wall() }
  const read = snapshots.map((snapshot) => {
    const facts = restoreJob(snapshot, (name) => rooms.book.find(name), rooms.payloadLimits, moment)
    return { facts, place: readPlace((snapshot as Partial<JobSnapshot>).flow) }
  })
  const places = read.flatMap(({ place }) => place ?? [])
  checkOrder(places)
  rooms.flows.refuseKnown(places)
  const restored = read.map(({ facts }) => facts)
  const jobs = rooms.acceptance.readmit(restored, moment.now, (made) => {
    haltAgain(rooms, restored)
    const steps = made.flatMap((job, index) => {
      const place = read[index]?.place
      return place === undefined ? [] : [{ job, place }]
    })
    rooms.flows.rebuild(steps)
  })
  rooms.flows.resume(jobs)
  return jobs
}

/** Keys that were halted are so again, before a job joins their lines. */
function haltAgain(rooms: Rooms, restored: readonly RestoredJob[]): void {
  const { halted } = rooms.queue.lines
  for (const { orderingKey, haltedBy } of restored) {
    if (orderingKey !== undefined && haltedBy !== undefined && !halted.has(orderingKey))
      rooms.haltKey(orderingKey, haltedBy)
  }
}
