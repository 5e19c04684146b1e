/** What the handlers in threads say, and what becomes of threads: told, logged, and their defers accepted. */
import { Duplicate } from './defer/duplicates.js'
import type { DispatchListener } from './dispatch/dispatch-rooms.js'
import type { LaneThread } from './dispatch/lane-thread.js'
import { ClosedError, SideworkError } from './errors.js'
import { withoutText } from './events/shown.js'
import type { Flow } from './flows/flow.js'
import type { Job } from './job/job.js'
import { decodePayload, toPlain, type EncodedPayload } from './job/payload.js'
import { serializeError, type SerializedError } from './job/serialized-error.js'
import type { Progress } from './job/snapshot.js'
import type { Rooms } from './rooms.js'
import type { FlowPlan, PlannedStep } from './task/flow-plan.js'
import { withCarrier } from './task/trace-channels.js'
import type { DeferFlowMessage, DeferMessage } from './threads/protocol.js'
import { refusalOf } from './threads/refusal.js'

export function threadListener(rooms: Rooms): DispatchListener {
  const { clock } = rooms.world
  return {
    progress: (job, encoded) => {
      const value = toPlain(encoded) as Progress // checked where it was reported (attempt.ts)
      job.more().progress = value
      rooms.announce.progress(job, value)
    },
    log: (job, message) => rooms.log.fromHandler(job, message),
    defer: (job, message, thread) =>
      message.kind === 'defer'
        ? deferChild(rooms, job, message, thread)
        : deferFlow(rooms, job, message, thread),
    pauseLimit: (job, name, delayMs) => {
      if (!rooms.limits.pauseShared(name, delayMs)) rooms.log.unknownLimit(job, name)
    },
    threadStarted: ({ lane, number }) => {
      rooms.threadLines.started({ lane, number })
      rooms.emitter.emit('thread:started', { lane, thread: number, at: clock.wall() })
    },
    threadStopped: () => rooms.rest.look(),
    threadExited: (thread, reason, { exitCode, error: thrown }) => {
      const { lane, number, stoppedFor, isCutShort } = thread
      const error = thrown === undefined ? undefined : shownOf(thread, serializeError(thrown))
      const crash = reason === 'crashed' ? { task: thread.suspect, isIdle: thread.isIdle } : undefined
      rooms.threadLines.exited({ lane, number }, { reason, exitCode, stoppedFor, error, crash, isCutShort })
      const told = error === undefined ? undefined : { error }
      rooms.emitter.emit('thread:exited', {
        lane,
        thread: number,
        reason,
        exitCode,
        ...told,
        at: clock.wall(),
      })
      rooms.rest.look()
    },
    printed: (thread, job, message) => rooms.threadLines.printed(thread, job, message),
    leaked: (thread, message) => rooms.threadLines.leaked(thread, message),
    waits: (message) => rooms.threadLines.waits(message),
    memoryExceeded: (rssBytes, maxRssBytes, thread) =>
      rooms.threadLines.memoryExceeded(rssBytes, maxRssBytes, thread?.number),
    startFailed: (lane, error) => rooms.threadLines.startFailed(lane, error),
  }
}

/** What log and event show of what nobody caught in a thread. */
function shownOf(thread: LaneThread, error: SerializedError): SerializedError {
  return thread.mayTellSecrets ? withoutText(error) : error
}

/** A handler defers a child, of the same request: accepted also while closing, until the deadline. */
function deferChild(rooms: Rooms, parent: Job, message: DeferMessage, thread: LaneThread): void {
  if (message.refused !== undefined) {
    const { code } = message.refused
    rooms.refused(message.task, code === undefined ? undefined : new SideworkError(code, ''))
    return
  }
  try {
    if (rooms.closing?.acceptsChildren === false) throw new ClosedError()
    const record = rooms.book.find(message.task)
    // Its own keys and limits apply as to any other job, so the value is looked at once more.
    const { payload, options, carrier, isValidated } = message
    const request = withCarrier(parent.details?.request, carrier)
    const draft = rooms.drafts.draft(record, decodePayload(payload), options, request, isValidated)
    const context = parent.mainWork?.context
    if (draft.mainWork !== undefined && context !== undefined) draft.mainWork.context = context
    const accepted = rooms.acceptance.accept(draft)
    rooms.rest.jobCame()
    const deduplicated = accepted instanceof Duplicate
    const id = rooms.table.idOf(deduplicated ? accepted.of : accepted)
    thread.port.post({ kind: 'deferred', call: message.call, id, deduplicated })
  } catch (error) {
    rooms.refused(message.task, error)
    thread.port.post({ kind: 'deferred', call: message.call, error: refusalOf(error) })
  }
}

/** A handler defers a flow, of the same request. */
function deferFlow(
  rooms: Rooms,
  parent: Job,
  { call, plan, carrier }: DeferFlowMessage,
  { port }: LaneThread,
): void {
  try {
    if (rooms.closing?.acceptsChildren === false) throw new ClosedError()
    const opened: FlowPlan = {
      ...plan,
      steps: plan.steps.map(withPayload),
      callback: plan.callback === undefined ? undefined : withPayload(plan.callback),
    }
    const flow = rooms.flows.accept(opened, withCarrier(parent.details?.request, carrier), false)
    rooms.rest.jobCame()
    const { id } = flow
    if (plan.kind === 'batch') port.post({ kind: 'deferred', call, id })
    else port.post({ kind: 'deferred', call, id, jobs: idsOf(rooms, flow) })
  } catch (error) {
    rooms.refused(`(${plan.kind})`, error)
    port.post({ kind: 'deferred', call, error: refusalOf(error) })
  }
}

/** Ids of the jobs of a flow by ref. */
function idsOf(rooms: Rooms, { steps }: Flow): Record<string, string> {
  const ids = steps.flatMap(({ ref, job }) =>
    job === undefined ? [] : [[ref, rooms.table.idOf(job)] as const],
  )
  return Object.fromEntries(ids)
}

/** The payload as a handler's thread encoded it, opened: it is looked at once more, as any other job's. */
function withPayload(step: PlannedStep): PlannedStep {
  return { ...step, payload: decodePayload(step.payload as EncodedPayload) } // encoded by thread-host.ts
}
