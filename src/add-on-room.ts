/** The add-ons of one scheduler that act by themselves, and what each works with. */
import type { AddOn, AddOnPort } from './add-on-port.js'
import { Duplicate } from './defer/duplicates.js'
import type { Closure, PreparedJob } from './defer/draft.js'
import type { Job } from './defer/job-handle.js'
import { ClosedError } from './errors.js'
import { briefError } from './events/shown.js'
import { isSettled } from './job/lifecycle.js'
import type { Waiter } from './job/job.js'
import { serializeError } from './job/serialized-error.js'
import type { ScheduleContext } from './job/snapshot.js'
import { TimeHeap } from './queue/time-heap.js'
import type { Rooms } from './rooms.js'
import { inlineTaskName } from './task/task-name.js'

export class AddOnRoom {
  readonly #rooms: Rooms
  readonly #addOns: AddOn[] = []

  constructor(rooms: Rooms) {
    this.#rooms = rooms
  }

  /** What an add-on works with. @throws ClosedError */
  attach(addOn: AddOn): AddOnPort {
    const rooms = this.#rooms
    if (rooms.closing !== undefined) throw new ClosedError()
    this.#addOns.push(addOn)
    const { clock, random } = rooms.world
    let isHeld = false
    return {
      clock,
      random,
      soon: (task) => rooms.world.soon(task),
      nextTurn: (task) => rooms.world.nextTurn(task),
      logger: rooms.log.logger,
      mayLog: (message) => rooms.log.allows(message),
      events: rooms.emitter,
      isClosing: () => rooms.closing !== undefined,
      ask: (hook) => rooms.world.ask(hook),
      alarm: (at, run) => rooms.agenda.alarm(at, run),
      timeHeap: () => new TimeHeap(),
      keepAlive: (active) => {
        if (active === isHeld) return
        isHeld = active
        if (active) rooms.rest.begin()
        else rooms.rest.end()
      },
      prepare: (task, payload, options) => this.#prepare(task, payload, options),
      deferPrepared: (prepared, schedule, waiter) => this.#deferPrepared(prepared, schedule, waiter),
      shownError: (prepared, error) => this.#shownError(prepared, error),
    }
  }

  /** Add-ons defer nothing more: the first step of closing. */
  stop(): void {
    for (const addOn of this.#addOns.splice(0)) addOn.stop()
  }

  #prepare(task: unknown, payload: unknown, options: unknown): PreparedJob {
    const rooms = this.#rooms
    if (typeof task === 'function') {
      rooms.drafts.draftInline(rooms.book.inline, task as Closure, options, undefined)
      return { task, payload: undefined, options }
    }
    const draft = rooms.drafts.draft(rooms.book.find(task), payload, options, undefined)
    return { task, payload: draft.payload, options }
  }

  #deferPrepared(prepared: PreparedJob, schedule: ScheduleContext, waiter: Waiter): Job {
    const rooms = this.#rooms
    const { task } = prepared
    const isClosure = typeof task === 'function'
    try {
      if (rooms.closing !== undefined) throw new ClosedError()
      const draft = rooms.drafts.draftAgain(isClosure ? rooms.book.inline : rooms.book.named(task), prepared)
      draft.more().schedule = schedule
      const accepted = rooms.acceptance.accept(draft)
      const job = accepted instanceof Duplicate ? accepted.of : accepted
      if (isSettled(job.state)) waiter.settled()
      else job.tell(waiter)
      rooms.rest.jobCame()
      return rooms.handle(accepted)
    } catch (error) {
      throw rooms.refused(isClosure ? inlineTaskName : task, error)
    }
  }

  #shownError({ task }: PreparedJob, error: unknown): unknown {
    const { book } = this.#rooms
    try {
      const record = typeof task === 'function' ? book.inline : book.named(task)
      return record.policy.sensitive ? briefError(record, serializeError(error)) : error
    } catch {
      return error // No task is of that name any more, which is what it says.
    }
  }
}
