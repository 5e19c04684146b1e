/** What an operator stops and lets go on: all starts, those of a task, of a shared limit, of an ordering key. */
import { ClosedError, OptionError } from './errors.js'
import { durationMs, flag, key, orDefault, ownOptions } from './options.js'
import type { Job } from './job/job.js'
import type { Rooms } from './rooms.js'

const releaseNames: ReadonlySet<string> = new Set(['retry'])

export class Pausing {
  readonly #rooms: Rooms

  constructor(rooms: Rooms) {
    this.#rooms = rooms
  }

  /** No new starts, of the task or at all; also of those that `close()` lets start while it drains. @throws UnknownTaskError */
  pause(task: unknown): void {
    const { book, closing, dispatcher, limits, queue, rest } = this.#rooms
    const record = task === undefined ? undefined : book.named(task)
    if (closing?.acceptsChildren === false) return // its deadline has passed: nothing starts any more
    const wasRunning = record === undefined ? !dispatcher.isPaused : limits.pauseTask(record.name)
    if (!wasRunning) return
    if (record === undefined) dispatcher.isPaused = true
    // First: what threads say while they are called back has jobs sent to others.
    if (record !== undefined) queue.regate(record)
    dispatcher.recall.fromAll()
    rest.look() // closing waits for jobs that may start only
    this.#tell('paused', record?.name)
  }

  /** Starts go on after a `pause` of the same; not while the scheduler closes. @throws UnknownTaskError */
  resume(task: unknown): void {
    const { book, closing, dispatcher, limits } = this.#rooms
    if (closing !== undefined) return
    const record = task === undefined ? undefined : book.named(task)
    const wasPaused = record === undefined ? dispatcher.isPaused : limits.resumeTask(record.name)
    if (!wasPaused) return
    if (record === undefined) dispatcher.isPaused = false
    dispatcher.resume()
    this.#tell('resumed', record?.name)
  }

  /** @throws OptionError for an unknown limit or a bad delay */
  pauseLimit(name: unknown, delay: unknown): void {
    const { limits } = this.#rooms
    const delayMs = durationMs('delay', delay, { zero: true })
    const known = key('name', name)
    if (limits.pauseShared(known, delayMs)) return
    const names = limits.sharedNames.join(', ') || 'none'
    throw new OptionError(`No limit is named '${known}'. Known are: ${names}.`, 'ERR_SIDEWORK_UNKNOWN_LIMIT')
  }

  /**
   * Lets a halted key go on, with `retry` beginning with the job at which it halted.
   * @returns false when it is not halted, or that job cannot run again; then it stays halted
   * @throws OptionError, QueueFullError, ClosedError
   */
  releaseKey(halted: unknown, options: unknown): boolean {
    const { closing, emitter, queue, rest, world } = this.#rooms
    const orderingKey = key('key', halted)
    const own = ownOptions('releaseKey', options, releaseNames)
    const retries = flag('retry', orDefault(own['retry'], false))
    if (retries && closing !== undefined) throw new ClosedError()
    const id = queue.lines.halted.get(orderingKey)
    if (id === undefined) return false
    const first = retries ? this.#toRunAgain(id, orderingKey) : undefined
    if (retries && first === undefined) return false
    // While its last execution is still ending it stands at the head of the line and goes on from there.
    const isEnding = first?.details?.isLingering === true
    if (isEnding) first.more().afterLingering = 'go-on'
    queue.releaseKey(orderingKey, world.clock.now(), isEnding ? undefined : first)
    rest.jobCame()
    if (emitter.wants['key:released'])
      emitter.emit('key:released', { key: orderingKey, at: world.clock.wall() })
    return true
  }

  /**
   * The job at which a key halted: in a new generation, or in that of a `retry(id)` since, which waits for the key.
   * @throws QueueFullError
   */
  #toRunAgain(id: string, orderingKey: string): Job | undefined {
    const { operations, queue } = this.#rooms
    const job = operations.find(id)
    const { details } = job ?? {}
    // An id of the user's own may be another job's by now.
    if (job === undefined || details?.orderingKey !== orderingKey) return undefined
    if (job.state === 'failed') return operations.revive(job) ? job : undefined
    const isRetried = job.state === 'blocked' || details.afterLingering === 'join-again'
    return isRetried && details.generation > 1 && queue.lines.has(job) ? job : undefined
  }

  #tell(event: 'paused' | 'resumed', task: string | undefined): void {
    const at = this.#rooms.world.clock.wall()
    this.#rooms.log.paused(event === 'paused', task)
    this.#rooms.emitter.emit(event, task === undefined ? { at } : { task, at })
  }
}
